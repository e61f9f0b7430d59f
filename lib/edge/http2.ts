import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { HeaderList, RequestHead } from '../exchange.js'
import type { Refusal } from '../refusal.js'
import { Departures, type EdgeClient } from './edge-client.js'
import { RequestBody } from './request-body.js'

/** A client that speaks HTTP/2: one stream of its connection. */
export class Http2Client implements EdgeClient {
  readonly body: RequestBody | undefined
  started = false
  isCut = false
  readonly isMultiplexed = true
  readonly #stream: ServerHttp2Stream
  readonly #departures = new Departures()
  #awaitsInvitation: boolean
  readonly #isHead: boolean
  #close = false
  /** The answer is over with its head: HTTP/2 has ended it then, whatever the API server still says. */
  #isBodiless = false
  #ended = false

  constructor(stream: ServerHttp2Stream, head: RequestHead) {
    this.#stream = stream
    this.#isHead = head.method === 'HEAD'
    this.body = head.hasBody ? new RequestBody(stream, () => !stream.aborted) : undefined
    this.#awaitsInvitation =
      head.hasBody && head.headers.some(([name]) => name.toLowerCase() === 'expect')
    stream.once('close', () =>
      this.#departures.left(this.#ended && stream.writableFinished && !stream.aborted),
    )
    stream.on('error', ignore)
    this.body?.on('error', ignore)
  }

  invite(): void {
    if (!this.#awaitsInvitation || this.#stream.destroyed) return
    this.#awaitsInvitation = false
    this.#stream.additionalHeaders({ ':status': 100 })
  }

  start(status: number, headers: HeaderList): void {
    // Without a prototype: `constructor` is a field name like any other.
    const fields: OutgoingHttpHeaders = Object.create(null)
    fields[':status'] = status
    for (const [name, value] of headers) {
      const lower = name.toLowerCase()
      const before = fields[lower]
      if (before === undefined) fields[lower] = value
      else fields[lower] = [...(Array.isArray(before) ? before : [String(before)]), value]
    }
    this.#isBodiless = this.#isHead || bodiless.has(status)
    this.#stream.respond(fields)
    this.#stream.once('finish', () => this.#left())
    this.started = true
  }

  write(chunk: Buffer): boolean {
    return this.#isBodiless || this.#stream.write(chunk)
  }

  /** HTTP/2 sends the head at once. */
  flush(): void {}

  end(): void {
    this.#ended = true
    this.#stream.end()
  }

  abort(): void {
    // `close` ends an answer before it resets the stream, and a client believes the end; `destroy` with an
    // error resets alone, with INTERNAL_ERROR.
    this.#stream.destroy(new Error('the answer broke off'))
  }

  cut(): void {
    this.isCut = true
    this.abort()
  }

  closeAfterwards(): void {
    this.#close = true
  }

  onWritable(listener: () => void): void {
    this.#stream.on('drain', listener)
  }

  onGone(listener: () => void): void {
    this.#departures.onGone(listener)
  }

  onAskedToEnd(listener: (because: Refusal) => void): void {
    this.#departures.onAskedToEnd(listener)
  }

  askToEnd(because: Refusal): void {
    this.#departures.askToEnd(because)
  }

  get asked(): Refusal | undefined {
    return this.#departures.asked
  }

  get finished(): Promise<boolean> {
    return this.#departures.finished
  }

  #left(): void {
    // Of an answer that must have no body nobody waits for more: who still sends one is let go of.
    this.#departures.left(this.#ended && !this.#stream.aborted)
    // Nobody reads the rest of the body: tell the client to stop (RFC 9113, 8.1).
    if (this.body && !this.body.received) this.#stream.close(constants.NGHTTP2_NO_ERROR)
    // GOAWAY: streams that are open go on, new ones need another connection.
    if (this.#close) this.#stream.session?.close()
  }
}

const bodiless: ReadonlySet<number> = new Set([204, 205, 304])
const ignore = (): void => undefined
