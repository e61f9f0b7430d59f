import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { connectRaw, rawRequest } from './raw-client.js'
import { reset } from './reset.js'

type Teardown = { teardown(fn: () => unknown): unknown }

/** A server that hears every byte and does what it is told, in plain TCP. */
async function serving(t: Teardown, heard: (socket: Socket, bytes: Buffer) => void) {
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => undefined)
    socket.on('data', bytes => heard(socket, bytes))
    socket.on('end', () => socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port }
}

t.test('bytes go out as given, in the pieces given, and our half can be closed', async t => {
  const pieces: string[] = []
  const { port } = await serving(t, (_, bytes) => pieces.push(bytes.toString('latin1')))
  const { response, closed, timedOut } = await rawRequest({
    port,
    bytes: ['GET /\xff\n', 40, Buffer.from([0, 0x80])],
    thenEnd: true,
  })
  t.strictSame(pieces, ['GET /\xff\n', '\0\x80'])
  t.strictSame([response, closed, timedOut], [undefined, 'fin', false])
})

t.test('an answer is read by its framing, and what follows it is kept', async t => {
  const target = await serving(t, socket => {
    socket.write(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '3\r\nabc\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nrest',
    )
  })
  const { responses, rest, closed } = await rawRequest({ ...target, bytes: 'GET', answers: 2 })
  const [first, second] = responses
  t.strictSame([first?.status, first?.reason, String(first?.body)], [200, 'OK', 'abc'])
  t.strictSame([first?.values('A'), first?.trailers], [['1', '2'], [['T', '1']]])
  t.equal(first?.interim.length, 1)
  t.strictSame([second?.status, second?.body.length, second?.complete], [304, 0, true])
  t.strictSame([String(rest), closed], ['rest', 'open'])
})

t.test('a cut answer is incomplete, whatever frames it', async t => {
  for (const head of ['Content-Length: 9', 'Transfer-Encoding: chunked']) {
    const target = await serving(t, socket =>
      socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n5\r\nab`),
    )
    const { response } = await rawRequest({ ...target, bytes: 'GET' })
    t.equal(response?.complete, false, head)
  }
  const target = await serving(t, socket => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'))
  const { response, closed } = await rawRequest({ ...target, bytes: 'GET' })
  t.strictSame([response?.complete, String(response?.body), closed], [true, 'to the end', 'fin'])
})

t.test('the answer to HEAD has no body', async t => {
  const target = await serving(t, socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')
  })
  t.match(await rawRequest({ ...target, bytes: 'HEAD / HTTP/1.1\r\n\r\n' }), {
    response: { status: 200, complete: true },
  })
})

t.test('a reset is no orderly end', async t => {
  const target = await serving(t, socket => reset(socket))
  t.match(await rawRequest({ ...target, bytes: 'GET' }), { closed: 'rst', responses: [] })
})

t.test('a server that stays silent, or open, runs out of time', async t => {
  const silent = await serving(t, () => undefined)
  t.match(await rawRequest({ ...silent, bytes: 'GET', timeoutMs: 50 }), {
    timedOut: true,
    closed: 'open',
    responses: [],
  })
  const open = await serving(t, socket => socket.write('HTTP/1.1 204 No\r\n\r\nmore'))
  const { rest, timedOut } = await rawRequest({
    ...open,
    bytes: 'GET',
    untilClosed: true,
    timeoutMs: 50,
  })
  t.strictSame([String(rest), timedOut], ['more', true])
})

t.test('step by step: head, then body, then our reset', async t => {
  const gone = new Promise<unknown>(resolve => {
    void serving(t, socket => {
      socket.once('error', resolve)
      socket.write('HTTP/1.1 200 OK\r\nA: 1\r\n\r\nfirst\n')
    }).then(async target => {
      const client = await connectRaw(target)
      await client.write('GET')
      t.strictSame((await client.readHead()).headers, [['A', '1']])
      t.equal(String(await client.readUntil('\n')), 'first\n')
      client.reset()
    })
  })
  t.match(await gone, { code: 'ECONNRESET' })
})
