import type { Rule } from './rule.js'

/** Of a gateway that comes with its own credential: what it will ask the API server for. */
export interface RightsConfiguration {
  /** Whether identities can have groups, a uid; and under which keys extra. */
  readonly groups: boolean
  readonly uid: boolean
  readonly extraKeys: readonly string[]
  /** Where these are all groups that can be sent. */
  readonly onlyGroups?: readonly string[]
  /** `system:` names that a token may carry. */
  readonly reservedUsers: readonly string[]
  readonly reservedGroups: readonly string[]
  /** Clients may ask to be somebody else (`--as`), when a SubjectAccessReview allows it. */
  readonly clientImpersonation: boolean
  /** Tokens of no configured issuer are shown to the API server (TokenReview). */
  readonly tokenReview: boolean
}

/** Names that are all there will ever be; where a list is missing, any name. */
export interface ClosedSets {
  readonly users?: readonly string[]
  readonly groups?: readonly string[]
  /** Extra keys that clients may ask for, beside those that the configuration writes. */
  readonly extraKeys?: readonly string[]
}

/** The verb `impersonate`, or those of constrained impersonation (KEP-5284). */
export type RightsMode = 'legacy' | 'constrained'

/** A right that the configuration needs, and what for. */
export interface Right extends Rule {
  /** A sentence. */
  readonly why: string
  /** Needed there, not everywhere. */
  readonly namespace?: string
}

const authentication = 'authentication.k8s.io'

/**
 * The rights that this configuration needs, in one mode or the other: what `rbac` prints, and what the start
 * check measures the credential by. Without names that close it, a set is open, and its rule names none.
 */
export function neededRights(
  configuration: RightsConfiguration,
  mode: RightsMode,
  closed: ClosedSets = {},
): readonly Right[] {
  const { clientImpersonation, tokenReview, uid } = configuration
  const names = namesOf(configuration, mode, closed)
  const legacy = mode === 'legacy'
  const verb = { verbs: [legacy ? 'impersonate' : 'impersonate:user-info'] }
  const subjects = { ...verb, apiGroups: [legacy ? '' : authentication] }
  const details = { ...verb, apiGroups: [authentication] }
  const keys = sorted([...configuration.extraKeys, ...(closed.extraKeys ?? [])])
  const extras = keys.map(key => `userextras/${key}`)
  const rights: Right[] = [
    {
      why: names.users
        ? 'The users that callers are, by name.'
        : 'The user that a caller is: any name, since RBAC has no prefixes.',
      ...subjects,
      resources: ['users'],
      ...(names.users && { resourceNames: names.users }),
    },
  ]
  // An empty list of names would be every name.
  if ((configuration.groups || clientImpersonation) && names.groups?.length !== 0) {
    rights.push({
      why: names.groups
        ? 'The groups that callers are in, by name.'
        : 'The groups that a caller is in: any name.',
      ...subjects,
      resources: ['groups'],
      ...(names.groups && { resourceNames: names.groups }),
    })
  }
  if (uid || clientImpersonation) {
    rights.push({ why: 'The uid that a caller has.', ...details, resources: ['uids'] })
  }
  if (keys.length > 0) {
    rights.push({
      why: 'What else is said of a caller, key by key.',
      ...details,
      resources: extras,
    })
  }
  rights.push(...accountRights(mode, names.accounts), ...nodeRights(names.nodes))
  rights.push(...unconstrainedRights(names.asked, extras))
  if (!legacy) rights.push(...requestRights(names))
  if (clientImpersonation) {
    rights.push({
      why: 'Whether a caller may act as somebody else (--client-impersonation=authorize).',
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['subjectaccessreviews'],
    })
  }
  if (tokenReview) {
    rights.push({
      why: 'Whose token it is that no configured issuer made (--token-passthrough).',
      verbs: ['create'],
      apiGroups: [authentication],
      resources: ['tokenreviews'],
    })
  }
  return rights
}

/** Whether the configuration itself lets callers be in groups of any name. */
export const leavesGroupsOpen = (configuration: RightsConfiguration): boolean =>
  neededRights(configuration, 'legacy').some(
    ({ resources, resourceNames }) => resources?.includes('groups') && resourceNames === undefined,
  )

/**
 * Extra keys that constrained impersonation refuses, whatever the rights: it wants `domain/path`, in lower case.
 */
export function unconstrainable(keys: readonly string[]): readonly string[] {
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
  const fits = new RegExp(`^${label}(\\.${label})*/[a-z0-9/._~%!$&'()*+,;=:-]+$`)
  return keys.filter(key => !fits.test(key))
}

interface Names extends Subjects {
  readonly users?: readonly string[]
  readonly groups?: readonly string[]
  /** Those that constrained impersonation has no way to, as they come: beside the names of the one who asked. */
  readonly asked: Subjects
}

/** Whom Kubernetes itself names. */
interface Subjects {
  /** Service accounts, by namespace and name. */
  readonly accounts: readonly (readonly [namespace: string, name: string])[]
  readonly nodes: readonly string[]
}

/**
 * The names that each kind of subject can have. Names of one kind close nothing for another: the users that
 * Kubernetes has no schema for stay open when only service accounts are named.
 */
function namesOf(configuration: RightsConfiguration, mode: RightsMode, closed: ClosedSets): Names {
  const { reservedUsers, reservedGroups, onlyGroups, clientImpersonation } = configuration
  const isPlain = (user: string): boolean =>
    accountOf(user) === undefined && (mode === 'legacy' || nodeOf(user) === undefined)
  const all = sorted([...(closed.users ?? []), ...reservedUsers])
  const asked = mode === 'constrained' && clientImpersonation ? (closed.users ?? []) : []
  const own = all.filter(user => !asked.includes(user) || reservedUsers.includes(user))
  const named = closed.groups && [...closed.groups, ...reservedGroups]
  const groups = named?.filter(group => onlyGroups?.includes(group) ?? true) ?? onlyGroups
  return {
    ...(closed.users?.some(isPlain) && { users: all.filter(isPlain) }),
    ...(groups && { groups: sorted(groups) }),
    ...subjectsAmong(own),
    ...(mode === 'legacy' && { nodes: [] }),
    asked: subjectsAmong(sorted(asked)),
  }
}

const subjectsAmong = (users: readonly string[]): Subjects => ({
  accounts: users.map(accountOf).filter(account => account !== undefined),
  nodes: users.map(nodeOf).filter(node => node !== undefined),
})

const sorted = (names: readonly string[]): readonly string[] => [...new Set(names)].toSorted()

const accountOf = (user: string): readonly [string, string] | undefined => {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? []
  return namespace === undefined || name === undefined ? undefined : [namespace, name]
}

const nodeOf = (user: string): string | undefined =>
  /^system:node:([a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/.exec(user)?.[1]

function accountRights(mode: RightsMode, accounts: Names['accounts']): readonly Right[] {
  const namespaces = [...new Set(accounts.map(([namespace]) => namespace))]
  return namespaces.map(namespace => ({
    why: 'Service accounts that callers can be, by name.',
    namespace,
    verbs: [mode === 'legacy' ? 'impersonate' : 'impersonate:serviceaccount'],
    apiGroups: [mode === 'legacy' ? '' : authentication],
    resources: ['serviceaccounts'],
    resourceNames: accounts.filter(([it]) => it === namespace).map(([, name]) => name),
  }))
}

/** Without constrained impersonation a node is a user like any other. */
function nodeRights(nodes: readonly string[]): readonly Right[] {
  if (nodes.length === 0) return []
  return [
    {
      why: 'Nodes that callers can be, by name.',
      verbs: ['impersonate:arbitrary-node'],
      apiGroups: [authentication],
      resources: ['nodes'],
      resourceNames: nodes,
    },
  ]
}

/**
 * Service accounts and nodes are constrained to their bare name. Whoever acts as one has the names of the one who
 * asked beside it, as extra; for such an identity the API server falls back to the verb `impersonate`, on all of it.
 */
function unconstrainedRights(asked: Subjects, extras: readonly string[]): readonly Right[] {
  if (asked.accounts.length + asked.nodes.length === 0) return []
  const verb = { verbs: ['impersonate'] }
  return [
    ...accountRights('legacy', asked.accounts),
    ...(asked.nodes.length === 0
      ? []
      : [
          {
            why: 'Nodes that callers may act as, by name.',
            ...verb,
            apiGroups: [''],
            resources: ['users'],
            resourceNames: asked.nodes.map(node => `system:node:${node}`),
          },
        ]),
    {
      why: 'Who asked, and what else is said of a service account or node that a caller acts as.',
      ...verb,
      apiGroups: [authentication],
      resources: extras,
    },
  ]
}

/** The verbs of requests that name a resource; those that name none have their method for a verb. */
const verbs = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const
const methods = ['delete', 'get', 'head', 'options', 'patch', 'post', 'put'] as const

/** Constrained impersonation asks as well what is done as somebody else: whatever callers may do. */
export function requestRights({
  accounts,
  nodes,
}: Pick<Names, 'accounts' | 'nodes'>): readonly Right[] {
  const kinds = [
    'user-info',
    ...(accounts.length > 0 ? ['serviceaccount'] : []),
    ...(nodes.length > 0 ? ['arbitrary-node'] : []),
  ]
  const on = (list: readonly string[]): readonly string[] =>
    kinds.flatMap(kind => list.map(verb => `impersonate-on:${kind}:${verb}`))
  return [
    {
      why: 'What may be done as a caller; whether the caller may is decided afterwards, by the rights of that name.',
      verbs: on(verbs),
      apiGroups: ['*'],
      resources: ['*'],
    },
    {
      why: 'The same for paths that name no resource.',
      verbs: on(methods),
      nonResourceURLs: ['*'],
    },
  ]
}
