import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureVersion, TLSSocket } from 'node:tls'
import { facts } from '../channels.js'
import type { Client, Peer, RequestContext, RequestHead } from '../exchange.js'
import type { Gateway } from '../gateway.js'
import { Refusal } from '../refusal.js'
import { requestInfo, type RequestInfo } from '../request-info.js'
import type { ServingPair } from './certificate.js'
import type { Drain } from './drain.js'
import type { EdgeClient } from './edge-client.js'
import { Http1Client } from './http1.js'
import { Http2Client } from './http2.js'
import { createHttp2Connections } from './http2-connections.js'
import type { PeerAddress } from './peer-address.js'
import { ReceivedMessage } from './received-message.js'
import { refusalBytes, refuse } from './reply.js'
import { Turns } from './turns.js'
import { UpgradeClient } from './upgrade-client.js'
import { auditId, maxHeaderBytes, readHead, type ReceivedHead } from './request-head.js'

export interface ListenerOptions {
  readonly address: string
  /** 0 for any. */
  readonly port: number
  /** `undefined` for plain HTTP: TLS was ended in front. */
  readonly tls: { readonly pair: ServingPair; readonly minVersion: SecureVersion } | undefined
  readonly peerAddress: PeerAddress
  readonly drain: Drain
  /** How long a client may take to send a request's head. @default 10_000 ms */
  readonly headTimeoutMs?: number
  /** How long a connection may stay without a request. @default 90_000 ms, as kube-apiserver */
  readonly idleTimeoutMs?: number
}

export interface Listener {
  readonly address: string
  readonly port: number
  /** New connections are served with this pair; open ones go on. */
  serveWith(pair: ServingPair): void
  /** Tells clients that have no request open to connect elsewhere. */
  closeIdle(): void
  /** Ends every connection. */
  close(): Promise<void>
}

/** Node's parser counts less than the whole block; the exact bound is kept by `readHead`. */
const parserHeaderBytes = maxHeaderBytes + 64 * 1024

/**
 * Accepts connections, judges each request's head, and gives what is well-formed to the gateway. HTTP/1.1 and
 * HTTP/2 by ALPN on one port; every limit on what a client may make us wait for or hold is set here.
 */
export async function startListener(
  gateway: Gateway<EdgeClient>,
  options: ListenerOptions,
): Promise<Listener> {
  const { headTimeoutMs = 10_000, idleTimeoutMs = 90_000, drain, tls } = options
  const http1Options = {
    maxHeaderSize: parserHeaderBytes,
    headersTimeout: headTimeoutMs,
    // Bodies and answers take as long as they take: a watch has no end.
    requestTimeout: 0,
    // See `idle` below.
    keepAliveTimeout: 0,
    connectionsCheckingInterval: 1_000,
    keepAlive: true,
    noDelay: true,
    insecureHTTPParser: false,
    // Counted and refused by `readHead`, with an answer.
    requireHostHeader: false,
    IncomingMessage: ReceivedMessage,
  }
  const server =
    tls === undefined
      ? createHttpServer(http1Options)
      : createHttpsServer({
          ...http1Options,
          ...tls.pair,
          minVersion: tls.minVersion,
          ALPNProtocols: ['h2', 'http/1.1'],
          handshakeTimeout: headTimeoutMs,
          // As Node's plain server: a tunnel may be closed in one direction.
          allowHalfOpen: true,
        })
  // All header lines, so that they can be counted instead of being dropped.
  server.maxHeadersCount = 0
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  /** Connections that have been told what was wrong with them. */
  const answered = new WeakSet<Duplex>()
  const turns = new Turns(socket =>
    publishMalformed(auditId([]), socket, new Refusal('request_malformed', 'too many at once')),
  )
  // One clock for all of them: Node makes a timer after each answer, and takes it back with the next request.
  const idle = setInterval(
    () => turns.endIdle(performance.now() - idleTimeoutMs),
    Math.ceil(idleTimeoutMs / 32),
  ).unref()

  const serve = (
    received: ReceivedHead,
    socket: Socket | TLSSocket | undefined,
    clientFor: (head: RequestHead) => EdgeClient,
    refused: (id: string, refusal: Refusal) => void,
    enter?: (client: EdgeClient) => () => void,
  ): void => {
    const id = auditId(received.rawHeaders)
    let head: RequestHead
    try {
      head = readHead(received)
    } catch (error) {
      const refusal = Refusal.from(error)
      publishMalformed(id, socket, refusal)
      if (socket !== undefined) answered.add(socket)
      refused(id, refusal)
      return
    }
    const client = clientFor(head)
    const peer = {
      address: options.peerAddress(socket?.remoteAddress, head.headers),
      encrypted: tls !== undefined,
    }
    const context = new Received(id, head, client, peer, socket)
    const isUpgrade = head.upgrade !== undefined
    const leave = drain.enter({ info: context.info, isUpgrade, client })
    const left = enter?.(client)
    // The gateway answers every failure itself; what is thrown here is a fault in doing so.
    const over = (): void => {
      // In this order: whose turn it is now is open before this one is not.
      left?.()
      leave()
    }
    void gateway(context, client).then(over, () => {
      client.abort()
      over()
    })
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('error', ignore)
    const { socket } = request
    const enter = (client: EdgeClient): (() => void) => turns.enter(socket, client)
    turns.next(
      socket,
      () =>
        serve(
          received(request, { switched: false }),
          socket,
          head => new Http1Client(request, response, head),
          (id, refusal) => {
            request.on('error', ignore)
            const client = new Http1Client(request, response, unreadable(request))
            const leave = enter(client)
            void refuse(id, refusal, client).finally(() => {
              // Of what comes next on a connection that goes on, nothing was said yet.
              if (socket.writable) answered.delete(socket)
              leave()
            })
          },
          enter,
        ),
      () => request.complete,
    )
  }
  /** Node's parser has let go of the connection: whatever the answer, it was the last request on it. */
  const onUpgrade = (request: IncomingMessage, socket: Duplex, early: Buffer): void =>
    turns.next(socket, () =>
      serve(
        received(request, { switched: true }),
        request.socket,
        head => UpgradeClient.of(request, request.socket, early, head),
        (id, refusal) => endWith(socket, refusalBytes(id, refusal)),
        client => turns.enter(socket, client),
      ),
    )
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', onUpgrade)
  server.on('connect', (request: IncomingMessage, socket: Duplex) =>
    turns.next(socket, () => refuseConnect(request, socket)),
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const refusal = refusalForParser(error)
    // Of a head that was refused the parser may complain as well: once is enough.
    if (answered.has(socket)) {
      socket.end()
      return
    }
    if (!refusal || !socket.writable) {
      socket.destroy()
      return
    }
    const id = auditId([])
    publishMalformed(id, socket, refusal)
    turns.afterwards(socket, may => {
      if (may) endWith(socket, refusalBytes(id, refusal))
      else socket.destroy()
    })
  })

  const http2 = createHttp2Connections({
    headTimeoutMs,
    idleTimeoutMs,
    onRequest: (stream, socket, head) =>
      serve(
        head,
        socket,
        it => new Http2Client(stream, it),
        (id, refusal) => void refuse(id, refusal, new Http2Client(stream, unreadable(undefined))),
      ),
  })
  if (tls !== undefined) splitByProtocol(server as HttpsServer, http2.serve)

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.address, resolve)
  })
  server.on('error', error =>
    facts.notice.publish({
      level: 'error',
      msg: 'listener failed',
      fields: { error: error.message },
    }),
  )
  const { address, port } = server.address() as AddressInfo
  return {
    address,
    port,
    serveWith(pair) {
      if (tls !== undefined)
        (server as HttpsServer).setSecureContext({ ...pair, minVersion: tls.minVersion })
    },
    closeIdle() {
      server.closeIdleConnections()
      http2.closeIdle()
    },
    close: () =>
      new Promise(resolve => {
        clearInterval(idle)
        server.close(() => resolve())
        // All of them: also those that never finished their handshake.
        for (const connection of connections) connection.destroy()
      }),
  }
}

/** Gives connections whose client chose HTTP/2 to their own server, the others to Node's HTTP/1 one. */
function splitByProtocol(server: HttpsServer, serveHttp2: (socket: TLSSocket) => void): void {
  const listeners = server.rawListeners('secureConnection')
  if (listeners.length !== 1)
    throw new TypeError('https.Server has changed: it serves HTTP/1 otherwise')
  const serveHttp1 = listeners[0] as (socket: TLSSocket) => void
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', socket => {
    if (socket.alpnProtocol === 'h2') serveHttp2(socket)
    else serveHttp1.call(server, socket)
  })
}

/** A request whose head is well-formed. */
class Received implements RequestContext {
  readonly id: string
  readonly receivedAt = performance.now()
  readonly head: RequestHead
  readonly info: RequestInfo
  readonly peer: Peer
  readonly connection: object | undefined
  readonly #client: Client
  #signal: AbortSignal | undefined

  constructor(
    id: string,
    head: RequestHead,
    client: Client,
    peer: Peer,
    connection: object | undefined,
  ) {
    this.id = id
    this.head = head
    this.info = requestInfo(head.method, head.target)
    this.peer = peer
    this.connection = connection
    this.#client = client
  }

  /** Made when somebody asks: most requests wait for nothing. */
  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const controller = new AbortController()
      this.#signal = controller.signal
      this.#client.onGone(() => controller.abort(new Refusal('client_gone')))
    }
    return this.#signal
  }
}

/** Node's parser has let go of the connection already. */
function refuseConnect(request: IncomingMessage, socket: Duplex): void {
  const id = auditId(request.rawHeaders)
  const refusal = new Refusal('method_not_allowed')
  publishMalformed(id, request.socket, refusal)
  endWith(socket, refusalBytes(id, refusal))
}

function refusalForParser(error: NodeJS.ErrnoException): Refusal | undefined {
  const { code = '' } = error
  if (code === 'HPE_HEADER_OVERFLOW') return new Refusal('headers_too_large', 'too many bytes')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Refusal('request_timeout')
  return code.startsWith('HPE_') ? new Refusal('request_malformed', code) : undefined
}

function publishMalformed(id: string, socket: Duplex | undefined, refusal: Refusal): void {
  const address =
    socket && 'remoteAddress' in socket && typeof socket.remoteAddress === 'string'
      ? socket.remoteAddress
      : 'unknown'
  facts.malformed.publish({ id, address, refusal })
}

/** The last bytes of a connection. */
function endWith(socket: Duplex, bytes: Buffer): void {
  socket.on('error', ignore)
  socket.end(bytes, () => socket.destroy())
}

const received = (
  request: IncomingMessage,
  { switched }: { readonly switched: boolean },
): ReceivedHead => ({
  protocol: spoken(request),
  method: request.method ?? '',
  target: request.url ?? '',
  rawHeaders: request.rawHeaders,
  parserSwitched: switched,
})

/** What a request line says of HTTP/2 is not so: that is a protocol of its own, chosen by ALPN. */
const spoken = ({ httpVersion, httpVersionMajor }: IncomingMessage): string =>
  httpVersionMajor === 1 ? `HTTP/${httpVersion}` : 'unknown'

/** A head of which nothing is believed, except that a body may follow: it is not to be waited for. */
const unreadable = (request: IncomingMessage | undefined): RequestHead => ({
  protocol: 'HTTP/1.0',
  method: '',
  target: '',
  headers: [],
  hasBody:
    request?.headers['content-length'] !== undefined ||
    request?.headers['transfer-encoding'] !== undefined,
})

const ignore = (): void => undefined
