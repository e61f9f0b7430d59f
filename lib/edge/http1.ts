import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { HeaderList, RequestHead } from '../exchange.js'
import type { Refusal } from '../refusal.js'
import { RequestBody } from './request-body.js'
import { Departures, type EdgeClient } from './edge-client.js'

/** A client that speaks HTTP/1.0 or 1.1. */
export class Http1Client implements EdgeClient {
  readonly body: RequestBody | undefined
  started = false
  isCut = false
  readonly isMultiplexed = false
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  protected readonly departures = new Departures()
  #awaitsInvitation: boolean
  #close = false
  #written = false
  /** The first bytes of the body, until the end of this turn: perhaps they are all of it. */
  #held: string | undefined
  #flushed = false
  #onWritable: (() => void) | undefined
  #listens = false

  constructor(request: IncomingMessage, response: ServerResponse, head: RequestHead) {
    this.#request = request
    this.#response = response
    this.body = head.hasBody ? new RequestBody(request) : undefined
    this.#awaitsInvitation =
      head.hasBody && head.protocol === 'HTTP/1.1' && request.headers.expect !== undefined
    response.on('close', () => this.departures.left(response.writableFinished))
    this.body?.on('error', ignore)
  }

  invite(): void {
    if (!this.#awaitsInvitation) return
    this.#awaitsInvitation = false
    this.#response.writeContinue()
  }

  start(status: number, headers: HeaderList): void {
    const list: string[] = []
    for (const [name, value] of headers) list.push(name, value)
    // What the client still sends cannot be told from its next request once it is not read to the end.
    if (this.#close || this.#unread) list.push('Connection', 'close')
    this.#response.writeHead(status, list)
    this.started = true
    process.nextTick(flush, this)
  }

  write(chunk: Buffer): boolean {
    const isFirst = !this.#written
    this.#written = true
    // Head and text leave as one string, in one write and one TLS record; a buffer would go beside the head.
    if (isFirst && chunk.length <= oneRecord) {
      const text = chunk.toString('latin1')
      if (this.#flushed) return this.#say(text)
      this.#held = text
      return true
    }
    this.#sayHeld()
    return this.#say(chunk)
  }

  flush(): void {
    this.#flushed = true
    if (this.#held !== undefined) this.#sayHeld()
    // The head left with the first chunk; flushing would cost another write of nothing.
    else if (!this.#written && !this.#response.writableEnded) this.#response.flushHeaders()
  }

  end(): void {
    if (this.body && this.#unread) {
      this.#sayHeld()
      this.body.discard(() => this.#response.end())
    } else if (this.#held !== undefined) this.#response.end(this.#held, 'latin1')
    else this.#response.end()
    this.#held = undefined
  }

  abort(): void {
    const { socket } = this.#request
    // Where the end of the answer is the end of the connection, only a reset is no end.
    // (`resetAndDestroy` says goodbye first, which its peer believes; what makes the reset is set by name.)
    if (!(socket instanceof TLSSocket)) Object.assign(socket, { resetAndClosing: true })
    // Without TLS's own goodbye, the end of its connection is no end either.
    socket.destroy()
  }

  cut(): void {
    this.isCut = true
    this.abort()
  }

  closeAfterwards(): void {
    this.#close = true
  }

  onWritable(listener: () => void): void {
    this.#onWritable = listener
  }

  onGone(listener: () => void): void {
    this.departures.onGone(listener)
  }

  onAskedToEnd(listener: (because: Refusal) => void): void {
    this.departures.onAskedToEnd(listener)
  }

  askToEnd(because: Refusal): void {
    this.departures.askToEnd(because)
  }

  get asked(): Refusal | undefined {
    return this.departures.asked
  }

  get finished(): Promise<boolean> {
    return this.departures.finished
  }

  #sayHeld(): void {
    if (this.#held !== undefined) this.#say(this.#held)
    this.#held = undefined
  }

  /** @param part text of Latin-1, or bytes */
  #say(part: string | Buffer): boolean {
    const isFull =
      typeof part === 'string' ? !this.#response.write(part, 'latin1') : !this.#response.write(part)
    if (isFull && !this.#listens) {
      this.#listens = true
      this.#response.on('drain', () => this.#onWritable?.())
    }
    return !isFull
  }

  get #unread(): boolean {
    return this.body !== undefined && !this.body.received
  }
}

/** As much as a TLS record holds, with a head of usual size before it. */
const oneRecord = 12 * 1024

const flush = (client: Http1Client): void => client.flush()

const ignore = (): void => undefined
