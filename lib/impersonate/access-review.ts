import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { Seats } from '../seats.js'

/** The `spec` of a SubjectAccessReview (`authorization.k8s.io/v1`). */
export interface AccessQuestion {
  readonly user: string
  readonly groups: readonly string[]
  readonly uid?: string
  readonly extra?: Readonly<Record<string, readonly string[]>>
  readonly resourceAttributes: {
    readonly verb: 'impersonate'
    readonly group: '' | 'authentication.k8s.io'
    readonly version: 'v1'
    readonly resource: 'users' | 'serviceaccounts' | 'groups' | 'uids' | 'userextras'
    readonly subresource?: string
    readonly namespace?: string
    readonly name: string
  }
}

export interface AccessReviewOptions {
  /** Creates the review. Rejects when the API server gives no answer. */
  readonly ask: (question: AccessQuestion, signal: AbortSignal) => Promise<boolean>
  /** How many reviews there may be at a time, users taking turns. @default as `Seats` has it */
  readonly seats?: Seats
  /** With the time that it has to wait for its turn. @default 5_000 ms */
  readonly timeoutMs?: number
  /** How long an answer is remembered, yes and no alike. @default 10_000 ms */
  readonly rememberMs?: number
  /** Answers remembered. @default 10_000 */
  readonly max?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Whether the API server allows it. Rejects when that cannot be found out. */
export type AccessReview = (question: AccessQuestion) => Promise<boolean>

/**
 * Asks the API server what somebody may do, each thing once at a time and at most every ten seconds. An
 * answer is remembered under the whole question: another group of the asker's is another question.
 */
export function createAccessReview(options: AccessReviewOptions): AccessReview {
  const { ask, timeoutMs = 5_000, rememberMs = 10_000, now = () => performance.now() } = options
  const answers = new LRUCache<string, { readonly allowed: boolean; readonly until: number }>({
    max: options.max ?? 10_000,
  })
  const seats = options.seats ?? new Seats()
  const underway = new Map<string, Promise<boolean>>()

  const find = async (key: string, question: AccessQuestion): Promise<boolean> => {
    try {
      // The answer is everybody's who waits for it: no single client's leaving may end it.
      const signal = AbortSignal.timeout(timeoutMs)
      const allowed = await seats.run(question.user, signal, () => ask(question, signal))
      answers.set(key, { allowed, until: now() + rememberMs })
      return allowed
    } finally {
      underway.delete(key)
    }
  }

  return question => {
    // Its order is that of the code that writes it: the same question is the same text.
    const key = hash('sha256', JSON.stringify(question), 'base64url')
    const known = answers.get(key)
    if (known !== undefined && now() < known.until) return Promise.resolve(known.allowed)
    let pending = underway.get(key)
    if (pending === undefined) {
      pending = find(key, question)
      underway.set(key, pending)
    }
    return pending
  }
}
