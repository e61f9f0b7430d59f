import type { Duplex, Readable } from 'node:stream'
import type { Refusal } from './refusal.js'
import type { RequestInfo } from './request-info.js'

/** Header fields as received: order, case and repeats kept; values as Latin-1 code units, one a byte. */
export type HeaderList = ReadonlyArray<readonly [name: string, value: string]>

export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'

/** The head of a request that the edge found well-formed. */
export interface RequestHead {
  readonly protocol: Protocol
  readonly method: string
  /** Request target exactly as received; never decoded or normalised. */
  readonly target: string
  readonly headers: HeaderList
  /** Whether the client announced a body: by its framing, not by its method. */
  readonly hasBody: boolean
  /** The protocol asked for, lower-cased, when this is an upgrade. */
  readonly upgrade?: string
}

/** The other end of the client's connection, trusted proxies seen through. */
export interface Peer {
  /** An IP address, without port; an IPv4 address is never written as IPv6. */
  readonly address: string
  readonly encrypted: boolean
}

/** A request that was received, about which nothing is known yet. */
export interface RequestContext {
  /** A UUID: the `Audit-ID` of everything said about this request. */
  readonly id: string
  /** Monotonic milliseconds, of `performance.now()`. */
  readonly receivedAt: number
  readonly head: RequestHead
  readonly info: RequestInfo
  readonly peer: Peer
  /** Stands for the client's connection; only ever a key to remember something under. */
  readonly connection?: object | undefined
  /** Fires when the client goes away, or the gateway stops. */
  readonly signal: AbortSignal
}

/** How an exchange ended, as the client saw it. */
export interface Outcome {
  /** The status that was sent; 0 when the client was gone before any was. */
  readonly status: number
  /** Bytes of the answer's body handed to the client's connection. */
  readonly bytes: number
  readonly ended:
    | 'complete'
    | 'client_gone'
    | 'upstream_broke'
    | 'cut_by_shutdown'
    /** By us, with the token that it was opened with: well where that could be said, cut elsewhere. */
    | 'token_expired'
}

/** The client's side of an exchange: where the answer goes, and where the request's body comes from. */
export interface Client {
  /** The request's body, paused; `undefined` when none was announced. */
  readonly body: Readable | undefined
  /** True once `start` was called: from then on a refusal can only be an `abort`. */
  readonly started: boolean
  /**
   * Answers an upgrade with 101 and these fields; what is returned is the connection itself from then on,
   * beginning with what the client sent early. Only where `RequestHead.upgrade` is set.
   */
  switchProtocols?(headers: HeaderList): Duplex
  /** Tells a client that waits for it (`Expect: 100-continue`) to send the body; else does nothing. */
  invite(): void
  /**
   * Sends status and header fields, with what is written in the same turn; the fields must not name the connection's own (`Connection`, framing).
   * @throws when a field cannot be said in the client's protocol; nothing was sent then.
   */
  start(status: number, headers: HeaderList): void
  /** False when the connection is full: wait for `onWritable`. */
  write(chunk: Buffer): boolean
  /** Sends now what would wait for the end of this turn. */
  flush(): void
  /** Ends the answer well: complete for every client. */
  end(): void
  /** Ends the connection (HTTP/1) or the stream (HTTP/2) so that the client sees a transport error. */
  abort(): void
  /** Called each time a full connection drains. */
  onWritable(listener: () => void): void
  /** Called once, when the client left before the answer was complete. */
  onGone(listener: () => void): void
  /**
   * Called once, when the gateway wants this exchange over and can wait for a good moment; `because` is what a
   * client is told that has no answer yet.
   */
  onAskedToEnd(listener: (because: Refusal) => void): void
  /** Resolves when the answer has left (true), or cannot any more (false). */
  readonly finished: Promise<boolean>
}
