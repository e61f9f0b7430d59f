import type { Client, Outcome } from '../exchange.js'

/** A client as the edge sees it: it can also be told that its connection, or its stream, is to end. */
export interface EdgeClient extends Client {
  /** Whether the connection carries several exchanges at once. */
  readonly isMultiplexed: boolean
  /** The connection takes no further request after this answer. To be called before `start`. */
  closeAfterwards(): void
  /** The gateway wants this exchange over. */
  askToEnd(): void
  /** The gateway waits no longer: `abort`, and the outcome says why. */
  cut(): void
  readonly isCut: boolean
}

/** How an exchange ended, told apart from a client's own leaving. */
export const outcomeFor = ({ isCut }: EdgeClient, outcome: Outcome): Outcome =>
  isCut && outcome.ended !== 'complete' ? { ...outcome, ended: 'cut_by_shutdown' } : outcome

/** Who wants to know that a client left, or that it should be let go. */
export class Departures {
  #gone: Array<() => void> | undefined = []
  #asked: Array<() => void> | undefined = []
  #isAsked = false
  #outcome: boolean | undefined
  #settle: ((complete: boolean) => void) | undefined
  #finished: Promise<boolean> | undefined

  /** Calls back at once when the client is gone already. */
  onGone(listener: () => void): void {
    if (this.#gone) this.#gone.push(listener)
    else if (this.#outcome === false) listener()
  }

  onAskedToEnd(listener: () => void): void {
    this.#asked?.push(listener)
    if (this.#isAsked) listener()
  }

  askToEnd(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    for (const listener of this.#asked ?? []) listener()
  }

  /** @param complete whether the client has its whole answer */
  left(complete: boolean): void {
    if (this.#outcome !== undefined) return
    this.#outcome = complete
    this.#settle?.(complete)
    const listeners = this.#gone
    this.#gone = undefined
    this.#asked = undefined
    if (!complete) for (const listener of listeners ?? []) listener()
  }

  get finished(): Promise<boolean> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome)
    return (this.#finished ??= new Promise(resolve => (this.#settle = resolve)))
  }
}
