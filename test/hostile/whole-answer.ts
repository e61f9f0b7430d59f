import type { RecordedRequest } from '../actors/api-server.js'
import type { HeaderLines } from '../actors/http1.js'
import type { RawExchange, RawResponse } from '../actors/raw-client.js'
import { gatewayToken, type World } from '../actors/world.js'

/** A refusal as its client sees it, with everything in it but what no two answers share. */
export interface Refused {
  readonly status: number
  /** All fields but those of the connection and `Date`; where a UUID stands, `<uuid>`. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** What came back, in the form of `Refused`; undefined when nothing did. */
export function wholeAnswer({ response }: Pick<RawExchange, 'response'>): Refused | undefined {
  return response && wholeResponse(response)
}

export function wholeResponse(response: RawResponse): Refused {
  const { status, headers, body, complete } = response
  const kept = headers
    .map(([name, value]) => [name.toLowerCase(), value.replace(uuid, '<uuid>')] as const)
    .filter(([name]) => !ofTheConnection.has(name))
  return {
    status,
    headers: Object.fromEntries(kept),
    body: complete ? jsonOr(body) : `cut: ${body.toString()}`,
  }
}

const ofTheConnection: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
])
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function jsonOr(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return body.toString()
  }
}

/** The refusal that is promised for this status, reason and sentence; its fields are these and no others. */
export function refusal(
  status: number,
  reason: string,
  message: string,
  fields: Readonly<Record<string, string>> = {},
): Refused {
  return {
    status,
    headers: {
      'audit-id': '<uuid>',
      'cache-control': 'no-cache, private',
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      ...fields,
    },
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      code: status,
    },
  }
}

/** 401 where a bearer token was given. */
export const badToken = (message: string): Refused =>
  refusal(401, 'Unauthorized', message, {
    'www-authenticate': 'Bearer realm="kubernetes", error="invalid_token"',
  })

/** 401 where no bearer token was given. */
export const noToken = (message: string): Refused =>
  refusal(401, 'Unauthorized', message, { 'www-authenticate': 'Bearer realm="kubernetes"' })

export const forbidden = (message: string): Refused => refusal(403, 'Forbidden', message)

export const badGateway = (message: string): Refused => refusal(502, 'BadGateway', message)

export const unavailable = (message: string): Refused =>
  refusal(503, 'ServiceUnavailable', message, { 'retry-after': '5' })

/**
 * Every header line of a request without fields of its own, as it reaches the API server of a world of
 * mode `gateway`: names as the API server reads UTF-8.
 */
export const asUser = (world: World, user: string, ...groups: readonly string[]): HeaderLines => [
  ['host', `127.0.0.1:${String(world.api.port)}`],
  ['connection', 'keep-alive'],
  ['X-Forwarded-For', '127.0.0.1'],
  ['Audit-ID', '<uuid>'],
  ['Impersonate-User', user],
  ...groups.map(group => ['Impersonate-Group', group] as const),
  ['Authorization', `Bearer ${gatewayToken}`],
]

/** All header lines that came, values read as UTF-8. */
export const wholeHead = ({ headerLines }: RecordedRequest): HeaderLines =>
  headerLines.map(([name, value]) => [
    name,
    Buffer.from(value, 'latin1').toString().replace(uuid, '<uuid>'),
  ])
