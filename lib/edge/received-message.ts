import { IncomingMessage } from 'node:http'

/**
 * A request as Node's HTTP/1 server hands it over, for `http.ServerOptions.IncomingMessage`. One that announces no
 * body is over with its head: it never goes through the turns of a stream that flows to its end and is closed,
 * which cost more than everything that is decided about it.
 */
export class ReceivedMessage extends IncomingMessage {
  #isEmpty = false

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || this.#announcesBody) return super.push(chunk, encoding)
    this.#isEmpty = true
    return false
  }

  /** Node asks for the rest of what nobody has read. */
  override resume(): this {
    return this.#isEmpty ? this : super.resume()
  }

  static isEmpty(message: ReceivedMessage): boolean {
    return message.#isEmpty
  }

  /** Nothing else does (RFC 9112, 6.3). */
  get #announcesBody(): boolean {
    const { headers } = this
    return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
  }
}

// Node's types have it as a field of each instance, which an accessor may not stand in for.
Object.defineProperty(ReceivedMessage.prototype, 'readableEnded', {
  get(this: ReceivedMessage): unknown {
    return (
      ReceivedMessage.isEmpty(this) || Reflect.get(IncomingMessage.prototype, 'readableEnded', this)
    )
  },
})
