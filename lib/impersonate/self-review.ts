import { facts } from '../channels.js'
import type { Identity } from '../identity.js'
import type { Secret } from '../secret.js'

/** Whom the API server takes a token for. */
export interface SelfSubject {
  readonly username: string
  readonly groups: readonly string[]
}

export interface SelfReviewOptions {
  /**
   * Creates a SelfSubjectReview (`authentication.k8s.io/v1`, KEP-3325) with the caller's token.
   * Rejects when the API server cannot say: it does not know the token or the API, or does not answer.
   */
  readonly ask: (token: Secret, signal: AbortSignal) => Promise<SelfSubject>
  /** @default 5_000 ms */
  readonly timeoutMs?: number
  /** How long "cannot say" is remembered. @default 10_000 ms */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** A caller with a token. */
interface Known {
  readonly identity: Identity
  readonly token: Secret
}

/**
 * Whether the API server takes the caller for the very identity that was mapped: then the caller's
 * token needs no `Impersonate-*`. Asked once a token, and remembered as long as its verdict.
 */
export type SelfReview = (known: Known) => boolean | Promise<boolean>

type Answer =
  { readonly same: boolean; readonly until: number } | { readonly pending: Promise<boolean> }

export function createSelfReview(options: SelfReviewOptions): SelfReview {
  const { ask, timeoutMs = 5_000, retryMs = 10_000, now = () => performance.now() } = options
  // The verdict's identity is one object as long as the verdict is remembered: so is the answer.
  const answers = new WeakMap<Identity, Answer>()

  const find = async ({ identity, token }: Known): Promise<boolean> => {
    try {
      // The answer is everybody's who waits for it: no single client's leaving may end it.
      const same = isSame(await ask(token, AbortSignal.timeout(timeoutMs)), identity)
      answers.set(identity, { same, until: Infinity })
      return same
    } catch (error) {
      answers.set(identity, { same: false, until: now() + retryMs })
      facts.notice.publish({
        level: 'debug',
        msg: 'the API server does not say whom it takes the caller for; impersonating',
        fields: { error: error instanceof Error ? error.message : String(error) },
      })
      return false
    }
  }

  return known => {
    const answer = answers.get(known.identity)
    if (answer && 'pending' in answer) return answer.pending
    if (answer && now() < answer.until) return answer.same
    const pending = find(known)
    answers.set(known.identity, { pending })
    return pending
  }
}

/** User name and set of groups; what every authenticated user is in does not count. */
function isSame(subject: SelfSubject, identity: Identity): boolean {
  const there = significant(subject.groups)
  const here = significant(identity.groups)
  return (
    subject.username === identity.username &&
    there.size === here.size &&
    [...here].every(group => there.has(group))
  )
}

const significant = (groups: readonly string[]): ReadonlySet<string> =>
  new Set(groups.filter(group => group !== 'system:authenticated'))
