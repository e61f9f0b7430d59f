import { channel } from 'node:diagnostics_channel'
import type { Identity } from './identity.js'
import type { Grant } from './grant.js'
import type { Outcome, RequestContext } from './exchange.js'
import type { Refusal } from './refusal.js'

/** What happened in one exchange, published when it is over. */
export interface Exchange {
  readonly context: RequestContext
  readonly identity?: Identity | undefined
  readonly grant?: Grant | undefined
  readonly refusal?: Refusal | undefined
  readonly outcome: Outcome
  /** Of `performance.now()`, as `context.receivedAt`. */
  readonly endedAt: number
}

/** What an examination of the gateway's own credential comes to. */
export type RightsVerdict = 'least' | 'missing' | 'open' | 'excess' | 'unknown'

/** A request that never became one: refused while its head was read. */
export interface Malformed {
  readonly id: string
  readonly address: string
  readonly refusal: Refusal
}

/** Something an operator may want to read: a constant sentence and fields. */
export interface Notice {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly msg: string
  readonly fields?: Readonly<Record<string, unknown>>
}

export type StreamKind = 'watch' | 'log' | 'exec' | 'attach' | 'portforward' | 'proxy' | 'pprof'

interface Fact<T> {
  /** Ask before building an expensive message. */
  readonly heard: boolean
  publish(message: T): void
  subscribe(listener: (message: T) => void): () => void
}

function fact<T>(name: string): Fact<T> {
  const named = channel(`impersonation-gateway:${name}`)
  return {
    get heard() {
      return named.hasSubscribers
    },
    publish: message => named.publish(message),
    subscribe: listener => {
      // The channel carries only what `publish` above was given.
      const heard = (message: unknown): void => listener(message as T)
      named.subscribe(heard)
      return () => {
        named.unsubscribe(heard)
      }
    },
  }
}

/** The facts of this process. Log, metrics and tracing subscribe; nobody calls them. */
export const facts = {
  exchange: fact<Exchange>('exchange'),
  malformed: fact<Malformed>('malformed'),
  notice: fact<Notice>('notice'),
  /** `hit`: known; `shared`: waited for another request's verification; `miss`: verified. */
  token: fact<{ readonly result: 'hit' | 'miss' | 'shared' }>('token'),
  keysFetched: fact<{ readonly issuer: string; readonly result: 'ok' | 'error' }>('keys-fetched'),
  issuerReady: fact<{ readonly issuer: string; readonly ready: boolean }>('issuer-ready'),
  /** No tokens of the issuer are accepted any more. */
  issuerRemoved: fact<{ readonly issuer: string }>('issuer-removed'),
  reload: fact<{ readonly result: 'ok' | 'error' }>('reload'),
  /** `authorized`: allowed, or left to the API server; `denied`: not allowed, or not well-formed. */
  clientImpersonation: fact<{
    readonly action: 'stripped' | 'rejected' | 'authorized' | 'denied'
  }>('client-impersonation'),
  /** Groups of a token, just verified, that `--allowed-groups` and `--denied-groups` leave out. */
  groupsLeftOut: fact<{ readonly count: number }>('groups-left-out'),
  stream: fact<{ readonly kind: StreamKind; readonly change: 1 | -1 }>('stream'),
  privileged: fact<{ readonly privileged: boolean }>('privileged'),
  /** What an examination of the gateway's own credential came to. */
  credentialRights: fact<{ readonly verdict: RightsVerdict }>('credential-rights'),
} as const
