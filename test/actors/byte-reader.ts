import type { Duplex } from 'node:stream'

/** The other side stopped sending before what was asked for had come. */
export class EndOfBytes extends Error {
  /** What had come until then, unread. */
  readonly rest: Buffer
  constructor(rest: Buffer) {
    super(`the connection ended, ${String(rest.length)} bytes were left`)
    this.name = 'EndOfBytes'
    this.rest = rest
  }
}

/**
 * How a connection ended: in order, by a reset (or another fault), or not yet. A reset that arrives in
 * one breath with data looks like `fin` to Node (libuv reports the hang-up as an end), so what proves a
 * cut is framing left incomplete.
 */
export type Closed = 'fin' | 'rst' | 'open'

/**
 * Reads a socket byte for byte, one reader at a time. Everything that came is kept in `received`, so
 * that a test can look at the bytes themselves.
 */
export class ByteReader {
  readonly #chunks: Buffer[] = []
  #unread = Buffer.alloc(0)
  #ended = false
  #closed: Closed = 'open'
  #wake: (() => void) | undefined
  /** Resolves when the other side can send no more, and says how it ended. */
  readonly gone: Promise<Exclude<Closed, 'open'>>

  constructor(socket: Duplex) {
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#unread = Buffer.concat([this.#unread, chunk])
      this.#wake?.()
    })
    this.gone = new Promise(resolve => {
      const over = (): void => {
        this.#ended = true
        if (this.#closed === 'open') this.#closed = 'fin'
        this.#wake?.()
        resolve(this.#closed === 'rst' ? 'rst' : 'fin')
      }
      socket.on('error', () => {
        this.#closed = 'rst'
      })
      socket.once('end', over)
      socket.once('close', over)
    })
  }

  /** Every byte that has come so far. */
  get received(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  /** What has come and was not read yet. */
  get unread(): Buffer {
    return this.#unread
  }

  /** Whether the other side has stopped sending, and how. */
  get closed(): Closed {
    return this.#closed
  }

  /**
   * Reads until `done` finds an end in the unread bytes: the count of bytes to take, or -1 for "more".
   * @throws EndOfBytes
   */
  async take(done: (unread: Buffer) => number): Promise<Buffer> {
    for (;;) {
      const length = done(this.#unread)
      if (length >= 0 && length <= this.#unread.length) {
        const taken = this.#unread.subarray(0, length)
        this.#unread = this.#unread.subarray(length)
        return taken
      }
      if (this.#ended) throw new EndOfBytes(this.#unread)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  /** Up to and with `marker`. @throws EndOfBytes */
  async upTo(marker: string): Promise<Buffer> {
    return this.take(unread => {
      const at = unread.indexOf(marker, 0, 'latin1')
      return at < 0 ? -1 : at + marker.length
    })
  }

  /** @throws EndOfBytes */
  async exactly(length: number): Promise<Buffer> {
    return this.take(() => length)
  }

  /** Whatever is there, at least one byte; empty when the other side has stopped. */
  async some(): Promise<Buffer> {
    try {
      return await this.take(unread => (unread.length === 0 ? -1 : unread.length))
    } catch (error) {
      if (error instanceof EndOfBytes) return Buffer.alloc(0)
      throw error
    }
  }
}
