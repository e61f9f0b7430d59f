import { createBag } from '../bag.js'

/** What has to be over by a time of `performance.now()`. */
export interface Deadlines {
  /** Calls `late` when the time has come, some hundredths of the usual wait later; returns what to call before. */
  enter(until: number, late: () => void): () => void
}

/**
 * One clock for all that wait, in place of a timer each, which costs more than to look at every one of them from
 * time to time.
 *
 * @param usualMs how long most may wait
 */
export function createDeadlines(usualMs: number): Deadlines {
  const waiting = createBag<{ readonly until: number; readonly late: () => void }>()
  let clock: NodeJS.Timeout | undefined
  const look = (): void => {
    if (waiting.size === 0) {
      clearInterval(clock)
      clock = undefined
      return
    }
    const now = performance.now()
    for (const { until, late } of waiting.values()) if (until <= now) late()
  }
  return {
    enter(until, late) {
      clock ??= setInterval(look, Math.ceil(usualMs / 64)).unref()
      return waiting.add({ until, late })
    },
  }
}
