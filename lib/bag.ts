/** Some things, in no order. */
export interface Bag<T> {
  readonly size: number
  /** Returns what takes it out again, once. */
  add(thing: T): () => void
  values(): T[]
}

/**
 * Not a `Set`: as requests enter and leave, it is rebuilt again and again, and the discarded tables keep
 * what was in the later ones. (docs/decisions/0034-what-requests-leave-behind.md)
 */
export function createBag<T>(): Bag<T> {
  const places: Array<{ readonly thing: T; at: number }> = []
  return {
    get size() {
      return places.length
    },
    add(thing) {
      const place = { thing, at: places.length }
      places.push(place)
      return () => {
        if (places[place.at] !== place) return
        const last = places.pop()!
        if (last === place) return
        places[place.at] = last
        last.at = place.at
      }
    },
    values: () => places.map(({ thing }) => thing),
  }
}
