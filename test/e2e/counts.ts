/** What a run of the test runner counted, by its own words: `total`, `pass`, and where there are any `fail`, `todo`, `skip`. */
export type Counts = ReadonlyMap<string, number>

/** From the line with which it closes; a run that did not come to it is one failure. */
export function readCounts(tap: string): Counts {
  const [, words = 'total: 1, pass: 0, fail: 1'] =
    [...tap.matchAll(/^# \{ (total: .*) \}$/gm)].at(-1) ?? []
  return new Map(
    words.split(', ').map(word => {
      const [name = '', count] = word.split(': ')
      return [name, Number(count)]
    }),
  )
}

/** The closing line of several runs together. */
export function closingLine(runs: readonly Counts[]): string {
  const names = new Set(runs.flatMap(run => [...run.keys()]))
  const sum = (name: string): number => runs.reduce((all, run) => all + (run.get(name) ?? 0), 0)
  return `# { ${[...names].map(name => `${name}: ${String(sum(name))}`).join(', ')} }`
}
