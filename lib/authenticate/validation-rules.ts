import { Refusal } from '../refusal.js'
import { evaluate, wrongClaim, type MappedUser } from './claim-mapping.js'
import type { TokenRules, ValidationRule } from './configuration.js'
import type { Steps } from './trace.js'
import type { Claims } from './token.js'

/**
 * Holds claims against `claimValidationRules`.
 * @throws Refusal `token_claim`
 */
export function checkClaimRules(rules: TokenRules, claims: Claims, steps: Steps): void {
  for (const { path, claim, value } of rules.requiredClaims) {
    steps.apply({ rule: path, claim }, () => {
      if (claims.get(claim) !== value) throw wrongClaim(claim, 'is not as required')
      return value
    })
  }
  for (const rule of rules.claimRules) checkRule(rule, claims, steps)
}

/**
 * Holds a user against `userValidationRules`; without one they are skipped.
 * @throws Refusal `token_claim`
 */
export function checkUserRules(
  rules: TokenRules,
  user: MappedUser | undefined,
  steps: Steps,
): void {
  if (rules.userRules.length === 0) return
  if (user === undefined) {
    for (const { path, expression } of rules.userRules) {
      steps.skip({ rule: path, expression: expression.text }, 'there is no user')
    }
    return
  }
  const members = new Map<string, unknown>([
    ['username', user.username],
    ['uid', user.uid],
    ['groups', user.groups],
    ['extra', Object.fromEntries(user.extra)],
  ])
  for (const rule of rules.userRules) checkRule(rule, members, steps)
}

function checkRule(
  { path, expression, message }: ValidationRule,
  members: ReadonlyMap<string, unknown>,
  steps: Steps,
): void {
  steps.apply({ rule: path, expression: expression.text }, () => {
    const holds = evaluate(path, expression, members)
    if (holds !== true)
      throw new Refusal('token_claim', `${path} does not hold: ${message ?? expression.text}`)
    return true
  })
}
