import type { Exchange, Malformed } from '../channels.js'
import type { HeaderList } from '../exchange.js'
import type { Refusal } from '../refusal.js'
import { bounded } from './bounded.js'
import { describeError, type DescribedError } from './error.js'

/**
 * What is logged of one exchange, whoever ended it, as the members of a JSON object without its braces; what does
 * not apply is left out. `User-Agent` is the only header field that is looked at.
 *
 * Written by hand: every request pays for its line, and building an object for `JSON.stringify` to take
 * apart costs it several times as much.
 */
export function accessFields(exchange: Exchange): string {
  const { context, identity, grant, refusal, outcome, endedAt } = exchange
  const { head, info } = context
  // Without the query, which may hold anything.
  const query = head.target.indexOf('?')
  const path = bounded(query < 0 ? head.target : head.target.slice(0, query), 1024)
  const userAgent = valueOf(head.headers, 'user-agent')
  // Whom the user asked to act as, and may.
  const actingAs = grant && isOther(grant.decision) ? grant.as?.username : undefined
  const durationMs = Math.round((endedAt - context.receivedAt) * 100) / 100
  return (
    `"auditID":${quoted(context.id)},"method":${quoted(bounded(head.method, 32))}` +
    `,"path":${quoted(path)},"verb":${quoted(info.verb)}${segment('resource', info.resource)}` +
    `${segment('subresource', info.subresource)},"protocol":"${head.protocol}"` +
    `,"peer":${quoted(context.peer.address)}${member('user', identity?.username)}` +
    (identity === undefined ? '' : `,"groups":${identity.groups.length}`) +
    `${member('actingAs', actingAs)},"decision":"${grant?.decision ?? 'refused'}"` +
    `,"status":${outcome.status}${refusal === undefined ? '' : refusalFields(refusal)}` +
    `,"durationMs":${durationMs},"bytes":${outcome.bytes},"ended":"${outcome.ended}"` +
    (userAgent === undefined ? '' : `,"userAgent":${renderedAgent(userAgent)}`)
  )
}

/** The same of what never became a request: of it only the sender is known. */
export const malformedFields = ({ id, address, refusal }: Malformed): string =>
  `"auditID":${quoted(id)},"peer":${quoted(address)},"decision":"refused"` +
  `,"status":${refusal.status}${refusalFields(refusal)}`

const isOther = (decision: string): boolean => decision.endsWith('_other')

const member = (name: string, value: string | undefined): string =>
  value === undefined ? '' : `,"${name}":${quoted(value)}`

/** A word of the path, which stands there as the client wrote it. */
const segment = (name: string, value: string | undefined): string =>
  member(name, value && bounded(value, 256))

/** As JSON has it. Hardly any text has a character that it escapes, and looking for one is cheap. */
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

const plain = /^[ !#-[\]-~]*$/

/** Of the clients of a cluster most call themselves the same. */
const agents = new Map<string, string>()
const rememberedAgents = 256

function renderedAgent(userAgent: string): string {
  let rendered = agents.get(userAgent)
  if (rendered === undefined) {
    const shown = bounded(userAgent, 256)
    rendered = quoted(shown)
    // Never what had to be blanked: that may be a token.
    if (shown === userAgent && agents.size < rememberedAgents) agents.set(userAgent, rendered)
  }
  return rendered
}

/** The code of the refusal, and what it says beyond that. */
function refusalFields(refusal: Refusal): string {
  const error = errorOf(refusal)
  return (
    `,"reason":"${refusal.code}"${member('detail', detailOf(refusal))}` +
    (error === undefined ? '' : `,"error":${JSON.stringify(error)}`)
  )
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
