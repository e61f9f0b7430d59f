/** The name that somebody probably meant: the closest one, unless it differs in more than three places. */
export function nearest<Name extends string>(
  written: string,
  names: readonly Name[],
): Name | undefined {
  if (written.length > 64) return undefined
  const wanted = written.toLowerCase().replaceAll('_', '-')
  let best: Name | undefined
  let least = Math.min(4, Math.ceil(wanted.length / 2))
  for (const name of names) {
    const away = distance(wanted, name)
    if (away < least) {
      best = name
      least = away
    }
  }
  return best
}

/** Insertions, deletions and substitutions that lead from one text to the other (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j++) {
      const substituted = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1)
      next.push(Math.min(substituted, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
