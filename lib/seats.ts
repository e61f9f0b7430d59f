export interface SeatsOptions {
  /** How many questions may be under way at a time. @default 16 */
  readonly most?: number
  /** How many may wait beyond those. @default 1_000: what can be served in 5 s at 200 a second */
  readonly mostWaiting?: number
  /**
   * How many may begin in a second, after `burst` of them at once.
   * @default 200 and 400, as the API server's own clients for delegated decisions
   * (`DelegatingAuthenticationOptions` in `k8s.io/apiserver/pkg/server/options`); `Infinity` for no such limit
   */
  readonly perSecond?: number
  readonly burst?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * What strangers may make the gateway ask of somebody else: so many questions at a time, so many in a second, and a
 * queue of which each flow gets the same share, however much it puts there. A flow is whoever the questions are asked
 * for; when the queue is full, the one with most in it gives way.
 */
export class Seats {
  readonly #mostWaiting: number
  readonly #perSecond: number
  readonly #burst: number
  readonly #now: () => number
  #free: number
  #credit: number
  #creditAt: number
  /** In the order of their turns. */
  readonly #flows = new Map<string, Waiter[]>()
  #waiting = 0
  #later: NodeJS.Timeout | undefined

  constructor(options: SeatsOptions = {}) {
    const { most = 16, mostWaiting = 1_000, perSecond = 200, burst = 400 } = options
    this.#now = options.now ?? (() => performance.now())
    this.#mostWaiting = mostWaiting
    this.#perSecond = perSecond
    this.#burst = burst
    this.#free = most
    this.#credit = burst
    this.#creditAt = this.#now()
  }

  /**
   * Does the work when its turn has come, and gives what it gives. Rejects without it when there is no room to wait,
   * or the signal fires first.
   */
  async run<T>(flow: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#turn(flow, signal)
    try {
      return await work()
    } finally {
      this.#free += 1
      this.#serve()
    }
  }

  #turn(flow: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const leave = (): void => {
        this.#remove(flow, waiter)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = {
        begin: () => {
          signal.removeEventListener('abort', leave)
          resolve()
        },
        giveWay: () => {
          signal.removeEventListener('abort', leave)
          reject(new Error('too many questions are waiting to be asked'))
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      const line = this.#flows.get(flow)
      if (line === undefined) this.#flows.set(flow, [waiter])
      else line.push(waiter)
      this.#waiting += 1
      this.#serve()
      if (this.#waiting > this.#mostWaiting) this.#shorten()
    })
  }

  #serve(): void {
    while (this.#waiting > 0 && this.#free > 0 && this.#mayBegin()) {
      const waiter = this.#next()
      if (waiter === undefined) return
      this.#waiting -= 1
      this.#free -= 1
      waiter.begin()
    }
  }

  /** One of the flow whose turn it is; its next turn is behind all others. */
  #next(): Waiter | undefined {
    for (const [flow, line] of this.#flows) {
      this.#flows.delete(flow)
      const waiter = line.shift()
      if (line.length > 0) this.#flows.set(flow, line)
      return waiter
    }
    return undefined
  }

  /** Spends what it takes; else comes back when there is enough. */
  #mayBegin(): boolean {
    if (this.#perSecond === Infinity) return true
    const now = this.#now()
    const earned = ((now - this.#creditAt) / 1000) * this.#perSecond
    this.#credit = Math.min(this.#burst, this.#credit + earned)
    this.#creditAt = now
    if (this.#credit >= 1) {
      this.#credit -= 1
      return true
    }
    if (this.#later === undefined) {
      const untilNextMs = Math.ceil(((1 - this.#credit) / this.#perSecond) * 1000)
      this.#later = setTimeout(() => {
        this.#later = undefined
        this.#serve()
      }, untilNextMs)
    }
    return false
  }

  /** The newest of the longest line goes: of equally long ones, that of who came last. */
  #shorten(): void {
    let longest: [string, Waiter[]] | undefined
    for (const [flow, line] of this.#flows) {
      if (line.length >= (longest?.[1].length ?? 0)) longest = [flow, line]
    }
    const waiter = longest?.[1].at(-1)
    if (longest === undefined || waiter === undefined) return
    this.#remove(longest[0], waiter)
    waiter.giveWay()
  }

  #remove(flow: string, waiter: Waiter): void {
    const line = this.#flows.get(flow)
    const at = line?.indexOf(waiter) ?? -1
    if (line === undefined || at < 0) return
    line.splice(at, 1)
    if (line.length === 0) this.#flows.delete(flow)
    this.#waiting -= 1
  }
}

interface Waiter {
  readonly begin: () => void
  readonly giveWay: () => void
}
