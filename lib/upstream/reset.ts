import { buildConnector } from 'undici'

/**
 * Whether the connection that is being handled this very moment was reset.
 *
 * An answer whose end is the end of its connection (neither `Content-Length` nor chunks) is complete when the
 * connection is closed, and cut when it is reset. undici reports both as the end of the answer; it does
 * so while the socket's `error` is being emitted, so a listener in front of its own knows better.
 */
export const isReset = (): boolean => resetting

let resetting = false

/** undici's own connector, whose sockets tell `isReset` of their end. */
export function noticingConnector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options)
  return (target, callback) =>
    connect(target, (...[error, socket]) => {
      if (error) {
        callback(error, null)
        return
      }
      socket.prependListener('error', () => {
        resetting = true
        queueMicrotask(() => (resetting = false))
      })
      callback(null, socket)
    })
}
