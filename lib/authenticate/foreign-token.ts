import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from '../identity.js'
import { Refusal } from '../refusal.js'
import { Seats } from '../seats.js'
import type { Secret } from '../secret.js'
import type { Authenticator, AnyVerdict } from './authenticator.js'

/** What the API server says of a token (TokenReview, `authentication.k8s.io/v1`). */
export type ReviewedToken =
  | { readonly authenticated: false }
  | {
      readonly authenticated: true
      readonly identity: Identity
      /** Those of the audiences asked about that the token is meant for. */
      readonly audiences: readonly string[]
    }

export interface ForeignTokenOptions {
  /**
   * Creates a TokenReview. Rejects when the API server gives no answer. Absent where there is no credential to
   * ask with: then the API server judges the token when it is forwarded.
   */
  readonly review?: (
    token: Secret,
    audiences: readonly string[],
    signal: AbortSignal,
  ) => Promise<ReviewedToken>
  /** A token must be meant for one of them. @default whatever the API server takes */
  readonly audiences?: readonly string[]
  /**
   * How many reviews there may be at a time of tokens that nobody knows yet, addresses taking turns.
   * @default as `Seats` has it
   */
  readonly seats?: Seats
  /** With the time that it has to wait for its turn. @default 5_000 ms */
  readonly timeoutMs?: number
  /** How long a verdict is remembered, good and bad alike. @default 10_000 ms */
  readonly rememberMs?: number
  /** Verdicts remembered: so many good ones, and so many bad ones. @default 10_000 */
  readonly max?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * Accepts tokens that the API server knows and we do not: of its service accounts, of another issuer, opaque
 * ones. It stands behind whoever knows tokens by themselves, and is asked only about what they abstain from.
 *
 * Tokens are remembered by a digest under a key of this process alone. Whoever sends tokens that are no good, as
 * many as he likes, gets no more than his share of the reviews; and a token that was good the last time is neither
 * forgotten for them nor waits behind them.
 */
export function createForeignToken(options: ForeignTokenOptions = {}): Authenticator<AnyVerdict> {
  const { review, audiences = [], now = () => performance.now() } = options
  const { timeoutMs = 5_000, rememberMs = 10_000, max = 10_000 } = options
  const name = 'token passthrough'
  if (review === undefined) {
    return { name, authenticate: ({ token }) => unreviewed(token, audiences) }
  }
  const secret = randomBytes(32).toString('hex')
  const good = new LRUCache<string, Remembered>({ max })
  const bad = new LRUCache<string, Remembered>({ max })
  const { seats = new Seats() } = options
  // They are as many as there are tokens that are good, every `rememberMs`.
  const seatsOfGood = new Seats({ perSecond: Infinity })
  const underway = new Map<string, Promise<AnyVerdict>>()

  const find = async (key: string, token: Secret, flow: string): Promise<AnyVerdict> => {
    try {
      // The verdict is everybody's who waits for it: no single client's leaving may end it.
      const signal = AbortSignal.timeout(timeoutMs)
      const ask = (): Promise<ReviewedToken> => review(token, audiences, signal)
      const reviewed = await (good.has(key) ? seatsOfGood : seats).run(flow, signal, ask)
      const verdict = verdictOf(reviewed, audiences, token)
      const isGood = verdict.outcome === 'foreign'
      if (!isGood) good.delete(key)
      ;(isGood ? good : bad).set(key, { verdict, until: now() + rememberMs })
      return verdict
    } catch (error) {
      throw new Refusal('token_review_unavailable', undefined, { cause: error })
    } finally {
      underway.delete(key)
    }
  }

  return {
    name,
    authenticate: ({ token }, { peer }) => {
      const key = hash('sha256', secret + token.reveal(), 'base64url')
      const known = good.get(key) ?? bad.get(key)
      if (known !== undefined && now() < known.until) return known.verdict
      let pending = underway.get(key)
      if (pending === undefined) {
        pending = find(key, token, networkOf(peer?.address ?? ''))
        underway.set(key, pending)
      }
      return pending
    },
  }
}

interface Remembered {
  readonly verdict: AnyVerdict
  readonly until: number
}

/** An IPv4 address as it is; of an IPv6 address the 64 bits that a network has, whose hosts are one party. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail = ''] = address.split('::')
  const first = head.split(':')
  const last = tail === '' ? [] : tail.split(':')
  const gap = address.includes('::') ? Array(8 - first.length - last.length).fill('0') : []
  return [...first, ...gap, ...last].slice(0, 4).join(':')
}

function verdictOf(
  reviewed: ReviewedToken,
  audiences: readonly string[],
  token: Secret,
): AnyVerdict {
  if (!reviewed.authenticated) return rejected('token_unknown')
  // An API server that does not know about audiences names none.
  if (audiences.length > 0 && !audiences.some(each => reviewed.audiences.includes(each))) {
    return rejected('token_audience')
  }
  const { exp } = unverified(token)
  const expiresAt = typeof exp === 'number' && exp > 0 ? exp : Infinity
  return { outcome: 'foreign', identity: reviewed.identity, expiresAt }
}

/** Whatever it says, the API server verifies it: a claim of a token that is no good helps nobody. */
function unreviewed(token: Secret, audiences: readonly string[]): AnyVerdict {
  if (audiences.length > 0) {
    const { aud } = unverified(token)
    const meant: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
    if (!audiences.some(each => meant.includes(each))) return rejected('token_audience')
  }
  return { outcome: 'foreign', expiresAt: Infinity }
}

/** Claims of a token that is a JWT, as it has them; nothing in them is proven. */
function unverified(token: Secret): { readonly aud?: unknown; readonly exp?: unknown } {
  const parts = token.reveal().split('.')
  try {
    const claims: unknown =
      parts.length === 3 ? JSON.parse(Buffer.from(parts[1]!, 'base64url').toString()) : {}
    return typeof claims === 'object' && claims !== null ? claims : {}
  } catch {
    return {}
  }
}

const rejected = (code: 'token_unknown' | 'token_audience'): AnyVerdict => ({
  outcome: 'rejected',
  refusal: new Refusal(code),
})
