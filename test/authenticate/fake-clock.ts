import type { Clock } from '../../lib/authenticate/clock.js'

export interface FakeClock extends Clock {
  /** Runs what falls due, in order, with the clock at its time. */
  advance(ms: number): Promise<void>
  /** Milliseconds from now at which something is due, ascending. */
  readonly due: readonly number[]
}

export function createFakeClock(): FakeClock {
  let now = 0
  let timers: { readonly at: number; readonly run: () => void }[] = []
  return {
    now: () => now,
    after: (ms, run) => {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
    advance: async ms => {
      const end = now + ms
      await turns()
      for (;;) {
        const next = timers.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > end) break
        timers = timers.filter(other => other !== next)
        now = Math.max(now, next.at)
        next.run()
        // What was run may schedule more.
        // oxlint-disable-next-line no-await-in-loop
        await turns()
      }
      now = end
      await turns()
    },
    get due() {
      return timers.map(timer => timer.at - now).toSorted((a, b) => a - b)
    },
  }
}

/** Lets everything run that waits for nothing from outside. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await new Promise<void>(resolve => {
      setImmediate(resolve)
    })
  }
}

/** Waits for something that happens on its own. */
export async function until(happened: () => boolean): Promise<void> {
  while (!happened()) {
    // oxlint-disable-next-line no-await-in-loop
    await turns()
  }
}
