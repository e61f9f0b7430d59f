/** Time that only goes forward, and a way to be called later. Tests bring their own. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Calls once, after so many milliseconds, unless what is returned is called first. */
  after(ms: number, run: () => void): () => void
}

/** The process's own; nothing scheduled on it keeps the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
