import type { Exchange, Malformed } from '../channels.js'
import type { HeaderList } from '../exchange.js'
import type { Refusal } from '../refusal.js'
import { bounded } from './bounded.js'
import { describeError, type DescribedError } from './error.js'

/** What is logged of one exchange, whoever ended it; what does not apply is `undefined`. */
export interface AccessLine {
  readonly auditID: string
  readonly method?: string
  /** Without the query, which may hold anything. */
  readonly path?: string
  readonly verb?: string
  readonly resource?: string | undefined
  readonly subresource?: string | undefined
  readonly protocol?: string
  readonly peer: string
  readonly user?: string | undefined
  /** How many. */
  readonly groups?: number | undefined
  /** Whom the user asked to act as, and may. */
  readonly actingAs?: string | undefined
  readonly decision: string
  readonly status: number
  /** The code of the refusal. */
  readonly reason?: string | undefined
  /** What the refusal says beyond its code. */
  readonly detail?: string | undefined
  readonly error?: DescribedError | undefined
  readonly durationMs?: number
  readonly bytes?: number
  readonly ended?: string
  readonly userAgent?: string | undefined
}

/** The access line of an exchange. `User-Agent` is the only header field that is looked at. */
export function accessLine(exchange: Exchange): AccessLine {
  const { context, identity, grant, refusal, outcome, endedAt } = exchange
  const { head, info } = context
  const query = head.target.indexOf('?')
  const userAgent = valueOf(head.headers, 'user-agent')
  return {
    auditID: context.id,
    method: head.method,
    path: bounded(query < 0 ? head.target : head.target.slice(0, query), 1024),
    verb: info.verb,
    resource: info.resource,
    subresource: info.subresource,
    protocol: head.protocol,
    peer: context.peer.address,
    user: identity?.username,
    groups: identity?.groups.length,
    actingAs: grant && isOther(grant.decision) ? grant.as?.username : undefined,
    decision: grant?.decision ?? 'refused',
    status: outcome.status,
    reason: refusal?.code,
    detail: refusal && detailOf(refusal),
    error: refusal && errorOf(refusal),
    durationMs: Math.round((endedAt - context.receivedAt) * 100) / 100,
    bytes: outcome.bytes,
    ended: outcome.ended,
    userAgent: userAgent === undefined ? undefined : bounded(userAgent, 256),
  }
}

const isOther = (decision: string): boolean => decision.endsWith('_other')

/** The access line of what never became a request: of it only the sender is known. */
export function malformedLine({ id, address, refusal }: Malformed): AccessLine {
  return {
    auditID: id,
    peer: address,
    decision: 'refused',
    status: refusal.status,
    reason: refusal.code,
    detail: detailOf(refusal),
    error: errorOf(refusal),
  }
}

/** Mistakes of ours are for somebody to act on; every other refusal is business as usual. */
export function levelOf(refusal: Refusal | undefined): 'info' | 'error' {
  return refusal !== undefined && isOurs(refusal) ? 'error' : 'info'
}

function isOurs({ code }: Refusal): boolean {
  return code === 'internal' || code === 'invariant'
}

function detailOf(refusal: Refusal): string | undefined {
  const { message } = refusal
  return message === refusal.toStatus().message ? undefined : bounded(message, 1024)
}

function errorOf(refusal: Refusal): DescribedError | undefined {
  const stack = isOurs(refusal)
  const error = refusal.cause ?? (stack ? refusal : undefined)
  return error === undefined ? undefined : describeError(error, { stack })
}

function valueOf(headers: HeaderList, wanted: string): string | undefined {
  for (const [name, value] of headers) {
    if (name.length === wanted.length && name.toLowerCase() === wanted) return value
  }
  return undefined
}
