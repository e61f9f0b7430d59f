/** Things that happened, dealt with together. */
export interface Batch<T> {
  add(thing: T): void
  /** Deals now with what there is. */
  pass(): void
}

/**
 * Deals with what happens at each request for many requests at once, a moment later: between the stages of a
 * request the same work costs several times as much, since nothing that it needs is at hand then.
 *
 * @param deal called with a hundred and some things at most, not later than 50 ms after the first of them; never
 *   with none
 */
export function inBatches<T>(deal: (things: readonly T[]) => void): Batch<T> {
  let things: T[] = []
  let timer: NodeJS.Timeout | undefined
  const pass = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (things.length === 0) return
    const all = things
    things = []
    deal(all)
  }
  return {
    add(thing) {
      things.push(thing)
      if (things.length === most) pass()
      else timer ??= setTimeout(pass, longestMs).unref()
    },
    pass,
  }
}

const most = 128
const longestMs = 50
