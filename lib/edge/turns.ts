import type { Duplex } from 'node:stream'
import type { Client } from '../exchange.js'

/** More that wait on one connection, and it is not read for a while. */
const maxWaiting = 32

/**
 * What was read before that is parsed all the same: with fields as any client sends them these are fewer than a
 * hundred. Whoever writes more has made them small for it, to have us hold what is a hundred times their size.
 */
const mostWaiting = 256

/**
 * Whose turn it is on an HTTP/1 connection. Node's parser hands requests over as fast as it reads them, however many
 * before them are still being answered; here they are served one after the other, in the order in which
 * they came, so that a pipelining client holds no more than others, and what it sent behind a request that
 * ended the connection goes nowhere.
 */
export class Turns {
  readonly #lines = new WeakMap<Duplex, Line>()
  /** Connections that are open and had a request. */
  readonly #used = new Map<Duplex, Line>()
  readonly #overrun: (socket: Duplex) => void

  /** @param overrun called before a connection is destroyed on which too many wait */
  constructor(overrun: (socket: Duplex) => void) {
    this.#overrun = overrun
  }

  /**
   * Calls back when everything before is over: perhaps at once, never once the connection has ended.
   * @param isWhole whether the request has come to its end by now
   */
  next(socket: Duplex, then: () => void, isWhole = always): void {
    const line = this.#line(socket)
    if (line.open === undefined && line.waiting.length === 0) {
      if (socket.writable) then()
      return
    }
    if (socket.destroyed) return
    line.waiting.push({ begin: then, isWhole })
    if (line.waiting.length > mostWaiting) {
      line.waiting.length = 0
      this.#overrun(socket)
      socket.destroy()
      return
    }
    if (line.waiting.length < maxWaiting) return
    // Not now: at the end of this very request Node's parser goes on reading.
    process.nextTick(() => {
      if (line.waiting.length >= maxWaiting) socket.pause()
    })
  }

  /** It is this client's turn; returns what to call when it is over. */
  enter(socket: Duplex, client: Client): () => void {
    const line = this.#line(socket)
    line.open = client
    line.idleSince = undefined
    return () => {
      if (line.open !== client) return
      line.open = undefined
      line.idleSince = performance.now()
      while (line.open === undefined && socket.writable) {
        const next = line.waiting.shift()
        if (!next) return
        if (line.waiting.length === maxWaiting - 1) socket.resume()
        next.begin()
      }
    }
  }

  /** Ends the connections that have been without a request since then; those that never had one are others' affair. */
  endIdle(since: number): void {
    for (const [socket, line] of this.#used) {
      if (line.idleSince !== undefined && line.idleSince <= since) socket.destroy()
    }
  }

  /**
   * When something may be written straight to the connection, so that it cannot land inside, or in
   * place of, another's answer: now when nothing is open, or only the request that broke off in its
   * body; behind the others' answers; or never.
   */
  afterwards(socket: Duplex, then: (may: boolean) => void): void {
    const { open, waiting } = this.#line(socket)
    if (open?.body && !open.body.readableEnded) {
      then(!open.started)
      return
    }
    // Whose body broke off before its turn never gets one.
    if (waiting.at(-1)?.isWhole() === false) waiting.pop()
    this.next(socket, () => then(true))
  }

  #line(socket: Duplex): Line {
    let line = this.#lines.get(socket)
    if (line === undefined) {
      line = { open: undefined, idleSince: undefined, waiting: [] }
      this.#lines.set(socket, line)
      socket.on('error', ignore)
      if (!socket.closed) {
        this.#used.set(socket, line)
        socket.once('close', () => this.#used.delete(socket))
      }
    }
    return line
  }
}

interface Line {
  open: Client | undefined
  idleSince: number | undefined
  readonly waiting: Array<{ readonly begin: () => void; readonly isWhole: () => boolean }>
}

const always = (): boolean => true

const ignore = (): void => undefined
