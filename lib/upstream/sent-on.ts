import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** The connection that a request went out on. */
export class SentOn {
  readonly #socket: Socket
  readonly #before: number

  constructor(socket: Socket) {
    this.#socket = socket
    this.#before = socket.bytesRead
  }

  /**
   * Whether it had carried an answer before and said nothing to this request: the other side had closed it
   * already, or did while the request was on its way.
   */
  get wasDead(): boolean {
    return this.#before > 0 && this.#socket.bytesRead === this.#before
  }
}

/**
 * Calls back with the connection of the request that undici starts this very moment, if it gets so far. undici
 * names it on its diagnostics channel alone, right after `onConnect`.
 */
export function onceSent(then: (on: SentOn) => void): void {
  sending = then
}

let sending: ((on: SentOn) => void) | undefined

subscribe('undici:client:sendHeaders', message => {
  const then = sending
  sending = undefined
  if (!then) return
  // As undici documents the message.
  const { socket } = message as { readonly socket: Socket }
  then(new SentOn(socket))
})
