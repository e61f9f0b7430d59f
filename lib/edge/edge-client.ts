import type { Client, Outcome } from '../exchange.js'
import type { Refusal } from '../refusal.js'

/** A client as the edge sees it: it can also be told that its connection, or its stream, is to end. */
export interface EdgeClient extends Client {
  /** Whether the connection carries several exchanges at once. */
  readonly isMultiplexed: boolean
  /** The connection takes no further request after this answer. To be called before `start`. */
  closeAfterwards(): void
  /** The gateway wants this exchange over; only the first reason counts. */
  askToEnd(because: Refusal): void
  /** Why it was asked to end, if it was. */
  readonly asked: Refusal | undefined
  /** The gateway waits no longer: `abort`, and the outcome says why. */
  cut(): void
  readonly isCut: boolean
}

/** How an exchange ended, told apart from a client's own leaving. */
export function outcomeFor({ asked, isCut }: EdgeClient, outcome: Outcome): Outcome {
  // Also of one that could be ended well: it would have gone on.
  if (asked?.code === 'token_expired') return { ...outcome, ended: 'token_expired' }
  return isCut && outcome.ended !== 'complete' ? { ...outcome, ended: 'cut_by_shutdown' } : outcome
}

/** Who wants to know that a client left, or that it should be let go. */
export class Departures {
  #gone: Array<() => void> | undefined = []
  #listeners: Array<(because: Refusal) => void> | undefined = []
  #asked: Refusal | undefined
  #outcome: boolean | undefined
  #settle: ((complete: boolean) => void) | undefined
  #finished: Promise<boolean> | undefined

  /** Calls back at once when the client is gone already. */
  onGone(listener: () => void): void {
    if (this.#gone) this.#gone.push(listener)
    else if (this.#outcome === false) listener()
  }

  onAskedToEnd(listener: (because: Refusal) => void): void {
    this.#listeners?.push(listener)
    if (this.#asked) listener(this.#asked)
  }

  get asked(): Refusal | undefined {
    return this.#asked
  }

  askToEnd(because: Refusal): void {
    if (this.#asked) return
    this.#asked = because
    for (const listener of this.#listeners ?? []) listener(because)
  }

  /** @param complete whether the client has its whole answer */
  left(complete: boolean): void {
    if (this.#outcome !== undefined) return
    this.#outcome = complete
    this.#settle?.(complete)
    const listeners = this.#gone
    this.#gone = undefined
    this.#listeners = undefined
    if (!complete) for (const listener of listeners ?? []) listener()
  }

  get finished(): Promise<boolean> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome)
    return (this.#finished ??= new Promise(resolve => (this.#settle = resolve)))
  }
}
