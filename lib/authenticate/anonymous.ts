import type { RequestContext } from '../exchange.js'
import type { Identity } from '../identity.js'
import type { AnonymousAuthentication } from './configuration.js'

/** Who comes without a credential, as the API server calls him. */
export const anonymousIdentity: Identity = Object.freeze({
  username: 'system:anonymous',
  groups: Object.freeze(['system:unauthenticated']),
  extra: Object.freeze({}),
})

/**
 * Whether a request may come without a credential: where the configuration says so, and on a path that it
 * names if it names any. The path is compared as it was sent: one that is merely equivalent is another.
 */
export function allowsAnonymous(
  anonymous: AnonymousAuthentication | undefined,
  { head }: RequestContext,
): boolean {
  if (anonymous?.enabled !== true) return false
  if (anonymous.conditions.length === 0) return true
  const path = head.target.split('?', 1)[0]
  return anonymous.conditions.some(condition => condition.path === path)
}
