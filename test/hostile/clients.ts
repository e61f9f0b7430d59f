import { connectH2Frames, requestFields } from '../actors/h2-frames.js'
import type { RecordedRequest } from '../actors/api-server.js'
import type { HeaderLines } from '../actors/http1.js'
import { gatewayToken, type World } from '../actors/world.js'

export type Protocol = 'HTTP/1.1' | 'HTTP/2'
export const protocols: readonly Protocol[] = ['HTTP/1.1', 'HTTP/2']

export interface Question {
  /** @default GET */
  readonly method?: string
  /** @default /api/v1/namespaces/default/pods */
  readonly path?: string
  /** After `Host` and `Authorization`; over HTTP/2 in lower case. */
  readonly headers?: HeaderLines
  readonly token: string
  readonly body?: string
}

export interface Reply {
  readonly status: number
  readonly headers: HeaderLines
  readonly body: Buffer
  readonly complete: boolean
}

/** One request on a connection of its own, over either protocol. */
export async function askOver(
  protocol: Protocol,
  world: World,
  question: Question,
): Promise<Reply> {
  const { path = '/api/v1/namespaces/default/pods', method = 'GET', headers = [], body } = question
  if (protocol === 'HTTP/1.1') {
    const length: HeaderLines =
      body === undefined ? [] : [['Content-Length', String(Buffer.byteLength(body))]]
    const { response } = await world.ask({ ...question, headers: [...headers, ...length] })
    return response ?? { status: 0, headers: [], body: Buffer.alloc(0), complete: false }
  }
  const client = await connectH2Frames(world.target)
  const fields = requestFields(method, path, 'localhost', [
    ['authorization', `Bearer ${question.token}`],
    ...headers.map(([name, value]) => [name.toLowerCase(), value] as const),
  ])
  // The end of the connection is an answer too, as it is in `rawRequest`.
  const timer = setTimeout(() => client.destroy(), 5_000)
  await client.headers(1, fields, { open: body !== undefined })
  if (body !== undefined) await client.data(1, body)
  const response = await client.response(1)
  clearTimeout(timer)
  client.destroy()
  // RFC 9113, 8.1.1: an end before the announced length is malformed, not an end.
  const length = response.headers.find(([name]) => name === 'content-length')?.[1]
  const short =
    method !== 'HEAD' && response.status !== 304 && length !== undefined
      ? response.body.length !== Number(length)
      : false
  return { ...response, complete: response.complete && !short }
}

/** The last request that was forwarded: its whole header list, what differs each time taken out. */
export function lastArrived({ api }: World): HeaderLines {
  const last = api.forwarded.at(-1)
  return last === undefined ? [] : arrived(last, api.port)
}

export function arrived({ headerLines }: RecordedRequest, port: number): HeaderLines {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
  return headerLines.map(([name, value]) => {
    if (name === 'host' && value === `127.0.0.1:${String(port)}`) return [name, '<api server>']
    if (name === 'Audit-ID' && uuid.test(value)) return [name, '<uuid>']
    return [name, value]
  })
}

/** What a header list begins with, whatever the client sent. */
export const connectionLines: HeaderLines = [
  ['host', '<api server>'],
  ['connection', 'keep-alive'],
]

export const originLines: HeaderLines = [
  ['X-Forwarded-For', '127.0.0.1'],
  ['Audit-ID', '<uuid>'],
]

/** Whom a request acts for, in the words of RFC 9110: UTF-8 bytes seen as Latin-1. */
export function impersonationLines(user: string, groups: readonly string[]): HeaderLines {
  return [
    ['Impersonate-User', bytes(user)],
    ...groups.map(group => ['Impersonate-Group', bytes(group)] as const),
  ]
}

const bytes = (text: string): string => Buffer.from(text).toString('latin1')

export const gatewayCredential: HeaderLines = [['Authorization', `Bearer ${gatewayToken}`]]
export const callerCredential = (token: string): HeaderLines => [
  ['Authorization', `Bearer ${token}`],
]
