import type { RoundResult } from './load.js'

/** What one round of one contender came to. */
export interface Sample extends RoundResult {
  readonly contender: string
  /** Rounds of one number ran one right after the other. */
  readonly round: number
  readonly requests: number
  /** Of the contender's process; absent where there is none, or it cannot be known. */
  readonly cpuMicroseconds?: number
}

/** Per contender: medians over the rounds. */
export function summary(title: string, samples: readonly Sample[]): string {
  const rows = names(samples).map(name => {
    const own = samples.filter(({ contender }) => contender === name)
    const middle = (of: (sample: Sample) => number | undefined): number | undefined =>
      median(own.map(of).filter(value => value !== undefined))
    return [
      name,
      shown(middle(cpuPerRequest), 1),
      shown(middle(throughput), 0),
      shown(
        middle(({ p50Ms }) => p50Ms),
        2,
      ),
      shown(
        middle(({ p99Ms }) => p99Ms),
        2,
      ),
      String(own.reduce((sum, { failures }) => sum + failures, 0)),
    ]
  })
  const head = ['', 'CPU µs/request', 'requests/s', 'p50 ms', 'p99 ms', 'failed']
  return `${title}\n${table([head, ...rows])}`
}

export interface Comparison {
  readonly label: string
  readonly of: string
  readonly to: string
  readonly by: 'cpu' | 'throughput' | 'p50' | 'p99'
}

/**
 * Medians of what each round by itself says, with the least and the most: contenders of one round saw
 * the same machine, those of different rounds may not have.
 */
export function comparisons(samples: readonly Sample[], wanted: readonly Comparison[]): string {
  const rows = wanted.flatMap(({ label, of, to, by }) => {
    const values = samples
      .filter(({ contender }) => contender === of)
      .map(sample => {
        const other = samples.find(
          ({ contender, round }) => contender === to && round === sample.round,
        )
        return other && compared(sample, other, by)
      })
      .filter(value => value !== undefined)
    if (values.length === 0) return []
    const unit = by === 'p50' || by === 'p99' ? ' ms' : ' ×'
    const all = [median(values), Math.min(...values), Math.max(...values)]
    const [middle, least, most] = all.map(value => shown(value, 2))
    return [[label, `${middle}${unit}`, `(${least} … ${most})`]]
  })
  return table(rows)
}

function compared(sample: Sample, other: Sample, by: Comparison['by']): number | undefined {
  switch (by) {
    case 'cpu': {
      const [mine, theirs] = [cpuPerRequest(sample), cpuPerRequest(other)]
      return mine === undefined || theirs === undefined || theirs === 0 ? undefined : mine / theirs
    }
    case 'throughput':
      return throughput(sample) / throughput(other)
    case 'p50':
      return sample.p50Ms - other.p50Ms
    case 'p99':
      return sample.p99Ms - other.p99Ms
    default:
      return by satisfies never
  }
}

const cpuPerRequest = ({ cpuMicroseconds, requests }: Sample): number | undefined =>
  cpuMicroseconds === undefined ? undefined : cpuMicroseconds / requests
const throughput = ({ requests, seconds }: Sample): number => requests / seconds

const names = (samples: readonly Sample[]): readonly string[] => [
  ...new Set(samples.map(({ contender }) => contender)),
]

/** Of an even number of values, the mean of the two in the middle. */
function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.ceil((sorted.length - 1) / 2)],
  ]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}

const shown = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? '–'

/** The first column to the left, the others to the right. */
function table(rows: ReadonlyArray<readonly string[]>): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map(row => row[at]?.length ?? 0)))
  return rows
    .map(row =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
        .join('   ')
        .trimEnd(),
    )
    .map(line => `  ${line}\n`)
    .join('')
}
