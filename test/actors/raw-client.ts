import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { TLSSocket, connect as connectTls } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { ByteReader, EndOfBytes, type Closed } from './byte-reader.js'
import { framing, parseHead, readBody, valuesOf, type Framing, type HeaderLines } from './http1.js'
import { reset } from './reset.js'

export interface Target {
  readonly port: number
  /** @default 127.0.0.1 */
  readonly host?: string
  /** What the server's certificate must be signed by; without it the connection is plain TCP. */
  readonly ca?: string
  /** @default 'http/1.1'; an empty list offers nothing. */
  readonly alpn?: string | readonly string[]
  readonly servername?: string
  readonly client?: { readonly cert: string; readonly key: string }
}

export interface RawResponse {
  readonly status: number
  readonly reason: string
  readonly version: string
  readonly headers: HeaderLines
  /** Chunk framing taken off. */
  readonly body: Buffer
  readonly trailers: HeaderLines
  /** False when the framing was never completed: the client can tell that something is missing. */
  readonly complete: boolean
  /** The 1xx answers that came before it. */
  readonly interim: ReadonlyArray<{ readonly status: number; readonly headers: HeaderLines }>
  values(name: string): string[]
  json(): unknown
}

/** A connection for a test that goes step by step. */
export interface RawConnection {
  readonly socket: Socket
  readonly reader: ByteReader
  /** Every byte that has come. */
  readonly received: Buffer
  readonly closed: Closed
  /** How the connection ended, once it has. */
  readonly gone: Promise<'fin' | 'rst'>
  /** What TLS agreed on; undefined where nothing was agreed. */
  readonly alpn: string | undefined
  /** Bytes as they are, strings as Latin-1. Never throws: a server may be gone already. */
  write(bytes: string | Uint8Array): Promise<void>
  /** The next bytes up to and with the marker. @throws EndOfBytes */
  readUntil(marker: string): Promise<Buffer>
  /** Only the next head, interim or final; the body stays unread. @throws EndOfBytes, NotHttp */
  readHead(): Promise<Pick<RawResponse, 'status' | 'reason' | 'version' | 'headers'>>
  /** @throws EndOfBytes when no head came; a cut body is `complete: false`; NotHttp */
  readResponse(method?: string): Promise<RawResponse>
  /** FIN; what the server still sends can be read. */
  end(): void
  /** RST. */
  reset(): void
  destroy(): void
}

/** Opens a connection. @throws when TCP or TLS fails */
export async function connectRaw(target: Target): Promise<RawConnection> {
  const { port, host = '127.0.0.1', ca, alpn = 'http/1.1', servername, client } = target
  const tcp = connectTcp({ port, host, allowHalfOpen: true, noDelay: true })
  const socket =
    ca === undefined
      ? tcp
      : connectTls({
          socket: tcp,
          ca,
          ALPNProtocols: [alpn].flat(),
          servername: servername ?? 'localhost',
          ...client,
        })
  if (socket instanceof TLSSocket) socket.allowHalfOpen = true
  const reader = new ByteReader(socket)
  if (socket !== tcp) tcp.on('error', error => socket.destroy(error))
  await once(socket, socket === tcp ? 'connect' : 'secureConnect')
  const readHead: RawConnection['readHead'] = async () => {
    const { first, headers } = parseHead(await reader.upTo('\r\n\r\n'))
    const [version = '', status = '', ...reason] = first.split(' ')
    return { version, status: Number(status), reason: reason.join(' '), headers }
  }
  return {
    socket,
    reader,
    get received() {
      return reader.received
    },
    get closed() {
      return reader.closed
    },
    gone: reader.gone,
    alpn: socket instanceof TLSSocket ? socket.alpnProtocol || undefined : undefined,
    write: bytes =>
      new Promise(resolve => {
        if (!socket.writable) return resolve()
        socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () =>
          resolve(),
        )
      }),
    readUntil: marker => reader.upTo(marker),
    readHead,
    readResponse: async (method = 'GET') => {
      const before: Array<{ readonly status: number; readonly headers: HeaderLines }> = []
      let head = await readHead()
      while (head.status >= 100 && head.status < 200 && head.status !== 101) {
        before.push({ status: head.status, headers: head.headers })
        head = await readHead()
      }
      return finish(head, reader, method, before)
    },
    end: () => socket.end(),
    reset: () => {
      reset(tcp)
      socket.destroy()
    },
    destroy: () => socket.destroy(),
  }
}

async function finish(
  head: Pick<RawResponse, 'status' | 'reason' | 'version' | 'headers'>,
  reader: ByteReader,
  method: string,
  before: RawResponse['interim'],
): Promise<RawResponse> {
  const parts: Buffer[] = []
  let trailers: HeaderLines = []
  let complete = true
  try {
    trailers = await readBody(reader, bodyOf(method, head), part => parts.push(part))
  } catch (error) {
    if (!(error instanceof EndOfBytes)) throw error
    complete = false
  }
  // A body that ends with the connection is whole only when the connection ended in order.
  if (bodyOf(method, head).by === 'close' && reader.closed === 'rst') complete = false
  const body = Buffer.concat(parts)
  return {
    ...head,
    body,
    trailers,
    complete,
    interim: before,
    values: name => valuesOf(head.headers, name),
    json: () => JSON.parse(body.toString()) as unknown,
  }
}

/** RFC 9112 6.3: an answer whose fields say nothing ends with the connection. */
function bodyOf(method: string, head: Pick<RawResponse, 'status' | 'headers'>): Framing {
  const { status } = head
  if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return { by: 'none' }
  const how = framing(head.headers)
  return how.by === 'none' ? { by: 'close' } : how
}

export interface RawRequest extends Target {
  /** Written one after the other, strings as Latin-1; a number is a pause of so many milliseconds. */
  readonly bytes: string | Uint8Array | ReadonlyArray<string | Uint8Array | number>
  /** How many answers to wait for. @default 1 */
  readonly answers?: number
  /** Also wait for the server to close: to see that nothing follows, and how it ends. @default false */
  readonly untilClosed?: boolean
  /** Ends our side (FIN) once everything is written. @default false */
  readonly thenEnd?: boolean
  /** The methods of pipelined requests, where an answer's framing depends on them. @default the first word */
  readonly methods?: readonly string[]
  /** Resolves with what there is by then. @default 30_000 ms */
  readonly timeoutMs?: number
}

export interface RawExchange {
  /** Every byte the server sent. */
  readonly bytes: Buffer
  readonly responses: readonly RawResponse[]
  /** The first answer; undefined when there was none. */
  readonly response: RawResponse | undefined
  readonly closed: Closed
  /** What came after the last answer that was read. */
  readonly rest: Buffer
  /** True when the time ran out before everything that was waited for had come. */
  readonly timedOut: boolean
}

/**
 * Writes these bytes to a connection of their own and reads what comes back. A server that closes,
 * resets or stays silent is a result, not an error.
 * @throws when the connection cannot be made, NotHttp when the answer is not HTTP/1
 */
export async function rawRequest(request: RawRequest): Promise<RawExchange> {
  const pieces =
    typeof request.bytes === 'string' || request.bytes instanceof Uint8Array
      ? [request.bytes]
      : request.bytes
  const connection = await connectRaw(request)
  const limit = { reached: false }
  const timer = setTimeout(() => {
    limit.reached = true
    connection.destroy()
  }, request.timeoutMs ?? 30_000)
  const writing = write(connection, pieces, request.thenEnd ?? false)
  const responses: RawResponse[] = []
  let closed: Closed = 'open'
  try {
    const first = pieces.find(piece => typeof piece !== 'number') ?? ''
    const word = Buffer.from(first as string)
      .toString('latin1')
      .split(' ', 1)
    const methods = request.methods ?? word
    while (responses.length < (request.answers ?? 1)) {
      responses.push(await connection.readResponse(methods[responses.length]))
    }
    if (request.untilClosed) await ended(connection)
  } catch (error) {
    if (!(error instanceof EndOfBytes)) throw error
  } finally {
    closed = limit.reached ? 'open' : connection.closed
    clearTimeout(timer)
    connection.destroy()
    await writing
  }
  return {
    bytes: connection.received,
    responses,
    response: responses[0],
    closed,
    rest: connection.reader.unread,
    timedOut: limit.reached,
  }
}

async function write(
  connection: RawConnection,
  pieces: ReadonlyArray<string | Uint8Array | number>,
  thenEnd: boolean,
): Promise<void> {
  for (const piece of pieces) {
    if (typeof piece === 'number') await pause(piece)
    else await connection.write(piece)
  }
  if (thenEnd) connection.end()
}

async function ended({ reader }: RawConnection): Promise<void> {
  const seen = reader.unread.length
  for (let length = seen; reader.closed === 'open'; length = reader.unread.length) {
    try {
      await reader.take(unread => (unread.length === length ? -1 : 0))
    } catch (error) {
      if (!(error instanceof EndOfBytes)) throw error
    }
  }
}

/** The bytes of a request, written as given: no field is added, sorted or checked. */
export function requestBytes(
  method: string,
  target: string,
  headers: HeaderLines | Readonly<Record<string, string>> = {},
  body = '',
): string {
  const lines = Array.isArray(headers) ? (headers as HeaderLines) : Object.entries(headers)
  const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `${method} ${target} HTTP/1.1\r\n${fields}\r\n${body}`
}
