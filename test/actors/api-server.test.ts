import t from 'tap'
import { bytes, cutBody, interim, silence, stream, unasked101 } from './api-server-answers.js'
import { startApiServer, type ApiServer, type ApiServerOptions } from './api-server.js'
import { createAuthority } from './certificates.js'
import { connectRaw, rawRequest, requestBytes, type RawExchange } from './raw-client.js'

type Teardown = { teardown(fn: () => unknown): unknown }

async function started(t: Teardown, options?: ApiServerOptions): Promise<ApiServer> {
  const server = await startApiServer(options)
  t.teardown(() => server.close())
  return server
}

const get = (server: ApiServer, untilClosed = false): Promise<RawExchange> =>
  rawRequest({ ...server, bytes: requestBytes('GET', '/x', { Host: 'x' }), untilClosed })

t.test('a request is recorded byte for byte, over TLS and without', async t => {
  for (const tls of [true, false]) {
    const server = await started(t, { tls })
    const sent =
      'POST //a/%2e%2E/b?c=d&c HTTP/1.1\r\nhOST: x\r\nX-a: 1\r\nx-A:  J\xf6\xe2\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3\r\nabc\r\n2\r\nde\r\n0\r\nx-end: 1\r\n\r\n'
    const { response } = await rawRequest({
      port: server.port,
      ...(tls && { ca: server.ca }),
      bytes: [sent.slice(0, 9), 5, sent.slice(9, 130), 5, sent.slice(130)],
    })
    t.strictSame([response?.status, response?.json()], [200, { ok: true }])
    const [request] = server.requests
    t.strictSame(
      [request?.method, request?.target, request?.version, request?.headerLines],
      [
        'POST',
        '//a/%2e%2E/b?c=d&c',
        '1.1',
        [
          ['hOST', 'x'],
          ['X-a', '1'],
          ['x-A', 'J\xf6\xe2'],
          ['Transfer-Encoding', 'chunked'],
        ],
      ],
    )
    t.equal(request?.body.toString(), 'abcde')
    t.strictSame(request?.trailers, [['x-end', '1']])
    t.strictSame(server.connections[0]?.received.toString('latin1'), sent)
    t.equal(await request?.gone, 'answered')
  }
})

t.test('one connection carries several requests, pipelined ones too', async t => {
  const server = await started(t)
  const one = requestBytes('GET', '/1', { Host: 'x' })
  const two = requestBytes('POST', '/2', { Host: 'x', 'Content-Length': '2' }, 'hi')
  const { responses } = await rawRequest({ ...server, bytes: one + two, answers: 2 })
  t.strictSame(
    responses.map(({ status }) => status),
    [200, 200],
  )
  t.strictSame(
    server.requests.map(({ target, connection, body }) => [target, connection.id, String(body)]),
    [
      ['/1', 0, ''],
      ['/2', 0, 'hi'],
    ],
  )
})

t.test('SelfSubjectReview answers with whom the token is known as', async t => {
  const review = (token: string): string =>
    requestBytes('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      Host: 'x',
      Authorization: `Bearer ${token}`,
      'Content-Length': '0',
    })
  const server = await started(t)
  t.equal((await rawRequest({ ...server, bytes: review('a') })).response?.status, 404)
  server.know(token => (token === 'a' ? { username: 'alice', groups: ['dev'] } : undefined))
  const { response } = await rawRequest({ ...server, bytes: review('a') })
  t.equal(response?.status, 201)
  t.match(response?.json(), { status: { userInfo: { username: 'alice', groups: ['dev'] } } })
  t.equal((await rawRequest({ ...server, bytes: review('b') })).response?.status, 401)
  t.strictSame([server.requests.length, server.forwarded.length], [3, 0])
})

t.test('conflicting framing and stray bytes are faults, not requests', async t => {
  const server = await started(t)
  for (const sent of [
    'GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
    'GET / HTTP/1.1\r\na : b\r\n\r\n',
    'GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n',
    'GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n',
    'GET  / HTTP/1.1\r\n\r\n',
  ]) {
    t.equal((await rawRequest({ ...server, bytes: sent })).response?.status, 400, sent)
  }
  t.strictSame([server.requests.length, server.faults.length], [0, 6])
})

t.test('answers break off as told: FIN, RST, or never', async t => {
  const server = await started(t)
  server.respondWith(cutBody('fin'))
  const fin = await get(server, true)
  t.strictSame([fin.response?.complete, fin.response?.body.length, fin.closed], [false, 500, 'fin'])
  server.respondWith(cutBody('rst', { chunked: true }))
  const rst = await get(server, true)
  t.strictSame([rst.response?.complete, rst.closed], [false, 'rst'])
  server.respondWith(silence)
  const client = await connectRaw(server)
  await client.write(requestBytes('GET', '/', { Host: 'x' }))
  const silent = await server.request(2)
  client.destroy()
  t.not(await silent.gone, 'answered')
  t.ok(silent.aborted)
})

t.test('a plain server resets too', async t => {
  const server = await started(t, { tls: false, respond: cutBody('rst') })
  const { response, closed } = await rawRequest({
    port: server.port,
    bytes: requestBytes('GET', '/', { Host: 'x' }),
    untilClosed: true,
  })
  t.strictSame([response?.complete, closed], [false, 'rst'])
})

t.test('odd answers arrive as they were written', async t => {
  const server = await started(t)
  server.respondWith(interim('103 Early Hints\r\nLink: </a>', '100 Continue'))
  const { response } = await get(server)
  t.strictSame(
    [response?.status, response?.interim],
    [
      200,
      [
        { status: 103, headers: [['Link', '</a>']] },
        { status: 100, headers: [] },
      ],
    ],
  )
  server.respondWith(unasked101)
  t.equal((await get(server)).response?.status, 101)
  server.respondWith(bytes('HTTP/1.1 299 \xff\r\nA: \r\n\r\nto the end'))
  const odd = await get(server)
  t.strictSame(
    [odd.response?.reason, odd.response?.headers, String(odd.response?.body)],
    ['\xff', [['A', '']], 'to the end'],
  )
})

t.test('a stream is in the hands of the test, piece by piece', async t => {
  const server = await started(t)
  const watch = stream()
  server.respondWith(watch.respond)
  const client = await connectRaw(server)
  await client.write(requestBytes('GET', '/', { Host: 'x' }))
  await watch.send('one\n')
  t.match(String(await client.readUntil('one\n\r\n')), /^HTTP\/1.1 200 OK/)
  await watch.send('two\n')
  t.equal(String(await client.readUntil('two\n\r\n')), '4\r\ntwo\n\r\n')
  await watch.finish()
  t.equal(String(await client.readUntil('0\r\n\r\n')), '0\r\n\r\n')
  client.destroy()
})

t.test('an answer may come before the body, where the test wants it so', async t => {
  const server = await started(t)
  server.respondWith((_, answer) => answer.reply(413), { at: 'head' })
  const client = await connectRaw(server)
  await client.write(requestBytes('POST', '/', { Host: 'x', 'Content-Length': '9' }, 'part'))
  t.equal((await client.readResponse()).status, 413)
  client.destroy()
})

t.test('a handler may take the socket over, with the bytes that had already come', async t => {
  const server = await started(t)
  server.respondWith(async (_, answer) => {
    await answer.raw('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    const { socket, early } = answer.hijack()
    socket.write(early)
    socket.pipe(socket)
  })
  const client = await connectRaw(server)
  await client.write(`${requestBytes('GET', '/', { Host: 'x' })}early`)
  t.equal((await client.readResponse()).status, 101)
  await client.readUntil('early')
  await client.write('late')
  await client.readUntil('late')
  client.destroy()
})

t.test('the subject of a client certificate is recorded', async t => {
  const authority = createAuthority()
  const server = await started(t, { authority, requestClientCert: true })
  const client = await authority.issue({
    client: { commonName: 'gateway', organizations: ['a', 'b'] },
  })
  await rawRequest({ ...server, client, bytes: requestBytes('GET', '/', { Host: 'x' }) })
  await get(server)
  t.strictSame(
    server.connections.map(({ certificate }) => certificate),
    [{ commonName: 'gateway', organizations: ['a', 'b'] }, undefined],
  )
})

t.test('it goes down and comes up again at the same address', async t => {
  const server = await started(t)
  await get(server)
  await server.down()
  await t.rejects(get(server), { code: 'ECONNREFUSED' })
  await server.up()
  t.equal((await get(server)).response?.status, 200)
})
