import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { errors } from 'undici'

/**
 * Takes interim answers (1xx, but not 101) out of what this connection reads. They may come unasked (RFC 9110,
 * 15.2) and are between the API server and us, but undici takes a `100 Continue` for a fault of the
 * server. Only where an answer may begin: the same bytes inside of a body are the body's. An answer of another
 * version of HTTP ends the connection there.
 */
export function withoutInterimAnswers(socket: Socket): void {
  const read = socket.read.bind(socket)
  let atHead = false
  let held: Buffer | undefined
  heads.set(socket, () => {
    atHead = true
    held = undefined
  })
  socket.read = size => {
    // A socket without encoding reads bytes.
    const chunk = read(size) as Buffer | null
    if (!atHead || chunk === null) return chunk
    if (held === undefined && isNoInterim(chunk)) {
      atHead = false
      return chunk
    }
    let rest = held ? Buffer.concat([held, chunk]) : chunk
    for (;;) {
      const end = interim(rest)
      if (end === 'none') {
        atHead = false
        held = undefined
        if (!otherVersion.test(rest.toString('latin1', 0, 9))) return rest
        socket.destroy(new errors.HTTPParserError('the answer is not of HTTP/1'))
        return null
      }
      if (end === 'unsaid') {
        held = rest
        return null
      }
      rest = rest.subarray(end)
    }
  }
}

/** Who wants to know that a request goes out, so that an answer is what comes next. */
const heads = new WeakMap<Socket, () => void>()

subscribe('undici:client:sendHeaders', message => {
  // As undici documents the message.
  const { socket } = message as { readonly socket: Socket }
  heads.get(socket)?.()
})

/** Of most answers two digits tell it: that of the version, and the first of the status in `HTTP/1.1 200`. */
const isNoInterim = (bytes: Buffer): boolean => {
  const digit = bytes[9]
  return bytes[5] === 0x31 && digit !== undefined && digit !== 0x31
}

/** undici's parser reads `HTTP/2.0 200 OK` and `HTTP/0.9 200 OK` as if they were of HTTP/1.1. */
const otherVersion = /^HTTP\/(?!1\.[01] )/

const most = 16 * 1024

/** Where the interim answer ends that these bytes begin with, if they do, and if it can be told yet. */
function interim(bytes: Buffer): number | 'none' | 'unsaid' {
  const line = bytes.toString('latin1', 0, 13)
  if (/^HTTP\/1\.[01] 1(?:0[02-9]|[1-9]\d)[ \r]/.test(line)) {
    const end = bytes.indexOf('\r\n\r\n')
    if (end >= 0) return end + 4
    return bytes.length < most ? 'unsaid' : 'none'
  }
  const couldBe = ['HTTP/1.1 1', 'HTTP/1.0 1'].some(begins => begins.startsWith(line.slice(0, 10)))
  return couldBe && line.length < 13 ? 'unsaid' : 'none'
}
