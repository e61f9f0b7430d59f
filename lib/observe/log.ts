import { pino, type DestinationStream, type Logger } from 'pino'
import { facts, type Exchange, type Malformed, type Notice } from '../channels.js'
import type { HeaderList } from '../exchange.js'
import type { Refusal } from '../refusal.js'
import { bounded } from './bounded.js'
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
  const now = options.now ?? Date.now
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    options.destination ?? stderr ?? process.stderr,
  )
  const subscriptions = [
    facts.notice.subscribe(notice => writeNotice(log, notice)),
    facts.exchange.subscribe(exchange => writeExchange(log, exchange)),
    facts.malformed.subscribe(malformed => writeMalformed(log, malformed)),
  ]
  return {
    flush: () => stderr?.flushSync(),
    close: async () => {
      for (const unsubscribe of subscriptions) unsubscribe()
      if (stderr) await new Promise<void>(resolve => stderr.flush(() => resolve()))
    },
  }
}

/**
 * Standard error without waiting for it: a reader that stalls must not stall requests. Beyond 32 MiB of
 * lines that nobody reads, further ones are lost rather than the process.
 */
function openStandardError(): ReturnType<typeof pino.destination> {
  return pino.destination({ fd: 2, sync: false, minLength: 0, maxLength: 32 * 1024 * 1024 })
}

function writeNotice(log: Logger, { level, msg, fields }: Notice): void {
  if (!log.isLevelEnabled(level)) return
  if (fields === undefined) {
    log[level](msg)
    return
  }
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    plain[name] = value instanceof Error ? describeError(value, { stack: false }) : value
  }
  log[level](plain, msg)
}

function writeExchange(log: Logger, exchange: Exchange): void {
  const { context, identity, grant, refusal, outcome, endedAt } = exchange
  const level = levelOf(refusal)
  if (!log.isLevelEnabled(level)) return
  const { head, info, peer } = context
  const query = head.target.indexOf('?')
  const userAgent = valueOf(head.headers, 'user-agent')
  log[level](
    {
      auditID: context.id,
      method: head.method,
      path: bounded(query < 0 ? head.target : head.target.slice(0, query), 1024),
      verb: info.verb,
      resource: info.resource,
      subresource: info.subresource,
      protocol: head.protocol,
      peer: peer.address,
      user: identity?.username,
      groups: identity?.groups.length,
      decision: grant?.decision ?? 'refused',
      status: outcome.status,
      reason: refusal?.code,
      ...(refusal && detailsOf(refusal)),
      durationMs: Math.round((endedAt - context.receivedAt) * 100) / 100,
      bytes: outcome.bytes,
      ended: outcome.ended,
      userAgent: userAgent === undefined ? undefined : bounded(userAgent, 256),
    },
    'request',
  )
}

/** The access line of what never became a request: of it only its sender is known. */
function writeMalformed(log: Logger, { id, address, refusal }: Malformed): void {
  const level = levelOf(refusal)
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      auditID: id,
      peer: address,
      decision: 'refused',
      status: refusal.status,
      reason: refusal.code,
      ...detailsOf(refusal),
    },
    'request',
  )
}

/** Our own mistakes are for somebody to act on; every other refusal is business as usual. */
const isOurs = (refusal: Refusal): boolean =>
  refusal.code === 'internal' || refusal.code === 'invariant'

const levelOf = (refusal: Refusal | undefined): 'info' | 'error' =>
  refusal !== undefined && isOurs(refusal) ? 'error' : 'info'

function detailsOf(refusal: Refusal): Record<string, unknown> {
  const { cause, message } = refusal
  return {
    ...(message !== refusal.toStatus().message && { detail: bounded(message, 1024) }),
    ...(isOurs(refusal) &&
      cause === undefined && { error: describeError(refusal, { stack: true }) }),
    ...(cause !== undefined && { error: describeError(cause, { stack: isOurs(refusal) }) }),
  }
}

function valueOf(headers: HeaderList, wanted: string): string | undefined {
  for (const [name, value] of headers) {
    if (name.length === wanted.length && name.toLowerCase() === wanted) return value
  }
  return undefined
}
