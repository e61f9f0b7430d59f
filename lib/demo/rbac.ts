import type { Caller } from './callers.js'
import { ApiError } from './api-error.js'

/** Who may do what; nobody may do what no rule says. */
export interface Rule {
  readonly users?: readonly string[]
  readonly groups?: readonly string[]
  readonly verbs: readonly string[]
  /** @default the core group */
  readonly apiGroups?: readonly string[]
  /** `pods`, `pods/log`, `*`; none for a rule about paths. */
  readonly resources?: readonly string[]
  /** @default all */
  readonly resourceNames?: readonly string[]
  /** @default all, and what stands in none */
  readonly namespaces?: readonly string[]
  /** Paths that name no resource; `*` at the end stands for any rest. */
  readonly paths?: readonly string[]
}

export interface ResourceAttributes {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

export type Attributes = ResourceAttributes | { readonly verb: string; readonly path: string }

const gateway = 'system:serviceaccount:gateway:gateway'

/** The rules the stand-in starts with: developers work, viewers look, the gateway impersonates. */
export const demoRules: readonly Rule[] = [
  { groups: ['system:masters'], verbs: ['*'], apiGroups: ['*'], resources: ['*'], paths: ['*'] },
  { users: [gateway], verbs: ['impersonate'], resources: ['users'] },
  // Named: who may be in any group may be in system:masters, and the gateway refuses such a credential.
  {
    users: [gateway],
    verbs: ['impersonate'],
    resources: ['groups'],
    resourceNames: ['developers', 'viewers'],
  },
  {
    groups: ['developers'],
    verbs: ['*'],
    resources: ['pods', 'pods/log', 'configmaps', 'services'],
  },
  {
    groups: ['developers'],
    verbs: ['get', 'list', 'watch'],
    resources: ['namespaces', 'events'],
  },
  {
    groups: ['viewers'],
    verbs: ['get', 'list', 'watch'],
    resources: ['pods', 'namespaces', 'configmaps'],
  },
  {
    groups: ['system:authenticated'],
    verbs: ['create'],
    apiGroups: ['authentication.k8s.io'],
    resources: ['selfsubjectreviews'],
  },
  {
    groups: ['system:authenticated'],
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  },
  {
    groups: ['system:authenticated'],
    verbs: ['get'],
    paths: [
      '/api',
      '/api/*',
      '/apis',
      '/apis/*',
      '/openapi',
      '/openapi/*',
      '/version',
      '/version/',
    ],
  },
  {
    groups: ['system:authenticated', 'system:unauthenticated'],
    verbs: ['get'],
    paths: ['/healthz', '/livez', '/readyz', '/version', '/version/'],
  },
]

/** True when one of the rules lets the caller do it. */
export function allows(rules: readonly Rule[], caller: Caller, asked: Attributes): boolean {
  return rules.some(rule => concerns(rule, caller) && covers(rule, asked))
}

/** @throws 403 with kube-apiserver's sentence, when no rule lets the caller do it */
export function authorize(rules: readonly Rule[], caller: Caller, asked: Attributes): void {
  if (allows(rules, caller, asked)) return
  const who = `User ${JSON.stringify(caller.username)} cannot ${asked.verb}`
  if ('path' in asked) {
    throw ApiError.forbidden('', '', `${who} path ${JSON.stringify(asked.path)}`)
  }
  const { group, resource, subresource, namespace, name } = asked
  const what = subresource === '' ? resource : `${resource}/${subresource}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  const why = `${who} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}`
  throw ApiError.forbidden(resource, name, why, group)
}

/** The rules that concern the caller in one namespace, for a SelfSubjectRulesReview. */
export function rulesFor(rules: readonly Rule[], caller: Caller, namespace: string): Rule[] {
  return rules.filter(
    rule => concerns(rule, caller) && (rule.namespaces?.includes(namespace) ?? true),
  )
}

function concerns(rule: Rule, caller: Caller): boolean {
  return (
    (rule.users?.includes(caller.username) ?? false) ||
    (rule.groups?.some(group => caller.groups.includes(group)) ?? false)
  )
}

function covers(rule: Rule, asked: Attributes): boolean {
  if (!names(rule.verbs, asked.verb)) return false
  if ('path' in asked) return rule.paths?.some(path => matches(path, asked.path)) ?? false
  const { group, resource, subresource, namespace, name } = asked
  const wanted =
    subresource === '' ? [resource] : [`${resource}/${subresource}`, `*/${subresource}`]
  return (
    names(rule.apiGroups ?? [''], group) &&
    wanted.some(one => names(rule.resources ?? [], one)) &&
    (rule.resourceNames?.includes(name) ?? true) &&
    (rule.namespaces?.includes(namespace) ?? true)
  )
}

function names(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value)
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern
}
