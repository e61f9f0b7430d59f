import type { Finding } from '../finding.js'
import type { NameRule, TokenRules } from './configuration.js'

/**
 * What the rules of one issuer come down to, and what of them may surprise.
 * @param path where they stand in the file; absent where flags say them, whose own findings tell the rest
 */
export function rulesFindings(rules: TokenRules, path: string | undefined): readonly Finding[] {
  const about = `issuer ${rules.issuer.url}`
  const told: Finding = { outcome: 'ok', about, says: inWords(rules) }
  if (path === undefined) return [told]
  const warnings = [...surprisesOf(rules)].map(([member, says, change]): Finding => ({
    outcome: 'warning',
    about: `${path}.${member}`,
    says,
    change,
  }))
  return [told, ...warnings]
}

function inWords({ issuer, username, groups, uid, extra, ...rules }: TokenRules): string {
  const { requiredClaims, claimRules, userRules } = rules
  const checks = requiredClaims.length + claimRules.length + userRules.length
  return [
    `audiences ${issuer.audiences.map(name => JSON.stringify(name)).join(', ')}`,
    `user name by ${source(username)}`,
    groups === undefined ? 'no groups' : `groups by ${source(groups)}`,
    ...(uid === undefined ? [] : [`uid by ${source(uid)}`]),
    ...extra.map(({ key, expression }) => `extra ${JSON.stringify(key)} by ${expression.text}`),
    ...(checks === 0 ? [] : [checks === 1 ? 'a validation rule' : `${checks} validation rules`]),
  ].join('; ')
}

function source(rule: NameRule): string {
  if ('expression' in rule) return rule.expression.text
  const claim = `claim ${JSON.stringify(rule.claim)}`
  return rule.prefix === '' ? claim : `${claim} behind ${JSON.stringify(rule.prefix)}`
}

/** Of claims: what an expression makes of one is for its author to know. */
function* surprisesOf({
  username,
  groups,
  extra,
}: TokenRules): Generator<readonly [member: string, says: string, change: string]> {
  if ('claim' in username && username.prefix === '') {
    yield [
      'claimMappings.username.prefix',
      `user names have no prefix: whoever the issuer lets have ${JSON.stringify(username.claim)} "admin" is the user "admin" of the cluster`,
      'a prefix such as oidc: keeps them apart from certificates and other issuers',
    ]
  }
  if (groups !== undefined && 'claim' in groups && groups.prefix === '') {
    yield [
      'claimMappings.groups.prefix',
      'groups have no prefix: a group of the issuer may have the name of one of the cluster',
      'a prefix such as oidc: keeps them apart',
    ]
  }
  if (groups === undefined) {
    yield ['claimMappings.groups', 'not given: nobody has groups', 'most issuers call them groups']
  }
  if (extra.length > 0) {
    yield [
      'claimMappings.extra',
      'each key needs a right of its own wherever Impersonate-* is sent',
      'the command rbac prints the role that allows it',
    ]
  }
}
