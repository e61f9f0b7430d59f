import { askReview, member, type Reviewer } from './review.js'

/**
 * Asks the API server, with the gateway's own credential, whether somebody may do something:
 * SubjectAccessReview, `authorization.k8s.io/v1`. Rejects when it does not say.
 * @param spec the review's
 */
export async function subjectAccess(
  cluster: Reviewer,
  spec: object,
  signal: AbortSignal,
): Promise<boolean> {
  const question = { kind: 'SubjectAccessReview', spec, as: 'gateway' } as const
  const status = await askReview(cluster, question, signal)
  const allowed = member(status, 'allowed')
  if (typeof allowed !== 'boolean') throw new Error('the answer says neither yes nor no')
  return allowed && member(status, 'denied') !== true
}
