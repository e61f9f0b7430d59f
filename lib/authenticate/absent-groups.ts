import { facts } from '../channels.js'
import type { TokenRules } from './configuration.js'
import type { Claims } from './token.js'

export interface AbsentGroupsOptions {
  readonly rules: Pick<TokenRules, 'issuer' | 'groups'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const hourMs = 3_600_000

/**
 * Notices that tokens of an issuer lack the claim that groups are read from: often a scope that nobody
 * asked for, and hard to find out for the user, who is only told what is forbidden. Once an hour and issuer at
 * most, however many tokens and requests there are.
 */
export function createAbsentGroups({
  rules: { issuer, groups },
  now,
}: AbsentGroupsOptions): (claims: Claims) => void {
  const groupsClaim = groupsClaimOf({ groups })
  let quietUntil = -Infinity
  return claims => {
    if (groupsClaim === undefined || claims.has(groupsClaim)) return
    const at = now()
    if (at < quietUntil) return
    quietUntil = at + hourMs
    facts.notice.publish({
      level: 'warn',
      msg: 'a token has no groups claim, and its user no groups: has the client asked for the scope?',
      fields: { issuer: issuer.url, claim: groupsClaim },
    })
  }
}

/** The claim that groups are read from. An expression says for itself what a missing claim means. */
export const groupsClaimOf = ({
  groups,
}: {
  readonly groups?: TokenRules['groups'] | undefined
}): string | undefined => (groups !== undefined && 'claim' in groups ? groups.claim : undefined)
