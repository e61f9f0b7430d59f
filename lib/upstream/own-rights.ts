import { askReview, type Reviewer } from './review.js'

/** What the gateway asks about itself, with its own credential and in nobody's name. */
export type OwnReview = 'SelfSubjectAccessReview' | 'SelfSubjectRulesReview'

/**
 * Creates a review of the gateway's own rights and gives its `status`. Takes nothing of any client. Rejects
 * when the API server does not answer, or answers with anything but such a review.
 */
export function askOwnRights(
  cluster: Reviewer,
  kind: OwnReview,
  spec: object,
  signal: AbortSignal,
): Promise<unknown> {
  return askReview(cluster, { kind, spec, as: 'gateway', inKind: true }, signal)
}
