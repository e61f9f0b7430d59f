import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { facts } from '../channels.js'
import { Refusal } from '../refusal.js'
import type { Verdict, Waiting } from './authenticator.js'

type Authenticated = Extract<Verdict, { outcome: 'authenticated' }>

/** A verdict as it was found out. Only one with a proof is remembered, and only while that is live. */
export interface Judgement {
  readonly verdict: Verdict
  readonly proof?: { readonly live: boolean }
}

export interface VerdictsOptions {
  /** Finds out. The signal fires when nobody waits for the verdict any more. */
  readonly judge: (
    token: string,
    digest: string,
    signal: AbortSignal,
  ) => Promise<Judgement> | Judgement
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: (() => number) | undefined
  /** Verdicts remembered. @default 10_000 */
  readonly max?: number
}

/**
 * Remembers whom a token belongs to, so that it is verified once, however often and however many at
 * a time it comes. Tokens are known by a digest under a key of this process alone: a dump of the memory
 * of verdicts gives no token and cannot be matched against any. The token itself is kept as long as the
 * connection that it last came on, and no verdict with it.
 */
export interface Verdicts {
  /** Without a promise when it is remembered, and then always the same object. */
  decide(token: string, waiting: Waiting): Promise<Verdict> | Verdict
}

export function createVerdicts({ judge, now = Date.now, max = 10_000 }: VerdictsOptions): Verdicts {
  // As long as a block of the hash, so that the token has blocks of its own; the digests never leave us.
  const secret = randomBytes(32).toString('hex')
  const remembered = new LRUCache<
    string,
    Required<Judgement> & { readonly verdict: Authenticated }
  >({
    max,
    maxSize: maxRememberedCharacters,
    sizeCalculation: ({ verdict }) => sizeOf(verdict),
  })
  const flights = new Map<string, Flight>()
  /** Of each connection the last token that was known: to compare it costs a tenth of its digest. */
  const lastSeen = new WeakMap<object, { readonly token: string; readonly digest: string }>()

  const remember = (digest: string, { verdict, proof }: Judgement): Verdict => {
    if (verdict.outcome === 'authenticated' && proof?.live)
      remembered.set(digest, { verdict, proof })
    return verdict
  }

  return {
    decide: (token, requester) => {
      const { connection } = requester
      const last = connection && lastSeen.get(connection)
      const isLast = last?.token === token
      const digest = isLast ? last.digest : hash('sha256', secret + token, 'base64url')
      const known = remembered.get(digest)
      if (known !== undefined && known.proof.live) {
        tell('hit')
        if (now() < known.verdict.expiresAt * 1000) {
          if (connection !== undefined && !isLast) lastSeen.set(connection, { token, digest })
          return known.verdict
        }
        remembered.delete(digest)
        return { outcome: 'rejected', refusal: new Refusal('token_expired') }
      }
      if (known !== undefined) remembered.delete(digest)

      const underway = flights.get(digest)
      if (underway !== undefined) {
        tell('shared')
        return underway.join(requester.signal)
      }
      tell('miss')
      const abort = new AbortController()
      const judging = judge(token, digest, abort.signal)
      if (!(judging instanceof Promise)) return remember(digest, judging)
      const flight: Flight = createFlight(
        judging.then(judgement => remember(digest, judgement)),
        abandoned => {
          if (flights.get(digest) === flight) flights.delete(digest)
          if (abandoned) abort.abort()
        },
      )
      flights.set(digest, flight)
      return flight.join(requester.signal)
    },
  }
}

/** Bounds the memory where ten thousand identities with hundreds of long names would not. */
const maxRememberedCharacters = 64 * 1024 * 1024

/** Characters, near enough: of every name that the identity has, and some for what holds them. */
function sizeOf({ identity }: Authenticated): number {
  const { username, uid = '', groups, extra } = identity
  return Object.entries(extra).reduce(
    (size, [key, values]) => size + key.length + total(values),
    256 + username.length + uid.length + total(groups),
  )
}

const total = (names: readonly string[]): number =>
  names.reduce((size, name) => size + name.length, 0)

function tell(result: 'hit' | 'miss' | 'shared'): void {
  if (facts.token.heard) facts.token.publish({ result })
}

/** A verdict that several requests wait for. One that leaves takes nothing from the others. */
interface Flight {
  join(signal: AbortSignal): Promise<Verdict>
}

/** @param over called when the verdict is there, and when the last one waiting has left without it */
function createFlight(verdict: Promise<Verdict>, over: (abandoned: boolean) => void): Flight {
  let waiting = 0
  // Whoever waits has its own copy of a rejection.
  verdict.finally(() => over(false)).catch(() => {})
  return {
    join: signal =>
      new Promise<Verdict>((resolve, reject) => {
        const leave = (): void => {
          reject(new Refusal('client_gone'))
          waiting -= 1
          if (waiting === 0) over(true)
        }
        waiting += 1
        if (signal.aborted) return leave()
        signal.addEventListener('abort', leave, { once: true })
        verdict.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
      }),
  }
}
