import { neededRights, type Right, type RightsConfiguration, type RightsMode } from './needed.js'
import { inWords, type Rule } from './rule.js'

/** The rules that are lacking for whichever kind of impersonation the credential comes nearer to. */
export function missingFrom(
  rules: readonly Rule[],
  configuration: RightsConfiguration,
): readonly string[] {
  const lacking = (mode: RightsMode): readonly Right[] =>
    neededRights(configuration, mode).filter(right => !holds(rules, right))
  const [legacy, constrained] = [lacking('legacy'), lacking('constrained')]
  const isConstrained = rules.some(({ verbs }) => verbs.includes('impersonate:user-info'))
  return (isConstrained ? constrained : legacy).map(inWords)
}

/**
 * Whether a needed right is there, at least for some names: which ones exist is not ours to know. Of the verbs
 * that may be used as somebody else one is enough, since leaving some out is a choice.
 */
function holds(rules: readonly Rule[], right: Right): boolean {
  // Roles of a namespace are listed there alone.
  if (right.namespace !== undefined) return true
  const some = right.verbs.some(verb => verb.startsWith('impersonate-on:'))
  const isHeld = (verb: string): boolean =>
    right.nonResourceURLs
      ? rules.some(rule => rule.nonResourceURLs && has(rule.verbs, verb))
      : (right.resources ?? []).every(resource =>
          rules.some(
            rule =>
              has(rule.verbs, verb) &&
              (some || has(rule.apiGroups, right.apiGroups?.[0] ?? '')) &&
              (some ? rule.resources !== undefined : has(rule.resources, resource)) &&
              namesSuffice(rule, right),
          ),
        )
  return some ? right.verbs.some(isHeld) : right.verbs.every(isHeld)
}

const namesSuffice = (rule: Rule, { resourceNames: needed }: Right): boolean => {
  const { resourceNames: held = [] } = rule
  return needed === undefined || held.length === 0 || needed.some(name => held.includes(name))
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(value))
