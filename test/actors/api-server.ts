import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { TLSSocket, createServer as createTlsServer } from 'node:tls'
import { ByteReader, EndOfBytes, type Closed } from './byte-reader.js'
import { createAuthority, type Authority } from './certificates.js'
import { deferred } from './deferred.js'
import { NotHttp, framing, parseHead, readBody, valuesOf, type HeaderLines } from './http1.js'
import { reset } from './reset.js'
import { isAboutRights, reviewedRights, unknownRights, type HeldRights } from './rights.js'

/** Who a token (or, under the key of its common name, a client certificate) is to this API server. */
export type WhoAmI = (token: string) => User | undefined

export interface User {
  readonly username: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** A request as its bytes say it: nothing is normalised, joined, trimmed beyond RFC 9112, or dropped. */
export interface RecordedRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  /** In order, case kept, values as Latin-1: one code unit a byte. */
  readonly headerLines: HeaderLines
  /** The head's exact bytes, its blank line included. */
  readonly head: Buffer
  /** What has come of the body so far, chunk framing taken off. */
  readonly body: Buffer
  readonly trailers: HeaderLines
  readonly connection: RecordedConnection
  /** Resolves with the whole body; rejects when it was cut or is misframed. */
  readonly whole: Promise<Buffer>
  /** Every value of a field, in order. */
  values(name: string): string[]
  /** True once the connection went away before the answer was complete. */
  readonly aborted: boolean
  /** Resolves when the connection is gone or the answer is complete, and says which. */
  readonly gone: Promise<'answered' | 'fin' | 'rst'>
}

export interface RecordedConnection {
  /** 0, 1, 2, … in the order of their arrival. */
  readonly id: number
  /** Every byte that came, after TLS. */
  readonly received: Buffer
  readonly closed: Closed
  readonly gone: Promise<'fin' | 'rst'>
  /** Of the client's certificate, when one was asked for and given. */
  readonly certificate?: { readonly commonName: string; readonly organizations: readonly string[] }
}

/** The way to answer one request; `raw` is for answers no HTTP library would send. */
export interface Answer {
  /** A whole answer. `Content-Length` is added unless the fields frame the body themselves. */
  reply(
    status: number,
    headers?: Readonly<Record<string, string | readonly string[]>>,
    body?: string | Uint8Array | object,
  ): Promise<void>
  /** Bytes as they are (strings as Latin-1); resolves when they have left. */
  raw(bytes: string | Uint8Array): Promise<void>
  /** FIN, with everything sent so far. */
  end(): void
  /** RST. */
  reset(): void
  /** Leaves HTTP: the socket is the handler's own, after the bytes that had already come. */
  hijack(): { readonly socket: Socket; readonly early: Buffer }
}

/** Answers a request; the connection is kept for the next one when it resolves, unless it was ended. */
export type Responder = (request: RecordedRequest, answer: Answer) => Promise<void> | void

export interface ApiServer {
  readonly url: string
  readonly port: number
  /** What the client must trust, PEM; empty without TLS. */
  readonly ca: string
  readonly authority: Authority
  readonly requests: readonly RecordedRequest[]
  /** The requests that are not the gateway's own questions. */
  readonly forwarded: readonly RecordedRequest[]
  /** The gateway's questions about its own rights: none of `requests`. */
  readonly aboutRights: readonly RecordedRequest[]
  /** Those on which more came than questions about rights. */
  readonly connections: readonly RecordedConnection[]
  /** What came that was not HTTP: a double that forgave would hide the gateway's mistakes. */
  readonly faults: readonly string[]
  /** Replaces the answers, reviews and questions about rights excepted unless `reviews`; without a responder back to the default. */
  respondWith(
    responder?: Responder,
    options?: { readonly at?: 'head' | 'body'; readonly reviews?: boolean },
  ): void
  /** Whom SelfSubjectReview answers with from now on. */
  know(whoami: WhoAmI | undefined): void
  /** How the gateway's other questions are answered from now on. */
  decide(decision: Decide | undefined): void
  /** How questions of the gateway about its own rights are answered from now on. */
  grant(rights: HeldRights | Responder): void
  /** The nth forwarded request (from 0), as soon as it is there. */
  request(n: number): Promise<RecordedRequest>
  /** Stops listening and drops every connection; `up` listens on the same port again. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

export interface ApiServerOptions {
  readonly authority?: Authority
  /** @default true */
  readonly tls?: boolean
  /** @default false */
  readonly requestClientCert?: boolean
  readonly respond?: Responder
  /**
   * Without it this API server is too old for SelfSubjectReview: 404. A token that it does not know is
   * answered with 401.
   */
  readonly whoami?: WhoAmI
  /** Without it nobody may ask what others may do, or who they are: 403. */
  readonly decide?: Decide
  /** What the gateway's credential may do. @default a list that says nothing, and is not complete */
  readonly rights?: HeldRights | Responder
}

/** A question of the gateway, with its own credential, about somebody else. */
export interface AskedReview {
  readonly kind: 'SubjectAccessReview' | 'TokenReview'
  readonly spec: Readonly<Record<string, unknown>>
  readonly request: RecordedRequest
}

/** The `status` of the review, or the HTTP status of a refusal. */
export type Decide = (review: AskedReview) => Promise<object | number> | object | number

/**
 * An API server that remembers exactly what it was sent. It is a double because a real one shows its
 * clients' bytes to nobody, and cannot be told to answer badly; what a real one decides is for the
 * end-to-end tests.
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const { authority = createAuthority('api server'), tls = true } = options
  const requests: RecordedRequest[] = []
  const forwarded: RecordedRequest[] = []
  const aboutRights: RecordedRequest[] = []
  const connections: RecordedConnection[] = []
  const faults: string[] = []
  const open = new Set<Socket>()
  const waiting = new Set<() => void>()
  let whoami = options.whoami
  let decide = options.decide
  let rights = options.rights ?? unknownRights
  let responder = options.respond
  let at: 'head' | 'body' = 'body'
  let ownReviews = false

  const serve = async (socket: Socket, cut: () => void): Promise<void> => {
    const reader = new ByteReader(socket)
    const connection = record(() => connections.indexOf(connection), socket, reader)
    const list = (): void => {
      if (!connections.includes(connection)) connections.push(connection)
    }
    try {
      for (;;) {
        const head = await reader.upTo('\r\n\r\n')
        const exchange = begin(head, reader, connection)
        const { request } = exchange
        const { method, target, values } = request
        if (!ownReviews && isAboutRights(method, target, values)) {
          aboutRights.push(request)
          await exchange.read()
          const about = typeof rights === 'function' ? rights : reviewedRights(rights)
          if ((await exchange.answer(about, socket, cut)) === 'hijacked') return
          if (socket.writableEnded || socket.destroyed) return
          continue
        }
        list()
        const kind = reviewOf(request)
        const review = kind !== undefined
        requests.push(request)
        if (!review) forwarded.push(request)
        for (const wake of waiting) wake()
        const respond =
          kind === undefined || ownReviews
            ? (responder ?? ok)
            : kind === 'SelfSubjectReview'
              ? reviewed(whoami)
              : decided(kind, decide)
        const body = exchange.read()
        body.catch((error: unknown) => {
          if (error instanceof NotHttp) faults.push(error.message)
        })
        if (at === 'body' || respond === ok || review) await request.whole
        const done = await exchange.answer(respond, socket, cut)
        if (done === 'hijacked') return
        await body
        if (socket.writableEnded || socket.destroyed) return
      }
    } catch (error) {
      if (!(error instanceof EndOfBytes) || error.rest.length > 0) list()
      if (error instanceof EndOfBytes) {
        if (error.rest.length > 0)
          faults.push(`cut: ${JSON.stringify(error.rest.toString('latin1'))}`)
        socket.end()
      } else {
        faults.push(error instanceof Error ? error.message : String(error))
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      }
    }
  }

  const raw = createServer({ allowHalfOpen: true, noDelay: true })
  const pair = tls ? await authority.issue() : undefined
  const secure =
    pair &&
    createTlsServer({
      ...pair,
      allowHalfOpen: true,
      ALPNProtocols: ['http/1.1'],
      ...(options.requestClientCert && {
        requestCert: true,
        rejectUnauthorized: false,
        ca: authority.ca,
      }),
    })
  // The TCP socket under a TLS one can send a RST; it is found again by the peer's port.
  const beneath = new Map<number | undefined, Socket>()
  raw.on('connection', socket => {
    open.add(socket)
    const peer = socket.remotePort
    beneath.set(peer, socket)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      open.delete(socket)
      beneath.delete(peer)
    })
    if (secure) secure.emit('connection', socket)
    else void serve(socket, () => reset(socket))
  })
  secure?.on('secureConnection', socket => {
    const under = beneath.get(socket.remotePort)
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    void serve(socket, () => {
      if (under) reset(under)
      socket.destroy()
    })
  })
  secure?.on('tlsClientError', error => faults.push(`tls: ${error.message}`))

  const up = async (port: number): Promise<void> => {
    raw.listen(port, '127.0.0.1')
    await once(raw, 'listening')
  }
  const down = async (): Promise<void> => {
    const closed = once(raw, 'close')
    raw.close()
    for (const socket of open) socket.destroy()
    await closed
  }
  await up(0)
  const { port } = raw.address() as AddressInfo
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${String(port)}`,
    port,
    ca: tls ? authority.ca : '',
    authority,
    requests,
    forwarded,
    aboutRights,
    connections,
    faults,
    respondWith: (next, how = {}) => {
      responder = next
      at = how.at ?? 'body'
      ownReviews = how.reviews ?? false
    },
    know: next => {
      whoami = next
    },
    decide: next => {
      decide = next
    },
    grant: next => {
      rights = next
    },
    request: async n => {
      for (;;) {
        const found = forwarded[n]
        if (found) return found
        await new Promise<void>(resolve => {
          const wake = (): void => {
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
        })
      }
    },
    up: () => up(port),
    down,
    close: async () => {
      if (raw.listening) await down()
    },
  }
}

function record(id: () => number, socket: Socket, reader: ByteReader): RecordedConnection {
  const peer = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
  // The types deny it, but a subject may repeat a part, and a client may have sent no certificate.
  const subject = peer?.subject as Partial<Record<'CN' | 'O', string | string[]>> | undefined
  return {
    get id() {
      return id()
    },
    get received() {
      return reader.received
    },
    get closed() {
      return reader.closed
    },
    gone: reader.gone,
    ...(subject?.CN !== undefined && {
      certificate: { commonName: String(subject.CN), organizations: [subject.O ?? []].flat() },
    }),
  }
}

interface Begun {
  readonly request: RecordedRequest
  /** Reads the body to its end. */
  read(): Promise<unknown>
  answer(respond: Responder, socket: Socket, cut: () => void): Promise<'answered' | 'hijacked'>
}

function begin(head: Buffer, reader: ByteReader, connection: RecordedConnection): Begun {
  const { first, headers } = parseHead(head)
  const line = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^ ]+) HTTP\/(1\.[01])$/.exec(first)
  if (!line) throw new NotHttp(`not a request line: ${JSON.stringify(first)}`)
  const [, method = '', target = '', version = ''] = line
  const how = framing(headers)
  const parts: Buffer[] = []
  let trailers: HeaderLines = []
  let aborted = false
  let complete = false
  const whole = deferred<Buffer>()
  const gone = deferred<'answered' | 'fin' | 'rst'>()
  whole.promise.catch(() => undefined)
  void connection.gone.then(closed => {
    if (!complete) aborted = true
    gone.resolve(closed)
  })
  const request: RecordedRequest = {
    method,
    target,
    version,
    headerLines: headers,
    head,
    get body() {
      return Buffer.concat(parts)
    },
    get trailers() {
      return trailers
    },
    connection,
    whole: whole.promise,
    values: name => valuesOf(headers, name),
    get aborted() {
      return aborted
    },
    gone: gone.promise,
  }
  const read = async (): Promise<void> => {
    try {
      trailers = await readBody(reader, how, part => parts.push(part))
      whole.resolve(request.body)
    } catch (error) {
      whole.reject(error)
      throw error
    }
  }
  const answer: Begun['answer'] = async (respond, socket, cut) => {
    let hijacked = false
    const raw = (bytes: string | Uint8Array): Promise<void> =>
      new Promise(resolve => {
        if (!socket.writable) return resolve()
        socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () =>
          resolve(),
        )
      })
    await respond(request, {
      raw,
      reply: (status, fields, body) => raw(written(method, status, fields, body)),
      end: () => socket.end(),
      reset: cut,
      hijack: () => {
        hijacked = true
        const early = Buffer.from(reader.unread)
        socket.removeAllListeners('data')
        return { socket, early }
      },
    })
    if (hijacked) return 'hijacked'
    complete = !socket.destroyed
    if (complete) gone.resolve('answered')
    return 'answered'
  }
  return { request, read, answer }
}

function written(
  method: string,
  status: number,
  fields: Readonly<Record<string, string | readonly string[]>> = {},
  body: string | Uint8Array | object = '',
): Buffer {
  const isText = typeof body === 'string'
  const bytes =
    isText || body instanceof Uint8Array
      ? Buffer.from(body as string)
      : Buffer.from(JSON.stringify(body))
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map(one => `${name}: ${one}`),
  )
  const names = new Set(Object.keys(fields).map(name => name.toLowerCase()))
  if (!isText && !(body instanceof Uint8Array) && !names.has('content-type')) {
    lines.push('Content-Type: application/json')
  }
  const bodiless = status < 200 || status === 204 || status === 304
  if (!bodiless && !names.has('content-length') && !names.has('transfer-encoding')) {
    lines.push(`Content-Length: ${String(bytes.length)}`)
  }
  const head = [`HTTP/1.1 ${String(status)} Said`, ...lines, '', ''].join('\r\n')
  return Buffer.concat([
    Buffer.from(head, 'latin1'),
    method === 'HEAD' || bodiless ? Buffer.alloc(0) : bytes,
  ])
}

/** What a client asks through the gateway comes with its `Audit-ID`. */
function reviewOf(request: RecordedRequest): AskedReview['kind'] | 'SelfSubjectReview' | undefined {
  if (request.method !== 'POST' || request.values('audit-id').length > 0) return undefined
  const [, resource] = /^\/apis\/auth\w+\.k8s\.io\/v1\w*\/(\w+)(\?|$)/.exec(request.target) ?? []
  return resource === undefined ? undefined : reviewKinds.get(resource)
}

const reviewKinds = new Map([
  ['selfsubjectreviews', 'SelfSubjectReview'],
  ['subjectaccessreviews', 'SubjectAccessReview'],
  ['tokenreviews', 'TokenReview'],
] as const satisfies ReadonlyArray<readonly [string, string]>) as ReadonlyMap<
  string,
  AskedReview['kind'] | 'SelfSubjectReview'
>

function decided(kind: AskedReview['kind'], decide: Decide | undefined): Responder {
  return async (request, answer) => {
    const body = JSON.parse((await request.whole).toString()) as Pick<AskedReview, 'spec'>
    const status = (await decide?.({ kind, spec: body.spec, request })) ?? 403
    if (typeof status === 'number') {
      return answer.reply(status, {}, statusBody(status, 'Said'))
    }
    return answer.reply(201, {}, { kind, metadata: {}, ...body, status })
  }
}

const ok: Responder = (_, answer) => answer.reply(200, {}, { ok: true })

/** The `Status` that an API server answers with when it says no. */
export const statusBody = (code: number, reason: string, message = reason): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  code,
})

function reviewed(whoami: WhoAmI | undefined): Responder {
  return (request, answer) => {
    if (!whoami) return answer.reply(404, {}, statusBody(404, 'NotFound'))
    const token = /^bearer (.+)$/i.exec(request.values('authorization').join())?.[1]
    const user = token === undefined ? undefined : whoami(token)
    if (!user) return answer.reply(401, {}, statusBody(401, 'Unauthorized'))
    return answer.reply(
      201,
      {},
      {
        kind: 'SelfSubjectReview',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { creationTimestamp: null },
        status: { userInfo: user },
      },
    )
  }
}
