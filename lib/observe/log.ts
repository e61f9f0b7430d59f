import { pino, type DestinationStream, type Logger } from 'pino'
import { facts, type Notice } from '../channels.js'
import { accessFields, levelOf, malformedFields } from './access-line.js'
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
  const gathered = stderr && gather(stderr)
  const destination = options.destination ?? gathered ?? process.stderr
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
  const write = (level: string, fields: string): void => {
    destination.write(`{"level":"${level}","time":"${time()}","msg":"request",${fields}}\n`)
  }
  const subscriptions = [
    facts.notice.subscribe(notice => {
      writeNotice(log, notice)
      gathered?.pass()
    }),
    facts.exchange.subscribe(exchange => {
      const level = levelOf(exchange.refusal)
      if (log.isLevelEnabled(level)) write(level, accessFields(exchange))
    }),
    facts.malformed.subscribe(malformed => {
      const level = levelOf(malformed.refusal)
      if (log.isLevelEnabled(level)) write(level, malformedFields(malformed))
    }),
  ]
  let closed: Promise<void> | undefined
  return {
    flush: () => {
      if (closed) return
      gathered?.pass()
      stderr?.flushSync()
    },
    close: () => {
      for (const unsubscribe of subscriptions) unsubscribe()
      gathered?.pass()
      return (closed ??= ended(stderr))
    },
  }
}

interface Gathered extends DestinationStream {
  /** Hands over what is held back. */
  pass(): void
}

/**
 * Hands on lines that come close together as one text: a write each would cost as much as the line. Here and
 * not in the stream, which measures all it holds anew with every line.
 */
function gather(stream: DestinationStream): Gathered {
  let held = ''
  let timer: NodeJS.Timeout | undefined
  const pass = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (held === '') return
    const text = held
    held = ''
    stream.write(text)
  }
  return {
    write: line => {
      held += line
      if (held.length >= gatherCharacters) pass()
      else timer ??= setTimeout(pass, gatherMs).unref()
    },
    pass,
  }
}

/** How long a line may wait for others. */
const gatherMs = 50
const gatherCharacters = 48 * 1024

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
