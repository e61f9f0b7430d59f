import { Transform, type Duplex } from 'node:stream'
import type { Boundary } from './boundary.js'

/** One end of a tunnel. */
export interface Side {
  readonly stream: Duplex
  /** Ends the connection so that its other end sees that it was cut, not that it is over. */
  cut(): void
}

export interface Tunnelled {
  /** Bytes that went to the client. */
  readonly bytes: number
  /** Who broke off; `undefined` when both sides said goodbye. */
  readonly broken: 'client' | 'upstream' | undefined
}

/** How the gateway itself ends a tunnel, when it has to. */
export interface Farewell {
  /** Calls back when it is time, with what the client is to be told. */
  whenDue(listener: (words: Uint8Array) => void): void
  /** Of what goes to the client: where it may be told. */
  readonly boundary: Boundary
}

export interface TunnelOptions {
  readonly farewell?: Farewell | undefined
  /** How often to look whether a side is still there that is not being read. @default 15_000 ms */
  readonly lookMs?: number
}

/**
 * Joins two connections until both are over. Each direction ends by itself (half-close), waits for the
 * slower side, and a connection that breaks takes the other with it, broken: what was cut must not look
 * complete. There is no time limit: a shell may be silent for days, also after one side has said its last word. But
 * whoever has gone is found out.
 *
 * With a farewell that is due, what the client says goes nowhere any more; it hears the rest of what is
 * half said, then the farewell and the end; the upstream side is cut.
 */
export function tunnel(
  client: Side,
  upstream: Side,
  { farewell, lookMs = 15_000 }: TunnelOptions = {},
): Promise<Tunnelled> {
  return new Promise(resolve => {
    let bytes = 0
    let parting = false
    let broken: Tunnelled['broken']
    let open = 2
    upstream.stream.on('data', (chunk: Buffer) => (bytes += chunk.length))

    const over = (
      side: Exclude<Tunnelled['broken'], undefined>,
      { stream }: Side,
      other: Side,
    ): void => {
      open -= 1
      if (!stream.readableEnded || !stream.writableFinished) {
        broken ??= side
        // What it said in full is still handed over in full; nothing else is waited for.
        if (stream.readableEnded && !other.stream.writableFinished) {
          other.stream.once('finish', () => other.cut())
          // Nobody is left who could want more of it than what it takes now.
          if (other === upstream) setTimeout(() => upstream.cut(), handOverMs).unref()
        } else if (other === upstream) upstream.cut()
        // A client that is hearing its farewell goes by itself, or is let go below.
        else if (!parting) handOver(client)
      }
      if (open > 0) return
      clearInterval(looking)
      resolve({ bytes, broken })
    }
    const looking = setInterval(() => {
      if (isGone(client.stream)) client.stream.destroy()
      // What it said before is still there to be read, by a client that takes its time.
      if (upstream.stream.readableEnded && isGone(upstream.stream)) upstream.stream.destroy()
    }, lookMs)
    looking.unref()
    whenClosed(client.stream, () => over('client', client, upstream))
    whenClosed(upstream.stream, () => over('upstream', upstream, client))
    // `pipe` pauses, resumes, and ends the other side when one ends.
    client.stream.pipe(upstream.stream)
    if (!farewell) {
      upstream.stream.pipe(client.stream)
      return
    }
    const gate = new Gate(farewell.boundary)
    upstream.stream.pipe(gate).pipe(client.stream)
    gate.once('parting', () => {
      parting = true
      upstream.cut()
    })
    farewell.whenDue(words => {
      client.stream.unpipe(upstream.stream)
      client.stream.resume()
      if (client.stream.writableFinished) letGo(client.stream)
      else client.stream.once('finish', () => letGo(client.stream))
      gate.close(words)
    })
  })
}

/**
 * Whether a connection was reset, or its keep-alive got no answer. Node hears of that by reading, and what has said its
 * last word, or waits for the other side to take what it has said, is not read. Of one that we have ended ourselves it
 * cannot be told: it may be over, and still have something to be read.
 */
function isGone(stream: Duplex): boolean {
  // Not documented, and all there is: the system knows no peer of a connection that is no more.
  const { _handle: handle } = stream as Duplex & {
    readonly _handle?: { getpeername?(out: object): number } | null
  }
  return !stream.writableEnded && !stream.destroyed && (handle?.getpeername?.({}) ?? 0) !== 0
}

/**
 * What was read before the break is not lost with it: an API server that is done with a command may close before it
 * has read everything, and the exit code is the last thing it said.
 */
function handOver(client: Side): void {
  const timer = setTimeout(() => client.cut(), handOverMs)
  client.stream.write(Buffer.alloc(0), () => {
    clearTimeout(timer)
    client.cut()
  })
}

const handOverMs = 5_000

/** How long a client that was told goodbye may take to hang up. */
const hangUpMs = 500

function letGo(stream: Duplex): void {
  const timer = setTimeout(() => stream.destroy(), hangUpMs)
  stream.once('close', () => clearTimeout(timer))
  if (stream.readableEnded) stream.destroy()
  else stream.once('end', () => stream.destroy())
}

/** Lets everything by, until it is to close: then up to the next boundary, and the last words. */
class Gate extends Transform {
  readonly #boundary: Boundary
  #words: Uint8Array = Buffer.alloc(0)
  #state: 'open' | 'closing' | 'closed' = 'open'

  constructor(boundary: Boundary) {
    super()
    this.#boundary = boundary
  }

  close(words: Uint8Array): void {
    this.#words = words
    if (this.#state === 'open') this.#state = 'closing'
    if (this.#state === 'closed' || this.#boundary.here) this.#part()
  }

  override _transform(chunk: Buffer, _encoding: unknown, done: () => void): void {
    if (this.#state === 'open') {
      this.#boundary.pass(chunk)
      this.push(chunk)
    } else if (this.#state === 'closing') {
      const rest = this.#boundary.finish(chunk)
      this.push(rest === undefined ? chunk : chunk.subarray(0, rest))
      if (rest !== undefined) this.#part()
    }
    done()
  }

  override _flush(done: () => void): void {
    this.#state = 'closed'
    done()
  }

  #part(): void {
    if (this.#state === 'closing') {
      this.#state = 'closed'
      this.push(this.#words)
      this.push(null)
    }
    this.emit('parting')
  }
}

/** It may have happened already. */
function whenClosed(stream: Duplex, then: () => void): void {
  stream.on('error', ignore)
  if (stream.closed) process.nextTick(then)
  else stream.once('close', then)
}

const ignore = (): void => undefined
