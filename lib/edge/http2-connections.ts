import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { maxHeaderBytes, maxHeaderLines, type ReceivedHead } from './request-head.js'

export interface Http2ConnectionsOptions {
  /** How long a client may take for its first request's head. In milliseconds. */
  readonly headTimeoutMs: number
  /** How long a connection may stay without a request. In milliseconds. */
  readonly idleTimeoutMs: number
  /** Called for each request, whose head nobody has judged yet. */
  readonly onRequest: (stream: ServerHttp2Stream, socket: TLSSocket, received: ReceivedHead) => void
}

/** The HTTP/2 connections that are open. */
export interface Http2Connections {
  /** Speaks HTTP/2 on a connection whose client chose it. */
  readonly serve: (socket: TLSSocket) => void
  /** GOAWAY on all of them: what is open goes on, what comes next needs another connection. */
  closeIdle(): void
}

export function createHttp2Connections(options: Http2ConnectionsOptions): Http2Connections {
  const { headTimeoutMs, idleTimeoutMs, onRequest } = options
  const sessions = new Set<ServerHttp2Session>()
  return {
    serve(socket) {
      const session = performServerHandshake(socket, {
        // Above our own bounds, so that who goes beyond those gets an answer instead of a reset.
        maxHeaderListPairs: 10 * maxHeaderLines,
        maxSendHeaderBlockLength: 2 * maxHeaderBytes,
        settings: { maxConcurrentStreams: 250, maxHeaderListSize: 2 * maxHeaderBytes },
      })
      sessions.add(session)
      // HTTP/2 has no half-closed connections: who ends it without a GOAWAY is gone, streams and all.
      socket.once('end', () => session.destroy())
      let open = 0
      session.on('close', () => sessions.delete(session))
      session.on('error', ignore)
      session.on('frameError', ignore)
      // A stream may be silent as long as it likes; a connection without one may not.
      session.setTimeout(headTimeoutMs, () => {
        if (open > 0) return
        session.close()
        // A header block without an end is a stream that never came; nothing else is open.
        setImmediate(() => session.destroy())
      })
      session.on(
        'stream',
        (stream: ServerHttp2Stream, _headers: unknown, flags: number, rawHeaders: string[]) => {
          open += 1
          session.setTimeout(idleTimeoutMs)
          stream.on('error', ignore).once('close', () => (open -= 1))
          // A turn later: of streams that are opened and reset in one breath the API server hears nothing.
          setImmediate(() => {
            if (stream.destroyed || stream.aborted) return
            // Not the session's own view of the socket, which throws once the session is over.
            onRequest(stream, socket, headOf(rawHeaders, (flags & endStream) === 0))
          })
        },
      )
    },
    closeIdle() {
      for (const session of sessions) session.close()
    },
  }
}

/** RFC 9113, 6.2. */
const endStream = 0x1

const headOf = (rawHeaders: readonly string[], bodyFollows: boolean): ReceivedHead => ({
  protocol: 'HTTP/2.0',
  method: pseudo(rawHeaders, ':method'),
  target: pseudo(rawHeaders, ':path'),
  rawHeaders,
  bodyFollows,
})

function pseudo(rawHeaders: readonly string[], name: string): string {
  const at = rawHeaders.indexOf(name)
  return at < 0 || at % 2 === 1 ? '' : (rawHeaders[at + 1] ?? '')
}

const ignore = (): void => undefined
