import type { Secret } from '../secret.js'
import { askReview, isStrings, member, type Reviewer } from './review.js'

/** What the API server says of a token. */
export type TokenReviewed =
  | { readonly authenticated: false }
  | {
      readonly authenticated: true
      readonly identity: {
        readonly username: string
        readonly uid?: string
        readonly groups: readonly string[]
        readonly extra: Readonly<Record<string, readonly string[]>>
      }
      readonly audiences: readonly string[]
    }

/**
 * Asks the API server, with the gateway's own credential, whose a token is: TokenReview,
 * `authentication.k8s.io/v1`. Rejects when it does not say.
 * @param audiences those that the token may be meant for; none for the API server's own
 */
export async function tokenReview(
  cluster: Reviewer,
  token: Secret,
  audiences: readonly string[],
  signal: AbortSignal,
): Promise<TokenReviewed> {
  const spec = { token: token.reveal(), ...(audiences.length > 0 && { audiences }) }
  const status = await askReview(cluster, { kind: 'TokenReview', spec, as: 'gateway' }, signal)
  const authenticated = member(status, 'authenticated') ?? false
  if (typeof status !== 'object' || status === null || typeof authenticated !== 'boolean') {
    throw new Error('the answer says neither yes nor no')
  }
  if (!authenticated) return { authenticated }
  const user = member(status, 'user')
  const username = member(user, 'username')
  const uid = member(user, 'uid')
  const groups = member(user, 'groups') ?? []
  const meant = member(status, 'audiences') ?? []
  if (typeof username !== 'string' || username === '' || !isStrings(groups) || !isStrings(meant)) {
    throw new Error('the answer names no user')
  }
  const identity = Object.freeze({
    username,
    ...(typeof uid === 'string' && uid !== '' && { uid }),
    groups: Object.freeze([...groups]),
    // Nothing is made of it: the token itself goes upstream.
    extra: Object.freeze({}),
  })
  return { authenticated, identity, audiences: meant }
}
