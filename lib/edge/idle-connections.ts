import type { Socket } from 'node:net'

/**
 * Ends HTTP/1 connections that have been without a request for too long. One clock for all of them: Node's own
 * `keepAliveTimeout` makes a timer after each answer and takes it back with the next request.
 *
 * @param idleSince of `performance.now()`; `undefined` for a connection that is not idle, or not to be ended for it
 * @returns what to call when there will be no more connections
 */
export function endIdleConnections(
  connections: ReadonlySet<Socket>,
  idleSince: (socket: Socket) => number | undefined,
  idleTimeoutMs: number,
): () => void {
  const clock = setInterval(
    () => {
      const before = performance.now() - idleTimeoutMs
      for (const socket of connections) {
        const since = idleSince(socket)
        if (since !== undefined && since <= before) socket.destroy()
      }
    },
    Math.ceil(idleTimeoutMs / 32),
  )
  clock.unref()
  return () => clearInterval(clock)
}
