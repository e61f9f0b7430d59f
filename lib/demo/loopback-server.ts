import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

export interface LoopbackServer {
  /** `https://127.0.0.1:…` */
  readonly url: string
  /** Ends every connection, after `graceMs` for what is being sent. @param graceMs @default 0 */
  close(graceMs?: number): Promise<void>
}

/** An HTTPS server on a free port of 127.0.0.1, for HTTP/1.1. */
export async function listenOnLoopback(
  options: ServerOptions,
  handle: RequestListener,
): Promise<LoopbackServer> {
  const server = createServer({ ...options, minVersion: 'TLSv1.2' }, handle)
  // Node counts header lines silently: beyond this many it would leave them out.
  server.maxHeadersCount = 0
  // `closeAllConnections` knows none whose TLS handshake is not over, and `close` would wait for it.
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a path.
  const { port } = server.address() as AddressInfo

  return {
    url: `https://127.0.0.1:${port}`,
    close: async (graceMs = 0) => {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      const rest = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      await closed
      clearTimeout(rest)
    },
  }
}
