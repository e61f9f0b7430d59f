import { pino, type DestinationStream, type Logger } from 'pino'
import { facts, type Exchange, type Malformed, type Notice } from '../channels.js'
import { accessFields, levelOf, malformedFields } from './access-line.js'
import { inBatches } from './batch.js'
import { describeError } from './error.js'

export interface LogOptions {
  /** Least level that is written. */
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** @default standard error, written asynchronously */
  readonly destination?: DestinationStream
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
}

export interface Log {
  /** Writes what is still held back, now; for the moment before a sudden end. */
  flush(): void
  /** Stops listening; resolves when every line is written. */
  close(): Promise<void>
}

/**
 * Writes what happens in this process as JSON lines: notices as they are, and one access line an
 * exchange. Of a request's header fields only `User-Agent` is ever looked at, and what looks like a
 * token in it is blanked: the log cannot hold a credential.
 */
export function createLog(options: LogOptions): Log {
  const stderr = options.destination === undefined ? openStandardError() : undefined
  const destination = options.destination ?? stderr ?? process.stderr
  const now = options.now ?? Date.now
  const isoTime = remembersLast()
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${isoTime(now())}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  )
  const lines = inBatches<Line>(all => {
    let text = ''
    for (const { level, ms, of } of all) {
      const fields = 'outcome' in of ? accessFields(of) : malformedFields(of)
      text += `{"level":"${level}","time":"${isoTime(ms)}","msg":"request",${fields}}\n`
    }
    destination.write(text)
  })
  const write = (of: Exchange | Malformed): void => {
    const level = levelOf(of.refusal)
    if (log.isLevelEnabled(level)) lines.add({ level, ms: now(), of })
  }
  const subscriptions = [
    facts.notice.subscribe(notice => {
      // What came before it stands before it.
      lines.pass()
      writeNotice(log, notice)
    }),
    facts.exchange.subscribe(write),
    facts.malformed.subscribe(write),
  ]
  let closed: Promise<void> | undefined
  return {
    flush: () => {
      if (closed) return
      lines.pass()
      stderr?.flushSync()
    },
    close: () => {
      for (const unsubscribe of subscriptions) unsubscribe()
      lines.pass()
      return (closed ??= ended(stderr))
    },
  }
}

/** A request that is over, or was none. */
interface Line {
  readonly level: 'info' | 'error'
  readonly ms: number
  readonly of: Exchange | Malformed
}

/**
 * Standard error without waiting for it: a reader that stalls must not stall requests. Beyond 32 MiB of
 * lines that nobody reads, further ones are lost rather than the process.
 */
function openStandardError(): ReturnType<typeof pino.destination> {
  return pino.destination({
    fd: 2,
    sync: false,
    minLength: 0,
    maxLength: 32 * 1024 * 1024,
  })
}

async function ended(stream: ReturnType<typeof openStandardError> | undefined): Promise<void> {
  if (stream === undefined) return
  await new Promise<void>(resolve => {
    stream.once('close', resolve)
    stream.end()
  })
}

/** Many lines share a millisecond, and writing the date costs more than comparing it. */
function remembersLast(): (ms: number) => string {
  let last = Number.NaN
  let text = ''
  return ms => {
    if (ms !== last) {
      last = ms
      text = new Date(ms).toISOString()
    }
    return text
  }
}

function writeNotice(log: Logger, { level, msg, fields }: Notice): void {
  if (!log.isLevelEnabled(level)) return
  const plain = Object.entries(fields ?? {}).map(
    ([name, value]) =>
      [name, value instanceof Error ? describeError(value, { stack: false }) : value] as const,
  )
  log[level](Object.fromEntries(plain), msg)
}
