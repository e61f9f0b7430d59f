import { facts } from '../channels.js'
import type { Identity } from '../identity.js'
import { credentialIdKey, mapClaims, type MappedUser } from './claim-mapping.js'
import type { TokenRules } from './configuration.js'
import { createGroupSelection, type GroupSelectionOptions } from './group-selection.js'
import { checkReserved, checkUsable, unusable } from './names.js'
import { traced, untraced, type Trace } from './trace.js'
import type { Claims } from './token.js'
import { checkClaimRules, checkUserRules } from './validation-rules.js'

/** What the gateway itself asks of identities, whatever issuer they come from. */
export interface IdentityLimits extends GroupSelectionOptions {
  /** User names beginning with `system:`, prefix included, that a token may carry all the same. */
  readonly allowReservedUsers: Iterable<string>
  /** The same for groups. */
  readonly allowReservedGroups: Iterable<string>
  /**
   * Whether the token's `jti` goes along as an extra. Validation rules see it in any case.
   * @default false
   */
  readonly sendCredentialId?: boolean
}

export interface MappingOptions extends IdentityLimits {
  readonly rules: TokenRules
}

/** @param trace is told what each rule gives, also after one that refuses */
export type Mapping = (claims: Claims, trace?: Trace) => Identity

/** Values of all extras together: each is a line of the request's head. */
const maxExtraValues = 256

/**
 * Makes identities out of claims as kube-apiserver does, and only such as every header, log line and RBAC rule
 * will read alike. The identity is deeply frozen.
 *
 * The function returned throws Refusal `token_claim` where a claim is missing or not as a rule asks,
 * `identity_unusable` for a name that cannot be said safely, `identity_reserved`, `too_many_groups`.
 */
export function createMapping(options: MappingOptions): Mapping {
  const { rules } = options
  const reservedUsers = new Set(options.allowReservedUsers)
  const reservedGroups = new Set(options.allowReservedGroups)
  const select = createGroupSelection(options)

  const identify = (user: MappedUser): Identity => {
    checkUsable(user.username, 'user name')
    checkReserved(user.username, reservedUsers, 'user name')
    for (const group of user.groups) {
      checkUsable(group, 'group')
      checkReserved(group, reservedGroups, 'group')
    }
    if (user.uid !== '') checkUsable(user.uid, 'uid')
    const groups = select(user.groups)
    if (groups.leftOut.length > 0) facts.groupsLeftOut.publish({ count: groups.leftOut.length })
    return Object.freeze({
      username: user.username,
      ...(user.uid !== '' && { uid: user.uid }),
      groups: Object.freeze(groups.kept),
      extra: extraOf(user, options.sendCredentialId ?? false),
    })
  }

  return (claims, trace) => {
    const steps = trace === undefined ? untraced : traced(trace)
    const user = mapClaims(rules, claims, steps)
    checkClaimRules(rules, claims, steps)
    checkUserRules(rules, user, steps)
    const identity = user && steps.apply({ rule: 'identity' }, () => identify(user))
    steps.settle()
    // Without a trace what is missing has thrown, and with one it has now.
    if (identity === undefined) throw new TypeError('a user without an identity')
    return identity
  }
}

function extraOf({ extra }: MappedUser, sendCredentialId: boolean): Identity['extra'] {
  const sent = [...extra].filter(([key]) => sendCredentialId || key !== credentialIdKey)
  const values = sent.flatMap(([, list]) => list)
  if (values.length > maxExtraValues) throw unusable('extra', `has over ${maxExtraValues} values`)
  for (const value of values) checkUsable(value, 'extra')
  return Object.freeze(
    Object.fromEntries(sent.map(([key, list]) => [key, Object.freeze([...list])] as const)),
  )
}
