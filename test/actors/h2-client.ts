import { once } from 'node:events'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import type { HeaderLines } from './http1.js'
import type { Target } from './raw-client.js'

/** Opens a session of Node's own HTTP/2 client; many requests may share it. */
export async function h2Connect(
  target: Pick<Target, 'port' | 'host' | 'ca'>,
): Promise<ClientHttp2Session> {
  const { port, host = '127.0.0.1', ca } = target
  const scheme = ca === undefined ? 'http' : 'https'
  const session = connect(`${scheme}://${host}:${String(port)}`, {
    ...(ca !== undefined && { ca, servername: 'localhost' }),
  })
  session.on('error', () => undefined)
  await once(session, 'connect')
  return session
}

export interface H2Request extends Pick<Target, 'port' | 'host' | 'ca'> {
  /** Pseudo-headers included; a list of values is sent as so many fields. @default GET / */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
  /** Reuses a session, which stays open. */
  readonly session?: ClientHttp2Session
  /** @default 30_000 ms */
  readonly timeoutMs?: number
}

export interface H2Answer {
  /** 0 when there was no head. */
  readonly status: number
  /** In order, with repeats. */
  readonly headers: HeaderLines
  readonly body: Buffer
  /** The stream ended well. */
  readonly complete: boolean
  /** The code that the stream was closed with, where it is no NO_ERROR. */
  readonly rstCode?: number
  /** True when the server said goodbye to the connection meanwhile. */
  readonly goaway: boolean
}

/**
 * One well-formed HTTP/2 request, as clients that use a library send it. What a library refuses to
 * send goes out by `h2-frames`.
 * @throws when no session can be had
 */
export async function h2Request(request: H2Request): Promise<H2Answer> {
  const session = request.session ?? (await h2Connect(request))
  let goaway = false
  session.once('goaway', () => {
    goaway = true
  })
  const { body, headers = {} } = request
  const stream = session.request(
    { ':method': 'GET', ':path': '/', ...headers },
    { endStream: body === undefined },
  )
  let status = 0
  let fields: HeaderLines = []
  let complete = false
  const parts: Buffer[] = []
  stream.on('response', (head: IncomingHttpHeaders, _flags: number, ...rest: unknown[]) => {
    status = Number(head[':status'])
    fields = pairs(rest[0])
  })
  stream.on('data', (piece: Buffer) => parts.push(piece))
  stream.on('end', () => {
    complete = status > 0 && stream.rstCode === 0
  })
  stream.on('error', () => undefined)
  const timer = setTimeout(() => stream.close(), request.timeoutMs ?? 30_000)
  if (body !== undefined) stream.end(body)
  await new Promise<void>(resolve => {
    stream.once('close', resolve)
  })
  clearTimeout(timer)
  if (!request.session) session.destroy()
  return {
    status,
    headers: fields,
    body: Buffer.concat(parts),
    complete,
    ...(stream.rstCode && { rstCode: stream.rstCode }),
    goaway,
  }
}

/** Node hands the raw list over as a third, undocumented argument: name, value, name, value, … */
function pairs(raw: unknown): HeaderLines {
  const flat = Array.isArray(raw) ? raw.map(String) : []
  return flat.flatMap((name, at) =>
    at % 2 === 0 && !name.startsWith(':') ? [[name, flat[at + 1] ?? ''] as const] : [],
  )
}
