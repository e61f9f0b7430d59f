import { Document, isMap, isSeq, visit } from 'yaml'
import type { Right, RightsMode } from './needed.js'

export interface ManifestOptions {
  /** Of service account, role and binding. */
  readonly name: string
  readonly namespace: string
  readonly mode: RightsMode
  /** Lines for whoever reads it. */
  readonly remarks?: readonly string[]
}

const group = 'rbac.authorization.k8s.io'

/** A ServiceAccount that holds these rights and no other, as YAML for `kubectl apply`, always the same. */
export function manifest(rights: readonly Right[], options: ManifestOptions): string {
  const { name, mode, remarks = [] } = options
  const head = [
    `All that the gateway's own credential needs (${mode} impersonation), printed by: impersonation-gateway rbac`,
    ...remarks,
  ]
  const everywhere = rights.filter(right => right.namespace === undefined)
  const namespaces = [...new Set(rights.map(right => right.namespace))].filter(
    namespace => namespace !== undefined,
  )
  return written([
    commented(account(options), [...head, ...mounting]),
    role({ kind: 'ClusterRole', metadata: { name } }, everywhere),
    binding('ClusterRole', { name }, options),
    ...namespaces.flatMap(namespace => [
      role(
        { kind: 'Role', metadata: { name, namespace } },
        rights.filter(right => right.namespace === namespace),
      ),
      binding('Role', { name, namespace }, options),
    ]),
  ])
}

/** The ServiceAccount of a gateway that has no credential of its own. */
export function emptyManifest(options: Pick<ManifestOptions, 'name' | 'namespace'>): string {
  return written([
    commented(account(options), [
      "Nothing is needed: requests go on with their callers' own tokens, and the gateway has no credential.",
      'This service account has no rights, and its token is not mounted.',
    ]),
  ])
}

const mounting = [
  'The pod of the gateway asks for the token itself (automountServiceAccountToken: true); no other gets it.',
]

const account = ({ name, namespace }: Pick<ManifestOptions, 'name' | 'namespace'>): object => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace },
  automountServiceAccountToken: false,
})

function role(head: object, rights: readonly Right[]): Document {
  const document = asDocument({ apiVersion: `${group}/v1`, ...head, rules: rights.map(ordered) })
  for (const [index, { why }] of rights.entries()) {
    const rule = document.getIn(['rules', index], true)
    if (isMap(rule)) rule.commentBefore = ` ${why}`
  }
  // One name is on the rule's own line, several are a line each.
  visit(document, {
    Pair(_, { key, value }) {
      if (String(key) !== 'rules' && isSeq(value)) value.flow = value.items.length === 1
    },
  })
  return document
}

/** As people write a rule. */
const ordered = ({
  apiGroups,
  resources,
  nonResourceURLs,
  verbs,
  resourceNames,
}: Right): object => ({
  ...(apiGroups && { apiGroups }),
  ...(resources && { resources }),
  ...(nonResourceURLs && { nonResourceURLs }),
  verbs,
  ...(resourceNames && { resourceNames }),
})

function binding(
  kind: 'ClusterRole' | 'Role',
  metadata: object,
  { name, namespace }: ManifestOptions,
): Document {
  return asDocument({
    apiVersion: `${group}/v1`,
    kind: `${kind}Binding`,
    metadata,
    roleRef: { apiGroup: group, kind, name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  })
}

function commented(content: object, lines: readonly string[]): Document {
  const document = asDocument(content)
  document.commentBefore = lines.map(line => ` ${line}`).join('\n')
  return document
}

/** kubectl reads YAML 1.1, where `yes` is no name. */
const asDocument = (content: object): Document =>
  new Document(content, { version: '1.1', aliasDuplicateObjects: false })

const written = (documents: readonly Document[]): string =>
  documents.map(document => document.toString(style)).join('---\n')

const style = { lineWidth: 0, flowCollectionPadding: false, singleQuote: true } as const
