import { Duplex } from 'node:stream'
import { buildConnector } from 'undici'
import { withoutInterimAnswers } from './interim.js'

/**
 * How the connection that is being handled this very moment ends.
 *
 * An answer whose end is the end of its connection (neither `Content-Length` nor chunks) is complete when the
 * connection is closed, and cut when it is reset. undici reports both as the end of the answer; it does
 * so while the socket's `error` or `end` is being emitted, so listeners in front of its own know better.
 *
 * A reset that is found in one breath with the last bytes is reported as `end` (libuv does not read on after a
 * hang-up). What is written to such a connection fails at once, as it does not where the other side only has
 * nothing more to say: so an empty line is written, which no HTTP server minds (RFC 9112, 2.2).
 *
 * What cannot be known: whether TLS said goodbye (`close_notify`) before an orderly end of TCP. Node tells its
 * users of one as of the other.
 */
export function endsByReset(): boolean | Promise<boolean> {
  const socket = ending
  if (resetting || socket === undefined) return resetting
  return new Promise(resolve => {
    const told = (error?: NodeJS.ErrnoException | null): void => resolve(isGone(error))
    // Node has put a `write` in the place of this one that fails in any case.
    Duplex.prototype.write.call(socket, '\r\n', 'latin1', told)
  })
}

let resetting = false
let ending: Duplex | undefined

const isGone = (error: NodeJS.ErrnoException | null | undefined): boolean =>
  error?.code === 'EPIPE' || error?.code === 'ECONNRESET'

/** undici's own connector, whose sockets tell `endsByReset` of their end, and nothing of interim answers. */
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
      socket.prependListener('end', () => {
        ending = socket
        queueMicrotask(() => (ending = undefined))
      })
      withoutInterimAnswers(socket)
      callback(null, socket)
    })
}
