/** A rule of RBAC, `rbac.authorization.k8s.io/v1`: about resources, or about paths that name none. */
export interface Rule {
  readonly verbs: readonly string[]
  readonly apiGroups?: readonly string[]
  /** `pods`, `pods/exec`, `*`. */
  readonly resources?: readonly string[]
  /** @default any */
  readonly resourceNames?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
}

/** A right that is in order to hold: a rule, and of which names. */
export interface Allowance extends Rule {
  /** Only rules that name names: whoever wrote them knew for whom. */
  readonly onlyNamed?: boolean
  /** Names that nobody needs. */
  readonly never?: (name: string) => boolean
}

/**
 * What of a rule none of the allowances covers, as rules; empty when it is in order. A rule about any name is
 * covered by an allowance of any name, whatever that one never needs: whether it is used for such a name is
 * for a question about that very name.
 */
export function beyond(rule: Rule, allowances: readonly Allowance[]): readonly Rule[] {
  return [...beyondResources(rule, allowances), ...beyondPaths(rule, allowances)]
}

function beyondResources(rule: Rule, allowances: readonly Allowance[]): readonly Rule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames: names } = rule
  const left: Rule[] = []
  for (const group of apiGroups) {
    for (const resource of resources) {
      const uncovered = verbs.filter(
        verb => !allowances.some(it => coversResource(it, verb, group, resource, names)),
      )
      if (uncovered.length === 0) continue
      left.push({
        verbs: uncovered,
        apiGroups: [group],
        resources: [resource],
        ...(isClosed(names) && { resourceNames: names }),
      })
    }
  }
  return left
}

function beyondPaths(
  { verbs, nonResourceURLs = [] }: Rule,
  allowances: readonly Allowance[],
): readonly Rule[] {
  return nonResourceURLs.flatMap(url => {
    const uncovered = verbs.filter(
      verb => !allowances.some(it => has(it.verbs, verb) && coversPath(it, url)),
    )
    return uncovered.length === 0 ? [] : [{ verbs: uncovered, nonResourceURLs: [url] }]
  })
}

function coversResource(
  allowance: Allowance,
  verb: string,
  group: string,
  resource: string,
  names: readonly string[] | undefined,
): boolean {
  return (
    has(allowance.verbs, verb) &&
    has(allowance.apiGroups ?? [], group) &&
    coversKind(allowance.resources ?? [], resource) &&
    coversNames(allowance, names)
  )
}

/** `userextras/*` covers every key there; RBAC itself has no such form. */
const coversKind = (resources: readonly string[], resource: string): boolean =>
  resources.some(
    one =>
      one === '*' ||
      one === resource ||
      (one.endsWith('/*') && resource.startsWith(one.slice(0, -1))),
  )

function coversNames(
  { resourceNames: needed, onlyNamed = false, never = () => false }: Allowance,
  held: readonly string[] | undefined,
): boolean {
  if (!isClosed(held)) return !isClosed(needed) && !onlyNamed
  return held.every(name => !never(name) && (!isClosed(needed) || needed.includes(name)))
}

/** An empty list of names is none, as RBAC reads it. */
const isClosed = (names: readonly string[] | undefined): names is readonly string[] =>
  names !== undefined && names.length > 0

const coversPath = ({ nonResourceURLs = [] }: Allowance, url: string): boolean =>
  nonResourceURLs.some(one => (one.endsWith('*') ? url.startsWith(one.slice(0, -1)) : one === url))

/** Only a `*` covers a `*`: whoever holds all of something may do what is thought of later. */
const has = (list: readonly string[], value: string): boolean =>
  list.includes('*') || list.includes(value)

/** Whether somebody who holds `rules` may do this, as RBAC decides it. */
export function allows(
  rules: readonly Rule[],
  verb: string,
  group: string,
  resource: string,
  name: string,
): boolean {
  const [, sub] = resource.split('/', 2)
  const wanted = sub === undefined ? [resource] : [resource, `*/${sub}`]
  return rules.some(
    rule =>
      has(rule.verbs, verb) &&
      has(rule.apiGroups ?? [], group) &&
      wanted.some(one => has(rule.resources ?? [], one)) &&
      (!isClosed(rule.resourceNames) || rule.resourceNames.includes(name)),
  )
}

/** Whether one of these rules gives all of `wanted`, and every word of it stands there: no `*`, no list of names. */
export const isAmong = (rules: readonly Rule[], wanted: Rule): boolean =>
  rules.some(
    rule =>
      !isClosed(rule.resourceNames) &&
      wanted.verbs.every(verb => rule.verbs.includes(verb)) &&
      (wanted.apiGroups ?? []).every(group => rule.apiGroups?.includes(group)) &&
      (wanted.resources ?? []).every(resource => rule.resources?.includes(resource)),
  )

/** A rule in words: `get, list secrets, named "a"`. */
export function inWords({
  verbs,
  apiGroups = [],
  resources = [],
  resourceNames,
  nonResourceURLs,
}: Rule): string {
  const may = verbs.map(verb => (verb === '*' ? 'everything (*)' : verb)).join(', ')
  if (nonResourceURLs !== undefined) return `${may} at ${nonResourceURLs.join(', ')}`
  const kinds = apiGroups.flatMap(group =>
    resources.map(resource => {
      if (group === '*' && resource === '*') return 'everything (*)'
      return group === '' ? resource : `${resource}.${group}`
    }),
  )
  const named = isClosed(resourceNames)
    ? `, named ${resourceNames.map(name => JSON.stringify(name)).join(', ')}`
    : ''
  return `${may} on ${kinds.join(', ')}${named}`
}
