import { STATUS_CODES } from 'node:http'
import type { HeaderList, Outcome } from '../exchange.js'
import type { Refusal } from '../refusal.js'
import { outcomeFor, type EdgeClient } from './edge-client.js'

/** Says no to a client, as a Kubernetes `Status`; nothing of what it sent is repeated. */
export async function refuse(id: string, refusal: Refusal, client: EdgeClient): Promise<Outcome> {
  if (refusal.code === 'client_gone' || client.started) {
    client.abort()
    return outcomeFor(client, { status: 0, bytes: 0, ended: 'client_gone' })
  }
  const body = bodyOf(refusal)
  if (endsConnection(refusal, client)) client.closeAfterwards()
  client.start(refusal.status, fieldsOf(id, refusal, body))
  client.write(body)
  client.end()
  const left = await client.finished
  return outcomeFor(client, {
    status: refusal.status,
    bytes: body.length,
    ended: left ? 'complete' : 'client_gone',
  })
}

/** The same for a connection that has no request to answer: the bytes of a whole HTTP/1.1 answer. */
export function refusalBytes(id: string, refusal: Refusal): Buffer {
  const body = bodyOf(refusal)
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
    ...fieldsOf(id, refusal, body).map(([name, value]) => `${name}: ${value}`),
    `Date: ${new Date().toUTCString()}`,
    'Connection: close',
    '',
    '',
  ]
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body])
}

const bodyOf = (refusal: Refusal): Buffer => Buffer.from(`${JSON.stringify(refusal.toStatus())}\n`)

function fieldsOf(id: string, refusal: Refusal, body: Buffer): HeaderList {
  const fields: Array<readonly [string, string]> = [
    ['Audit-ID', id],
    ['Cache-Control', 'no-cache, private'],
    ['Content-Type', 'application/json'],
    ['Content-Length', String(body.length)],
    ['X-Content-Type-Options', 'nosniff'],
  ]
  if (refusal.status === 401) fields.push(['WWW-Authenticate', challenge(refusal)])
  if (refusal.status === 503) fields.push(['Retry-After', '5'])
  if (refusal.status === 429) fields.push(['Retry-After', '1'])
  if (refusal.status === 405) fields.push(['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'])
  return fields
}

/** RFC 6750, 3: an error code only where a bearer token was given. */
const challenge = ({ code }: Refusal): string =>
  code === 'credential_missing' || code === 'credential_scheme'
    ? 'Bearer realm="kubernetes"'
    : 'Bearer realm="kubernetes", error="invalid_token"'

/** After what could not be read nothing more is; HTTP/2 clients that are nobody lose their connection. */
const endsConnection = ({ code, status }: Refusal, client: EdgeClient): boolean =>
  status === 400 ||
  code === 'headers_too_large' ||
  code === 'draining' ||
  (status === 401 && client.isMultiplexed)
