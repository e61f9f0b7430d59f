import { Refusal } from '../refusal.js'

const maxNameBytes = 1024

/** What is checked, for the log. */
export type Named = 'user name' | 'group' | 'uid' | 'extra'

/**
 * Whether a name, prefix included, arrives at the API server as it was meant; throws when not. The API server
 * reads a blank `Impersonate-User` as none and trims the others, control characters end headers, and lone
 * surrogates all become U+FFFD, the same name for different people.
 * @throws Refusal `identity_unusable`
 */
export function checkUsable(name: string, what: Named): void {
  checkEnds(name, what)
  if (/\p{Cc}/u.test(name)) throw unusable(what, 'has a control character')
  if (!name.isWellFormed()) throw unusable(what, 'is not well-formed Unicode')
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw unusable(what, `is longer than ${maxNameBytes} bytes`)
  }
}

/**
 * The part of it that a prefix must not hide: no name, or one that differs from another in blanks alone.
 * @throws Refusal `identity_unusable`
 */
export function checkEnds(name: string, what: Named): void {
  if (name.trim() === '') throw unusable(what, 'is blank')
  if (name !== name.trim()) throw unusable(what, 'begins or ends with a blank')
}

/** @throws Refusal `identity_reserved` for a name that is the cluster's own, unless it is allowed by name */
export function checkReserved(
  name: string,
  allowed: ReadonlySet<string>,
  what: 'user name' | 'group',
): void {
  if (name.startsWith('system:') && !allowed.has(name)) {
    throw new Refusal('identity_reserved', `the ${what} begins with "system:"`)
  }
}

export function unusable(what: Named, why: string): Refusal {
  return new Refusal('identity_unusable', `the ${what} ${why}`)
}
