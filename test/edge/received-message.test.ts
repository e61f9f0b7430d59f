import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import t, { type Test as TestContext } from 'tap'
import { ReceivedMessage } from '../../lib/edge/received-message.js'

/** Answers each request with what came in its body, and keeps the messages. */
async function serve(t: TestContext, bytes: string): Promise<{ text: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const server = createServer({ IncomingMessage: ReceivedMessage }, (message, response) => {
    const events: string[] = []
    for (const event of ['end', 'close']) message.on(event, () => events.push(event))
    seen.push({ message, events })
    if (message.headers['content-length'] === undefined && !message.headers['transfer-encoding']) {
      response.end(`${message.url}: no body;`)
      return
    }
    let body = ''
    message.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    message.on('end', () => response.end(`${message.url}: ${body};`))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.write(bytes)
  await once(socket, 'close')
  return { text, seen }
}

interface Seen {
  readonly message: IncomingMessage
  readonly events: readonly string[]
}

const bodiesOf = (text: string): string[] => text.match(/\/\d: [^;]*(?=;)/g) ?? []

t.test('requests with and without a body follow one another on a connection', async t => {
  const { text, seen } = await serve(
    t,
    [
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
      'POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
      'POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
      'POST /5 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET /6 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ].join(''),
  )
  t.same(bodiesOf(text), ['/1: no body', '/2: hello', '/3: hi', '/4: ', '/5: ', '/6: no body'])
  t.same(
    seen.map(({ message, events }) => [message.readableEnded, message.complete, events]),
    [
      // Over with its head: nothing flowed, and Node holds on to none of it.
      [true, true, []],
      [true, true, ['end', 'close']],
      [true, true, ['end', 'close']],
      [true, true, ['end', 'close']],
      [true, true, ['end', 'close']],
      [true, true, []],
    ],
  )
})

t.test('a client that leaves before its answer is noticed', async t => {
  const server = createServer({ IncomingMessage: ReceivedMessage })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n')
  const [message, response] = (await once(server, 'request')) as [IncomingMessage, IncomingMessage]
  const closed = once(response, 'close')
  socket.destroy()
  await closed
  t.equal(message.readableEnded, true)
})
