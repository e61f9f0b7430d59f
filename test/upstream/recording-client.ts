import type { Readable } from 'node:stream'
import type { Client, HeaderList } from '../../lib/exchange.js'
import { Refusal } from '../../lib/refusal.js'

/** A client that notes what it is told, and does what a test wants. */
export class RecordingClient implements Client {
  readonly body: Readable | undefined
  started = false
  status = 0
  headers: HeaderList = []
  /** `invite`, `start`, `flush`, `end`, `abort`, in order. */
  readonly said: string[] = []
  readonly chunks: Buffer[] = []
  /** When true the connection is full after each chunk, until `drain`. */
  isSlow = false
  /** What `start` throws, where a field cannot be said. */
  cannotSay: Error | undefined
  readonly finished: Promise<boolean>
  #finish: (complete: boolean) => void = () => undefined
  readonly #writable: Array<() => void> = []
  readonly #gone: Array<() => void> = []
  readonly #asked: Array<(because: Refusal) => void> = []
  readonly #watching = new Set<() => void>()

  constructor(body?: Readable) {
    this.body = body
    this.finished = new Promise(resolve => (this.#finish = resolve))
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }

  /** Resolves as soon as this holds. */
  until(holds: (client: RecordingClient) => boolean): Promise<void> {
    return new Promise(resolve => {
      const look = (): void => {
        if (!holds(this)) return
        this.#watching.delete(look)
        resolve()
      }
      this.#watching.add(look)
      look()
    })
  }

  invite(): void {
    this.#note('invite')
  }

  start(status: number, headers: HeaderList): void {
    if (this.cannotSay) throw this.cannotSay
    this.started = true
    this.status = status
    this.headers = headers
    this.#note('start')
  }

  write(chunk: Buffer): boolean {
    this.chunks.push(Buffer.from(chunk))
    this.#changed()
    return !this.isSlow
  }

  flush(): void {
    this.#note('flush')
  }

  end(): void {
    this.#note('end')
    this.#finish(true)
  }

  abort(): void {
    this.#note('abort')
    this.#finish(false)
  }

  onWritable(listener: () => void): void {
    this.#writable.push(listener)
  }

  onGone(listener: () => void): void {
    this.#gone.push(listener)
  }

  onAskedToEnd(listener: (because: Refusal) => void): void {
    this.#asked.push(listener)
  }

  drain(): void {
    for (const listener of this.#writable) listener()
  }

  leave(): void {
    this.#finish(false)
    for (const listener of this.#gone) listener()
  }

  askToEnd(because = new Refusal('draining')): void {
    for (const listener of this.#asked) listener(because)
  }

  #note(what: string): void {
    this.said.push(what)
    this.#changed()
  }

  #changed(): void {
    for (const look of this.#watching) look()
  }
}
