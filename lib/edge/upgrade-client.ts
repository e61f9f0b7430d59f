import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Socket } from 'node:net'
import type { HeaderList, RequestHead } from '../exchange.js'
import { Http1Client } from './http1.js'

/** What a client may send before it has its 101; more has to wait in its own buffers. */
const maxEarlyBytes = 64 * 1024

/**
 * A client that asked for another protocol. Node's parser has let go of its connection: either the connection is
 * switched, or it gets one ordinary answer, and ends.
 */
export class UpgradeClient extends Http1Client {
  readonly #socket: Duplex
  readonly #response: ServerResponse
  readonly #early: Buffer[]
  readonly #hold: (chunk: Buffer) => void
  readonly #left: () => void

  /** @param early what followed the head in the same packet */
  static of(request: IncomingMessage, socket: Duplex, early: Buffer, head: RequestHead) {
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    // The connection of an `upgrade` event is a socket, by whatever name; the types stay vaguer.
    response.assignSocket(socket as Socket)
    return new UpgradeClient(request, response, socket, early, head)
  }

  private constructor(
    request: IncomingMessage,
    response: ServerResponse,
    socket: Duplex,
    early: Buffer,
    head: RequestHead,
  ) {
    super(request, response, head)
    this.#socket = socket
    this.#response = response
    this.#early = early.length > 0 ? [early] : []
    let held = early.length
    this.#hold = chunk => {
      this.#early.push(chunk)
      held += chunk.length
      if (held >= maxEarlyBytes) socket.pause()
    }
    // Whoever goes before being answered is gone, however politely.
    this.#left = () => {
      this.departures.left(false)
      if (!this.started) socket.destroy()
    }
    socket.on('error', ignore)
    // Reading is the only way to learn that the client left.
    socket.on('data', this.#hold).on('end', this.#left).once('close', this.#left)
    response.once('finish', () => {
      this.departures.left(true)
      socket.end()
      setTimeout(() => socket.destroy(), 1_000).unref()
    })
  }

  switchProtocols(headers: HeaderList): Duplex {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const socket = this.#socket
    this.started = true
    this.#response.detachSocket(socket as Socket)
    socket.off('data', this.#hold).off('end', this.#left)
    socket.pause()
    for (const chunk of this.#early.toReversed()) socket.unshift(chunk)
    if (socket instanceof Socket) {
      socket.setTimeout(0)
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 30_000)
    }
    socket.write(Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`, 'latin1'))
    return socket
  }

  override abort(): void {
    this.#socket.destroy()
  }
}

const ignore = (): void => undefined
