import { createBag } from '../bag.js'
import { Refusal } from '../refusal.js'
import type { RequestInfo } from '../request-info.js'

/** An exchange that is under way. */
export interface OpenExchange {
  readonly info: RequestInfo
  /** Whether it asked for another protocol: nobody here knows how to end that. */
  readonly isUpgrade: boolean
  readonly client: { askToEnd(because: Refusal): void; cut(): void }
}

/** What did not end by itself. */
export interface Cut {
  readonly cut: number
  /** Those among them that should have ended by themselves: all but upgrades (exec, attach, port-forward). */
  readonly lost: number
}

export interface DrainOptions {
  /** From the first signal to the end. */
  readonly graceMs: number
  /** How long new requests are still served, while load balancers learn that we go. @default 2_000 ms */
  readonly announceMs?: number
  /** In [0, 1); spreads the ends of streams over the grace period. @default Math.random */
  readonly random?: () => number
}

/** What is open, and how it comes to an end. */
export interface Drain {
  /**
   * `serving`; `announced`: not ready any more, but everything is served; `refusing`: what comes now is
   * told to go elsewhere.
   */
  readonly phase: 'serving' | 'announced' | 'refusing'
  readonly open: number
  /** Returns what to call when the exchange is over. */
  enter(exchange: OpenExchange): () => void
  /**
   * Ends everything: short requests in their own time; watches and logs spread over the grace period, so that
   * their clients do not come back all at once; the rest at its end.
   * Resolves when nothing is open, with what had to be cut.
   */
  begin(refusing: () => void): Promise<Cut>
}

export function createDrain(options: DrainOptions): Drain {
  const { graceMs, random = Math.random } = options
  const announceMs = Math.min(options.announceMs ?? 2_000, graceMs / 2)
  const open = createBag<OpenExchange>()
  let phase: Drain['phase'] = 'serving'
  let emptied: (() => void) | undefined
  const untilEmpty = (atMostMs: number): Promise<void> =>
    new Promise(resolve => {
      const deadline = setTimeout(resolve, atMostMs)
      emptied = () => {
        clearTimeout(deadline)
        resolve()
      }
      if (open.size === 0) emptied()
    })

  return {
    get phase() {
      return phase
    },
    get open() {
      return open.size
    },
    enter(exchange) {
      const leave = open.add(exchange)
      return () => {
        leave()
        if (open.size === 0) emptied?.()
      }
    },
    async begin(refusing) {
      phase = 'announced'
      await pause(announceMs)
      phase = 'refusing'
      refusing()
      const timers = open
        .values()
        .filter(endsEarly)
        .map(({ client }) =>
          // A fifth of the time is left for streams that are in the middle of a line.
          setTimeout(
            () => client.askToEnd(new Refusal('draining')),
            random() * 0.8 * (graceMs - announceMs),
          ),
        )
      await untilEmpty(graceMs - announceMs)
      for (const timer of timers) clearTimeout(timer)
      const cut = open.values()
      for (const { client } of cut) client.cut()
      // Each still says how it ended.
      if (cut.length > 0) await untilEmpty(lastWordsMs)
      return { cut: cut.length, lost: cut.filter(({ isUpgrade }) => !isUpgrade).length }
    },
  }
}

const lastWordsMs = 1_000

/** Clients of these come back by themselves and miss nothing. */
const endsEarly = ({ isUpgrade, info: { longRunning } }: OpenExchange): boolean =>
  !isUpgrade && (longRunning === 'watch' || longRunning === 'log' || longRunning === 'proxy')

const pause = (ms: number): Promise<void> => new Promise(resolve => void setTimeout(resolve, ms))
