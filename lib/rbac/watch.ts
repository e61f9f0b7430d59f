import type { Findings } from './examination.js'

export interface RightsWatchOptions {
  /** Never rejects. */
  readonly examine: (signal: AbortSignal) => Promise<Findings>
  /** Called with the outcome of every examination. */
  readonly found: (findings: Findings) => void
  /** How long a start waits for the first. @default 3_000 ms */
  readonly startMs?: number
  /** How long one may take. @default 30_000 ms */
  readonly timeoutMs?: number
  /** @default 3_600_000 ms */
  readonly everyMs?: number
  /** When the outcome is unknown: the first pause, and each one after it twice as long, up to `mostRetryMs`. @default 10_000 ms */
  readonly retryMs?: number
  /** @default 600_000 ms */
  readonly mostRetryMs?: number
}

/** Looks at the rights of the gateway's credential, again and again. */
export interface RightsWatch {
  /** The first outcome; `unknown` when there is none in time. */
  readonly first: Promise<Findings>
  /** The last outcome. */
  readonly findings: Findings
  /**
   * Resolves when the first outcome that says anything came after the start had gone on without it, and says
   * excess: such a gateway would not have been started.
   */
  readonly late: Promise<Findings>
  close(): void
}

export function watchRights(options: RightsWatchOptions): RightsWatch {
  const { examine, found, startMs = 3_000, timeoutMs = 30_000 } = options
  const { everyMs = 3_600_000, retryMs = 10_000, mostRetryMs = 600_000 } = options
  let condemn: ((outcome: Findings) => void) | undefined
  const late = new Promise<Findings>(resolve => (condemn = resolve))
  const closing = new AbortController()
  let findings = unproven(`the API server has not answered within ${startMs / 1000} s`)
  let isSettled = false
  let hasStarted = false
  let pauseMs = retryMs
  let timer: NodeJS.Timeout | undefined

  const look = async (): Promise<Findings> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)])
    const outcome = await examine(signal)
    if (closing.signal.aborted) return outcome
    findings = outcome
    found(outcome)
    const isUnknown = outcome.verdict === 'unknown'
    if (!isUnknown && !isSettled) {
      isSettled = true
      if (hasStarted && outcome.verdict === 'excess') condemn?.(outcome)
    }
    timer = setTimeout(() => void look(), isUnknown ? Math.min(pauseMs, everyMs) : everyMs)
    timer.unref()
    pauseMs = isUnknown ? Math.min(pauseMs * 2, mostRetryMs) : retryMs
    return outcome
  }

  const first = Promise.race([look(), pause(startMs).then(() => findings)]).finally(
    () => (hasStarted = true),
  )
  return {
    first,
    late,
    get findings() {
      return findings
    },
    close() {
      closing.abort()
      clearTimeout(timer)
    },
  }
}

const unproven = (why: string): Findings => ({
  verdict: 'unknown',
  excess: [],
  missing: [],
  unknown: why,
  incomplete: true,
})

const pause = (ms: number): Promise<void> =>
  new Promise(resolve => void setTimeout(resolve, ms).unref())
