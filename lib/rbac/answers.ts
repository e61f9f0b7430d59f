import type { Rule } from './rule.js'

/** The rules that a SelfSubjectRulesReview lists. @throws when this is no status of one */
export function readRules(status: unknown): { rules: readonly Rule[]; incomplete: boolean } {
  const resources = member(status, 'resourceRules')
  const paths = member(status, 'nonResourceRules')
  const incomplete = member(status, 'incomplete')
  if (!Array.isArray(resources) || typeof incomplete !== 'boolean') {
    throw new Error('the answer lists no rules')
  }
  return {
    rules: [...resources, ...(Array.isArray(paths) ? paths : [])].map(readRule),
    incomplete,
  }
}

function readRule(rule: unknown): Rule {
  const list = (name: string): readonly string[] | undefined => {
    const value = member(rule, name) ?? undefined
    if (value === undefined) return undefined
    if (Array.isArray(value) && value.every(one => typeof one === 'string')) return value
    throw new Error('the answer lists what is no rule')
  }
  const [apiGroups, resources, resourceNames, nonResourceURLs] = [
    list('apiGroups'),
    list('resources'),
    list('resourceNames'),
    list('nonResourceURLs'),
  ]
  return {
    verbs: list('verbs') ?? [],
    ...(apiGroups && { apiGroups }),
    ...(resources && { resources }),
    ...(resourceNames && { resourceNames }),
    ...(nonResourceURLs && { nonResourceURLs }),
  }
}

/** What a SelfSubjectAccessReview decides. @throws when this is no status of one */
export function readAllowed(status: unknown): boolean {
  const allowed = member(status, 'allowed')
  if (typeof allowed !== 'boolean') throw new Error('the answer allows and denies nothing')
  return allowed
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
