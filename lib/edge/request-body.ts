import { Readable } from 'node:stream'

/**
 * A request's body at one remove from its connection: whoever consumes it may destroy it, as HTTP
 * clients do, and the client can still be answered.
 */
export class RequestBody extends Readable {
  readonly #source: Readable
  readonly #take = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#source.pause()
  }
  readonly #isWhole: () => boolean
  readonly #end = (): void => {
    if (this.#isWhole()) this.push(null)
    else this.destroy(incomplete())
  }
  readonly #broken = (): void => {
    if (!this.#source.readableEnded) this.destroy(incomplete())
  }

  /**
   * @param isWhole whether the end of the source is that of the body: Node ends an HTTP/2 stream as well that was
   * reset with NO_ERROR in its middle
   */
  constructor(source: Readable, isWhole = always) {
    super()
    this.#source = source
    this.#isWhole = isWhole
    source.on('data', this.#take).once('end', this.#end).once('close', this.#broken)
    source.on('error', this.#broken)
    source.pause()
    // An empty body may be over before anybody asks for it.
    if (source.readableEnded) this.#end()
  }

  override _read(): void {
    this.#source.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#source.off('data', this.#take).off('end', this.#end).off('close', this.#broken)
    this.#source.pause()
    done(error)
  }

  /** Whether the client has sent everything it announced. */
  get received(): boolean {
    return this.#source.readableEnded
  }

  /**
   * Throws away what the client still sends, so that it gets to read its answer, but not for ever.
   * Calls back when the rest is over, or the client sends more than it is worth.
   */
  discard(done: () => void, limits = { bytes: 256 * 1024, ms: 1_000 }): void {
    const source = this.#source
    this.destroy()
    let bytes = 0
    const over = (): void => {
      clearTimeout(timer)
      source.off('data', count).off('end', over).off('close', over)
      done()
    }
    const count = (chunk: Buffer): void => {
      bytes += chunk.length
      if (bytes > limits.bytes) over()
    }
    const timer = setTimeout(over, limits.ms)
    source.on('data', count).once('end', over).once('close', over)
    source.resume()
  }
}

const incomplete = (): Error => new Error('the client did not send the whole body')

const always = (): boolean => true
