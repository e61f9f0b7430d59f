import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HeaderList, RequestHead } from '../exchange.js'
import { Http1Client } from './http1.js'

/** What a client may send before it has its 101; more has to wait in its own buffers. */
const maxEarlyBytes = 64 * 1024

/** How long a client whose upgrade was refused may take to hang up. */
const hangUpMs = 500

/**
 * A client that asked for another protocol. Node's parser has let go of its connection: either the connection is
 * switched, or it gets one ordinary answer, and ends.
 */
export class UpgradeClient extends Http1Client {
  readonly #socket: Socket
  readonly #response: ServerResponse
  readonly #early: Buffer[]
  readonly #hold: (chunk: Buffer) => void
  readonly #ended: () => void

  /** @param early what followed the head in the same packet */
  static of(request: IncomingMessage, socket: Socket, early: Buffer, head: RequestHead) {
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    // Reported by the listener that sees the connection; here it would only be uncaught.
    response.on('error', ignore)
    return new UpgradeClient(request, response, socket, early, head)
  }

  private constructor(
    request: IncomingMessage,
    response: ServerResponse,
    socket: Socket,
    early: Buffer,
    head: RequestHead,
  ) {
    super(request, response, head)
    this.#socket = socket
    this.#response = response
    this.#early = early.length > 0 ? [early] : []
    let held = early.length
    this.#hold = chunk => {
      // Once it is answered, nothing that it says has a meaning; unread, it would turn our end into a reset.
      if (this.started) return
      this.#early.push(chunk)
      held += chunk.length
      if (held >= maxEarlyBytes) socket.pause()
    }
    // Whoever goes before being answered is gone, however politely.
    this.#ended = () => {
      if (!this.started) socket.destroy()
    }
    // Of the clocks that Node's server has set for an ordinary request none is for this one.
    socket.setTimeout(0)
    socket.on('error', ignore)
    // Reading is the only way to learn that the client left.
    socket.on('data', this.#hold).on('end', this.#ended)
    socket.once('close', () => this.departures.left(false))
    // Node's server does this for the connections that it has not let go of.
    socket.on('drain', () => response.emit('drain'))
    response.once('finish', () => {
      this.departures.left(true)
      socket.end()
      const timer = setTimeout(() => socket.destroy(), hangUpMs)
      socket.once('close', () => clearTimeout(timer))
    })
  }

  override start(status: number, headers: HeaderList): void {
    super.start(status, headers)
    this.#socket.resume()
  }

  switchProtocols(headers: HeaderList): Duplex {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const socket = this.#socket
    this.started = true
    this.#response.detachSocket(socket)
    socket.off('data', this.#hold).off('end', this.#ended)
    socket.pause()
    for (const chunk of this.#early.toReversed()) socket.unshift(chunk)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.write(Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`, 'latin1'))
    return socket
  }
}

const ignore = (): void => undefined
