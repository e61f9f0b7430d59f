import { Refusal } from '../refusal.js'
import { EvaluationFailure } from './cel/fault.js'
import type { Expression } from './cel/expression.js'
import { isList, type Value } from './cel/values.js'
import { checkEnds } from './names.js'
import type { NameRule, TokenRules } from './configuration.js'
import type { Rule, Steps } from './trace.js'
import type { Claims } from './token.js'

/** A user as the rules made it: what of it can be sent on is yet to be judged. */
export interface MappedUser {
  readonly username: string
  /** Empty for none. */
  readonly uid: string
  readonly groups: readonly string[]
  /** With the token's `jti` as its credential id; keys without values are left out. */
  readonly extra: ReadonlyMap<string, readonly string[]>
}

/** `authentication.kubernetes.io/credential-id` of KEP-4193. */
export const credentialIdKey = 'authentication.kubernetes.io/credential-id'

/**
 * Maps claims as kube-apiserver does.
 * @returns undefined only where steps are traced and there is no user name
 * @throws Refusal `token_claim`
 */
export function mapClaims(rules: TokenRules, claims: Claims, steps: Steps): MappedUser | undefined {
  const username = steps.apply(named('claimMappings.username', rules.username), () =>
    usernameOf(rules.username, claims),
  )
  const { groups: groupsRule, uid: uidRule } = rules
  const groups =
    groupsRule &&
    steps.apply(named('claimMappings.groups', groupsRule), () => groupsOf(groupsRule, claims))
  const uid =
    uidRule && steps.apply(named('claimMappings.uid', uidRule), () => uidOf(uidRule, claims))
  const extra = new Map<string, readonly string[]>()
  const jti = claims.get('jti')
  if (typeof jti === 'string' && jti !== '') extra.set(credentialIdKey, [`JTI=${jti}`])
  for (const { key, expression } of rules.extra) {
    const rule = {
      rule: `claimMappings.extra[${JSON.stringify(key)}]`,
      expression: expression.text,
    }
    const values = steps.apply(rule, () =>
      textsOf(evaluate(rule.rule, expression, claims), rule.rule),
    )
    if (values !== undefined && values.length > 0) extra.set(key, values)
  }
  if (groupsRule === undefined) steps.skip({ rule: 'claimMappings.groups' }, 'not configured')
  return username === undefined
    ? undefined
    : { username, uid: uid ?? '', groups: groups ?? [], extra }
}

const named = (rule: string, name: NameRule): Rule =>
  'claim' in name ? { rule, claim: name.claim } : { rule, expression: name.expression.text }

function usernameOf(rule: NameRule, claims: Claims): string {
  if ('expression' in rule) return textOf(rule.expression, claims, 'claimMappings.username')
  const name = claims.get(rule.claim)
  if (typeof name !== 'string') throw wrongClaim(rule.claim, 'is missing or not a string')
  // An address that nobody has verified is whatever its owner typed. Absent means: the issuer has no
  // such notion, as for kube-apiserver.
  if (rule.claim === 'email' && claims.has('email_verified')) {
    if (claims.get('email_verified') !== true) throw wrongClaim('email_verified', 'is not true')
  }
  checkEnds(name, 'user name')
  return rule.prefix + name
}

/** Of a claim: a string or strings, `null` for none; anything else is refused whole, never skipped. */
function groupsOf(rule: NameRule, claims: Claims): readonly string[] {
  if ('expression' in rule) {
    const path = 'claimMappings.groups'
    return textsOf(evaluate(path, rule.expression, claims), path)
  }
  const value = claims.get(rule.claim) ?? []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (!list.every(group => typeof group === 'string')) {
    throw wrongClaim(rule.claim, 'is neither a string nor strings')
  }
  for (const group of list) checkEnds(group, 'group')
  return rule.prefix === '' ? list : list.map(group => rule.prefix + group)
}

function uidOf(rule: NameRule, claims: Claims): string {
  if ('expression' in rule) return textOf(rule.expression, claims, 'claimMappings.uid')
  const uid = claims.get(rule.claim)
  // To Go `null` is the empty text, and that is no uid.
  if (uid === null) return ''
  if (typeof uid !== 'string') throw wrongClaim(rule.claim, 'is missing or not a string')
  return uid
}

function textOf(expression: Expression, claims: Claims, path: string): string {
  const value = evaluate(path, expression, claims)
  if (typeof value !== 'string') throw new Refusal('token_claim', `${path} must give a string`)
  return value
}

/** A string or strings, the empty ones left out; `null` is none. */
function textsOf(value: Value, path: string): readonly string[] {
  const list = isList(value) ? value : [value ?? '']
  if (!list.every(item => typeof item === 'string')) {
    throw new Refusal('token_claim', `${path} must give a string or a list of strings`)
  }
  return list.filter(item => item !== '')
}

/** @throws Refusal `token_claim` where the expression has no value for these members */
export function evaluate(
  path: string,
  expression: Expression,
  members: ReadonlyMap<string, unknown>,
): Value {
  try {
    return expression.evaluate(members)
  } catch (error) {
    if (!(error instanceof EvaluationFailure)) throw error
    throw new Refusal('token_claim', `${path}: ${error.message}`)
  }
}

export function wrongClaim(claim: string, why: string): Refusal {
  return new Refusal('token_claim', `the claim ${JSON.stringify(claim)} ${why}`)
}
