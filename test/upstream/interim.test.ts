import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { withoutInterimAnswers } from '../../lib/upstream/interim.js'

const sendsHeaders = channel('undici:client:sendHeaders')

/** What is read of a connection that these pieces come on, `request` for one that is sent. */
function read(...pieces: readonly string[]): string {
  // Of a socket only `read` is touched.
  const socket = new PassThrough() as unknown as Socket & PassThrough
  withoutInterimAnswers(socket)
  let text = ''
  for (const piece of pieces) {
    if (piece === 'request') sendsHeaders.publish({ socket })
    else {
      socket.write(piece)
      const bytes: Buffer | null = socket.read()
      text += bytes === null ? '' : bytes.toString()
    }
  }
  return text
}

const interim =
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 199\r\n\r\n'
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n'
const body = 'HTTP/1.1 100 Not one\r\n\r\n..'
const whole = interim + answer + body

t.test('interim answers are not read, wherever they are cut in pieces', async t => {
  t.equal(read('request', whole), answer + body)
  for (let at = 1; at < whole.length; at += 1) {
    t.equal(
      read('request', whole.slice(0, at), whole.slice(at)),
      answer + body,
      `cut at ${String(at)}`,
    )
  }
  t.equal(read('request', ...whole.split('')), answer + body, 'byte by byte')
})

t.test('the same bytes in a body are the body’s', async t => {
  t.equal(read('request', answer, body), answer + body)
  t.equal(read('request', answer, interim, 'request', whole), answer + interim + answer + body)
})

t.test('what is no interim answer is read as it came', async t => {
  for (const other of [
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'HTTP/1.1 1000 X\r\n\r\n',
    'HTTP/1.1 10',
    'garbage',
    `HTTP/1.1 100 ${'x'.repeat(20_000)}`,
  ]) {
    const told = other.length > 13
    t.equal(read('request', other), told || other === 'garbage' ? other : '', other.slice(0, 40))
  }
})

t.test('an answer of another version of HTTP is none', async t => {
  for (const line of ['HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'HTTP/1.2 100 Continue', 'HTTP/1.']) {
    // Of a socket only `read` and `destroy` are touched.
    const socket = new PassThrough() as unknown as Socket & PassThrough
    const failed = new Promise(resolve => socket.once('error', resolve))
    withoutInterimAnswers(socket)
    sendsHeaders.publish({ socket })
    socket.write(line)
    t.equal(socket.read(), null, line)
    if (line === 'HTTP/1.') socket.write('x 200 OK')
    t.equal(socket.read(), null)
    t.match(await failed, { message: 'the answer is not of HTTP/1' })
  }
})
