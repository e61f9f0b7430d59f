import { flawOf, flawOfEnds } from '../name.js'
import { Refusal } from '../refusal.js'

/** What is checked, for the log. */
export type Named = 'user name' | 'group' | 'uid' | 'extra'

/**
 * Whether a name, prefix included, arrives at the API server as it was meant; throws when not.
 * @throws Refusal `identity_unusable`
 */
export function checkUsable(name: string, what: Named): void {
  const flaw = flawOf(name)
  if (flaw !== undefined) throw unusable(what, flaw)
}

/**
 * The part of it that a prefix must not hide: no name, or one that differs from another in blanks alone.
 * @throws Refusal `identity_unusable`
 */
export function checkEnds(name: string, what: Named): void {
  const flaw = flawOfEnds(name)
  if (flaw !== undefined) throw unusable(what, flaw)
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
