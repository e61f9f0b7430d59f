import { setMaxListeners } from 'node:events'
import { LRUCache } from 'lru-cache'
import { facts } from '../channels.js'
import { Refusal } from '../refusal.js'
import { systemClock, type Clock } from './clock.js'
import type { PublishedKeys } from './published-keys.js'
import type { SigningKey } from './signing-key.js'
import type { ParsedToken } from './token.js'

export interface KeysOptions {
  /** For facts and messages. */
  readonly issuerUrl: string
  readonly published: PublishedKeys
  readonly policy?: KeysPolicy | undefined
  readonly clock?: Clock | undefined
  /** In [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined
}

export interface KeysPolicy {
  /** How often keys are asked for unasked. @default 300_000 */
  readonly refreshMs?: number
  /** How long keys are believed while the issuer fails. @default 86_400_000 */
  readonly keepKeysMs?: number
  /** From one fetch that a token caused to the next. @default 10_000 */
  readonly cooldownMs?: number
  /** Requests that may wait for the issuer at a time. @default 1_000 */
  readonly maxWaiting?: number
}

/** Stands for a verified signature for as long as its key is the issuer's. */
export interface Proof {
  readonly live: boolean
}

export interface Keys {
  /**
   * Whether the issuer signed this token: a proof, or the refusal that is known to be right. When no key
   * verifies it the issuer is asked again first, within the policy, and that is waited for.
   * @param digest stands for the token where it is remembered
   * @throws Refusal `keys_unavailable`, `issuer_unavailable` when it cannot be known; `client_gone`
   */
  verify(token: ParsedToken, digest: string, signal: AbortSignal): Promise<Proof | Refusal>
  /** Whether any key is known now. */
  readonly ready: boolean
  /** Whether the issuer was asked and has answered or failed, be it only once. */
  readonly answered: boolean
  /** For the readiness page: `ready`, or what is wrong. */
  state(): string
  /** Asks the issuer now, because something about the way there has changed. */
  refresh(): void
  close(): Promise<void>
}

/** What is known of a token after trying every key that could be meant. */
type Finding = Proof | 'unknown key' | 'unfit key' | 'wrong signature'

/** How long a token waits for keys right after the start. */
const firstAnswerMs = 2_000

/** Enough for any issuer's rotation, and a bound on what one token costs. */
const maxCandidates = 16

interface CausedFetch {
  /** Each fetch that a token caused has its number. */
  readonly round: number
  readonly ok: boolean
}

/**
 * An issuer's keys: fetched at start, refreshed unasked, kept while the issuer fails, and fetched once
 * more when a token needs it. Starts at once; what it holds is released by `close`.
 *
 * The two things it must not be: a way to make us flood the issuer (tokens cause at most one fetch in
 * a cool-down, however many come and whether it succeeds), and a reason to refuse a good token whose key
 * is a moment old (in the cool-down it waits for the next fetch instead).
 */
export function createKeys(options: KeysOptions): Keys {
  const { issuerUrl, published } = options
  const clock = options.clock ?? systemClock
  const random = options.random ?? Math.random
  const refreshMs = options.policy?.refreshMs ?? 300_000
  const keepKeysMs = options.policy?.keepKeysMs ?? 86_400_000
  const cooldownMs = options.policy?.cooldownMs ?? 10_000
  const maxWaiting = options.policy?.maxWaiting ?? 1_000
  const closing = new AbortController()
  // One listener a fetch and a wait, which is few; Node cannot know.
  setMaxListeners(0, closing.signal)

  // --- what is known

  let held: ReadonlyMap<string, SigningKey> = new Map()
  /** When the issuer last answered well; undefined before it ever has. */
  let goodAt: number | undefined
  let failure: string | undefined

  const fresh = (): boolean => goodAt !== undefined && clock.now() - goodAt <= keepKeysMs
  const isReady = (): boolean => held.size > 0 && fresh()

  const find = async (token: ParsedToken): Promise<Finding> => {
    if (!fresh()) return 'unknown key'
    const named = [...held.values()].filter(key => token.kid === undefined || key.kid === token.kid)
    const candidates = named.filter(key => key.fits(token.alg)).slice(0, maxCandidates)
    for (const key of candidates) {
      // One after the other: the first is nearly always the one.
      // oxlint-disable-next-line no-await-in-loop
      if (await key.verify(token)) {
        const proof = proofBy(key)
        // The set may have been replaced meanwhile.
        if (proof.live) return proof
      }
    }
    if (candidates.length > 0) return 'wrong signature'
    return named.length > 0 ? 'unfit key' : 'unknown key'
  }
  const proofBy = (key: SigningKey): Proof => ({
    get live() {
      return held.has(key.fingerprint) && fresh()
    },
  })

  // --- asking the issuer

  let fetching: Promise<boolean> | undefined
  let saidReady: boolean | undefined

  const fetch = (rediscover: boolean): Promise<boolean> =>
    (fetching ??= published(closing.signal, { rediscover })
      .then(adopt, complain)
      .finally(() => (fetching = undefined)))

  const idle = async (): Promise<void> => {
    const underway = fetching
    if (underway === undefined) return
    await underway
    await idle()
  }

  const adopt = (keys: readonly SigningKey[]): boolean => {
    // A key that stays keeps what was imported of it.
    const next = new Map(keys.map(key => [key.fingerprint, held.get(key.fingerprint) ?? key]))
    const changed =
      goodAt === undefined ||
      next.size !== held.size ||
      keys.some(key => !held.has(key.fingerprint))
    held = next
    goodAt = clock.now()
    const recovered = failure !== undefined
    failure = undefined
    facts.keysFetched.publish({ issuer: issuerUrl, result: 'ok' })
    if (changed) {
      const kids = [...held.values()].slice(0, maxCandidates).map(key => key.kid?.slice(0, 64))
      notice(held.size > 0 ? 'info' : 'warn', 'signing keys of the issuer changed', {
        keys: held.size,
        kids,
      })
    } else if (recovered) notice('info', 'signing keys of the issuer can be fetched again', {})
    sayReady()
    return true
  }

  const complain = (error: unknown): boolean => {
    if (closing.signal.aborted) return false
    const why = reasonOf(error)
    facts.keysFetched.publish({ issuer: issuerUrl, result: 'error' })
    if (why !== failure)
      notice('warn', 'signing keys of the issuer cannot be fetched', { reason: why })
    failure = why
    sayReady()
    return false
  }

  const notice = (level: 'info' | 'warn', msg: string, fields: Record<string, unknown>): void =>
    facts.notice.publish({ level, msg, fields: { issuer: issuerUrl, ...fields } })

  const sayReady = (): void => {
    const ready = isReady()
    // An answer that comes after the end is about an issuer that may have a successor, or none.
    if (ready === saidReady || closing.signal.aborted) return
    saidReady = ready
    facts.issuerReady.publish({ issuer: issuerUrl, ready })
  }

  // --- unasked: at start, from time to time, and with back-off while it fails

  let failures = 0
  let cancelRefresh: (() => void) | undefined

  const refreshIn = (ms: number): void => {
    cancelRefresh?.()
    if (closing.signal.aborted) return
    // Early rather than late, so that replicas drift apart and no promise is missed.
    cancelRefresh = clock.after(ms * (1 - random() / 10), () => void refresh())
  }

  const refresh = async (): Promise<void> => {
    // A fetch that a token caused does not look where the keys are.
    await idle()
    if (closing.signal.aborted) return
    failures = (await fetch(true)) ? 0 : failures + 1
    if (failures === 0) return refreshIn(refreshMs)
    const [first, most] = goodAt === undefined ? [1_000, 10_000] : [10_000, 300_000]
    refreshIn(Math.min(first * 2 ** (failures - 1), most))
  }

  // --- because of a token: once in a cool-down, for all that wait

  let round = 0
  let causedAt = -Infinity
  let caused: Promise<CausedFetch> | undefined
  let lastCaused: CausedFetch | undefined
  /** Tokens that no key verified even after asking, and after which asking. */
  const judged = new LRUCache<string, CausedFetch>({ max: 10_000 })

  const causeFetch = async (): Promise<CausedFetch> => {
    await cooledDown()
    await idle()
    causedAt = clock.now()
    round += 1
    const ok = closing.signal.aborted ? false : await fetch(false)
    if (ok) {
      failures = 0
      refreshIn(refreshMs)
    }
    lastCaused = { round, ok }
    return lastCaused
  }

  const askAgain = (): Promise<CausedFetch> =>
    (caused ??= causeFetch().finally(() => (caused = undefined)))

  const askedSince = (before: number): CausedFetch | undefined =>
    lastCaused !== undefined && lastCaused.round > before ? lastCaused : undefined

  const cooledDown = async (): Promise<void> => {
    const left = causedAt + cooldownMs - clock.now()
    if (left <= 0) return
    await new Promise<void>(resolve => {
      const cancel = clock.after(left, () => {
        closing.signal.removeEventListener('abort', stop)
        resolve()
      })
      const stop = (): void => {
        cancel()
        resolve()
      }
      closing.signal.addEventListener('abort', stop, { once: true })
    })
  }

  /** What asking again has brought; undefined when this very token had its turn in this cool-down. */
  const judgedBefore = (digest: string): CausedFetch | undefined => {
    const before = judged.get(digest)
    const current = before?.round === round && clock.now() - causedAt < cooldownMs
    return current ? before : undefined
  }

  let waiting = 0
  const wait = async <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> => {
    if (waiting >= maxWaiting) {
      throw new Refusal('issuer_unavailable', 'too many requests wait for the issuer')
    }
    waiting += 1
    try {
      return await unlessAborted(promise, signal)
    } finally {
      waiting -= 1
    }
  }

  const atMost = (ms: number, promise: Promise<unknown>): Promise<void> =>
    new Promise(resolve => {
      const cancel = clock.after(ms, resolve)
      void promise.finally(() => {
        cancel()
        resolve()
      })
    })

  void refresh()
  sayReady()

  return {
    verify: async (token, digest, signal) => {
      // The very first answer is worth a moment: nothing has gone wrong yet.
      if (goodAt === undefined && failure === undefined && fetching !== undefined) {
        await wait(atMost(firstAnswerMs, fetching), signal)
      }
      if (goodAt === undefined) {
        throw new Refusal(
          failure === undefined ? 'keys_unavailable' : 'issuer_unavailable',
          failure,
        )
      }
      const roundBefore = round
      let finding = await find(token)
      if (typeof finding === 'string' && caused === undefined && fetching !== undefined) {
        await wait(fetching, signal)
        finding = await find(token)
      }
      if (typeof finding !== 'string') return finding

      let outcome = judgedBefore(digest)
      if (outcome === undefined) {
        // While its signature was checked another token may have asked on behalf of both.
        outcome = askedSince(roundBefore) ?? (await wait(askAgain(), signal))
        finding = await find(token)
        if (typeof finding !== 'string') return finding
        judged.set(digest, outcome)
      }
      if (finding === 'wrong signature') return new Refusal('token_signature')
      if (finding === 'unfit key')
        return new Refusal('token_key', 'the key is for other algorithms')
      // Nobody could say that there is no such key.
      if (!outcome.ok) throw new Refusal('issuer_unavailable', failure)
      if (held.size === 0) throw new Refusal('keys_unavailable', 'the issuer has no signing key')
      return new Refusal('token_key')
    },
    get ready() {
      return isReady()
    },
    get answered() {
      return goodAt !== undefined || failure !== undefined
    },
    state: () => {
      if (isReady()) return failure === undefined ? 'ready' : `known keys kept: ${failure}`
      if (failure !== undefined) return `no key: ${failure}`
      return goodAt === undefined ? 'no key yet' : 'no key: the issuer has none'
    },
    refresh: () => void refresh(),
    close: async () => {
      closing.abort()
      cancelRefresh?.()
      await fetching
      await caused
    },
  }
}

/** A failure to connect to several addresses has a code and no message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message
  return 'code' in error ? String(error.code) : error.name
}

/** Rejects when the request is over; what it waited for goes on for the others. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const gone = (): void => reject(new Refusal('client_gone'))
    if (signal.aborted) return gone()
    signal.addEventListener('abort', gone, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', gone))
  })
}
