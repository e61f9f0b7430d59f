import type { Identity } from '../identity.js'
import { facts } from '../channels.js'
import { Refusal } from '../refusal.js'
import { createGroupSelection, type GroupSelectionOptions } from './group-selection.js'
import type { Claims } from './token.js'

export interface MappingOptions extends GroupSelectionOptions {
  readonly usernameClaim: string
  /** Put before the user name as it stands; empty for none. */
  readonly usernamePrefix: string
  /** Absent: nobody has groups. */
  readonly groupsClaim?: string | undefined
  /** Put before each group as it stands; empty for none. */
  readonly groupsPrefix: string
  /** Claims that must be there, as strings, with exactly these values. */
  readonly requiredClaims: ReadonlyMap<string, string>
  /** User names beginning with `system:`, prefix included, that a token may carry all the same. */
  readonly allowReservedUsers: Iterable<string>
  /** The same for groups. */
  readonly allowReservedGroups: Iterable<string>
}

export type Mapping = (claims: Claims) => Identity

/**
 * Makes identities out of claims as kube-apiserver's `--oidc-*` flags do, and only such as every header,
 * log line and RBAC rule will read alike. The identity is deeply frozen.
 *
 * The function returned throws Refusal `token_claim` where a claim is missing or of the wrong type,
 * `identity_unusable` for a name that cannot be said safely, `identity_reserved`, `too_many_groups`.
 */
export function createMapping(options: MappingOptions): Mapping {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = options
  const requiredClaims = [...options.requiredClaims]
  const reservedUsers = new Set(options.allowReservedUsers)
  const reservedGroups = new Set(options.allowReservedGroups)
  const select = createGroupSelection(options)

  return claims => {
    const name = claims.get(usernameClaim)
    if (typeof name !== 'string') throw wrongClaim(usernameClaim, 'is missing or not a string')
    // An address that nobody has verified is whatever its owner typed. Absent means: the issuer has no
    // such notion, as for kube-apiserver.
    if (usernameClaim === 'email' && claims.has('email_verified')) {
      if (claims.get('email_verified') !== true) throw wrongClaim('email_verified', 'is not true')
    }
    for (const [claim, value] of requiredClaims) {
      if (claims.get(claim) !== value) throw wrongClaim(claim, 'is not as required')
    }
    const rawGroups = groupsClaim === undefined ? [] : groupNames(claims, groupsClaim)

    const username = usable(name, usernamePrefix, reservedUsers, 'user name')
    const groups = select(
      rawGroups.map(group => usable(group, groupsPrefix, reservedGroups, 'group')),
    )
    if (groups.leftOut.length > 0) facts.groupsLeftOut.publish({ count: groups.leftOut.length })
    return Object.freeze({
      username,
      groups: Object.freeze(groups.kept),
      extra: Object.freeze({}),
    })
  }
}

/** A string or strings; `null` is none. Anything else is refused whole, never skipped. */
function groupNames(claims: Claims, groupsClaim: string): readonly string[] {
  const value = claims.get(groupsClaim)
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value
    if (list.every(group => typeof group === 'string')) return list
  }
  throw wrongClaim(groupsClaim, 'is neither a string nor strings')
}

const maxNameBytes = 1024

/**
 * The prefixed name, when it arrives at the API server as it was meant. The API server reads a blank
 * `Impersonate-User` as none and trims the others, control characters end headers, and lone surrogates
 * all become U+FFFD, the same name for different people.
 */
function usable(
  raw: string,
  prefix: string,
  allowed: ReadonlySet<string>,
  what: 'user name' | 'group',
): string {
  if (raw.trim() === '') throw unusable(what, 'is blank')
  const name = prefix + raw
  if (raw !== raw.trim() || name !== name.trim()) {
    throw unusable(what, 'begins or ends with a blank')
  }
  if (/\p{Cc}/u.test(name)) throw unusable(what, 'has a control character')
  if (!name.isWellFormed()) throw unusable(what, 'is not well-formed Unicode')
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw unusable(what, `is longer than ${maxNameBytes} bytes`)
  }
  if (name.startsWith('system:') && !allowed.has(name)) {
    throw new Refusal('identity_reserved', `the ${what} begins with "system:"`)
  }
  return name
}

function unusable(what: string, why: string): Refusal {
  return new Refusal('identity_unusable', `the ${what} ${why}`)
}

function wrongClaim(claim: string, why: string): Refusal {
  return new Refusal('token_claim', `the claim ${JSON.stringify(claim)} ${why}`)
}
