import { pino, type DestinationStream, type Logger } from 'pino'
import { facts, type Notice } from '../channels.js'
import { accessLine, levelOf, malformedLine, type AccessLine } from './access-line.js'
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
  const time = isoTime(options.now ?? Date.now)
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${time()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  )
  // Every request pays for its line, and the engine's own serialiser costs it half of what pino's does.
  const write = (level: string, line: AccessLine): void => {
    const fields = JSON.stringify(line).slice(1)
    destination.write(`{"level":"${level}","time":"${time()}","msg":"request",${fields}\n`)
    soon()
  }
  // While one write is under way a flush does nothing, and what came meanwhile would lie there until
  // the next line: it is repeated once the write is over.
  let repeat = false
  const flush = (): void => {
    repeat = true
    stderr?.flush()
  }
  stderr?.on('drain', () => {
    if (!repeat) return
    repeat = false
    stderr.flush()
  })
  // Lines that come close together go out together: a write each would cost as much as the line.
  let timer: NodeJS.Timeout | undefined
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined
      flush()
    }, gatherMs).unref()
  }
  const subscriptions = [
    facts.notice.subscribe(notice => {
      writeNotice(log, notice)
      flush()
    }),
    facts.exchange.subscribe(exchange => {
      const level = levelOf(exchange.refusal)
      if (log.isLevelEnabled(level)) write(level, accessLine(exchange))
    }),
    facts.malformed.subscribe(malformed => {
      const level = levelOf(malformed.refusal)
      if (log.isLevelEnabled(level)) write(level, malformedLine(malformed))
    }),
  ]
  let closed: Promise<void> | undefined
  return {
    flush: () => {
      if (!closed) stderr?.flushSync()
    },
    close: () => {
      for (const unsubscribe of subscriptions) unsubscribe()
      clearTimeout(timer)
      return (closed ??= ended(stderr))
    },
  }
}

/** How long a line may wait for others. */
const gatherMs = 50

/**
 * Standard error without waiting for it: a reader that stalls must not stall requests. Beyond 32 MiB of
 * lines that nobody reads, further ones are lost rather than the process.
 */
function openStandardError(): ReturnType<typeof pino.destination> {
  return pino.destination({
    fd: 2,
    sync: false,
    minLength: 60 * 1024,
    maxWrite: 64 * 1024,
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
function isoTime(now: () => number): () => string {
  let last = Number.NaN
  let text = ''
  return () => {
    const ms = now()
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
