import type { Secret } from '../secret.js'
import { askReview, isStrings, member, type Reviewer } from './review.js'

/**
 * Asks the API server whom it takes a token for: SelfSubjectReview, `authentication.k8s.io/v1`
 * (KEP-3325, since Kubernetes 1.28). Rejects when it does not say.
 */
export async function selfSubject(
  cluster: Reviewer,
  token: Secret,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly groups: readonly string[] }> {
  const status = await askReview(cluster, { kind: 'SelfSubjectReview', as: token }, signal)
  const user = member(status, 'userInfo')
  const username = member(user, 'username')
  const groups = member(user, 'groups') ?? []
  if (typeof username !== 'string' || username === '' || !isStrings(groups)) {
    throw new Error('the answer names no user')
  }
  return { username, groups }
}
