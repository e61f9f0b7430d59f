/*
 * T05: two programs in a row disagree about where a request ends, and the second finds a request of its
 * own in what the first took for a body (CVE-2022-32213, -32214, -32215, -35256, CVE-2023-30589,
 * CVE-2021-22959, -22960, CVE-2024-22019; the HTTP Garden). What can be read in two ways is refused before
 * a byte goes on; what goes on is framed anew.
 */
import t from 'tap'
import { stream } from '../actors/api-server-answers.js'
import { connectRaw, rawRequest, type RawExchange } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'
import {
  arrived,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  originLines,
} from './clients.js'
import { answered, badRequest, closing, shown, status } from './status.js'

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
const chunks = '2\r\n{}\r\n0\r\n\r\n'

/** Header lines of a POST, and the bytes after its head. */
type Framing = readonly [lines: string, after: string]

const framings: readonly Framing[] = [
  ['Content-Length: 12\r\nTransfer-Encoding: chunked', chunks],
  ['Transfer-Encoding: chunked\r\nContent-Length: 12', chunks],
  ['Transfer-Encoding: chunked\r\nContent-Length: 0', chunks],
  ['Content-Length: 2\r\nTransfer-Encoding: identity', '{}'],
  ['Transfer-Encoding: identity\r\nContent-Length: 2', '{}'],
  ['Transfer-Encoding: gzip\r\nContent-Length: 2', '{}'],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', chunks],
  ['Transfer-Encoding: chunked\r\ntransfer-encoding: identity', chunks],
  ['Transfer-Encoding: identity', chunks],
  ['Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', chunks],
  ['Transfer-Encoding: gzip, chunked', chunks],
  ['Transfer-Encoding: chunked, gzip', chunks],
  ['Transfer-Encoding: chunked, chunked', chunks],
  ['Transfer-Encoding: chunked,', chunks],
  ['Transfer-Encoding: ,chunked', chunks],
  ['Transfer-Encoding: xchunked', chunks],
  ['Transfer-Encoding: chunkedx', chunks],
  ['Transfer-Encoding: chunked;a=b', chunks],
  ['Transfer-Encoding: "chunked"', chunks],
  ['Transfer-Encoding: \x0bchunked', chunks],
  ['Transfer-Encoding: chunked\x0b', chunks],
  ['Transfer-Encoding: chunk\xe9d', chunks],
  ['Transfer-Encoding:', chunks],
  ['Transfer-Encoding:\r\n chunked', chunks],
  ['Transfer-Encoding : chunked', chunks],
  ['Transfer-Encoding\0: chunked', chunks],
  ['Content-Length: 2\r\nContent-Length: 2', '{}'],
  ['Content-Length: 2\r\nContent-Length: 0', '{}'],
  ['Content-Length: 2\r\ncontent-length: 44', smuggled],
  ['Content-Length: 2, 2', '{}'],
  ['Content-Length: +2', '{}'],
  ['Content-Length: -2', '{}'],
  ['Content-Length: 0x2', '{}'],
  ['Content-Length: 2 2', '{}'],
  ['Content-Length: 2e0', '{}'],
  ['Content-Length: 2.0', '{}'],
  ['Content-Length: \x0b2', '{}'],
  ['Content-Length: 99999999999999999999', '{}'],
  ['Content-Length: 18446744073709551618', '{}'],
  ['Content-Length: 9999999999999999', '{}'],
  ['Content-Length:', smuggled],
  ['Content-Length : 2', '{}'],
  ['Content-Length\t: 2', '{}'],
  [' Content-Length: 2', '{}'],
  ['X: y\r\n Content-Length: 2', '{}'],
  ['X: y\rContent-Length: 2', '{}'],
  ['Host: y', ''],
]

/** A whole first line, or more of a head than that. */
const heads: readonly string[] = [
  'POST /api HTTP/1.0\r\nTransfer-Encoding: chunked',
  'GET /api HTTP/2.0\r\nHost: x',
  'GET /api HTTP/2.0\r\nhost: x\r\nx-a: b',
  'GET /api HTTP/1.2\r\nHost: x',
  'GET /api HTTP/1.10\r\nHost: x',
  'GET /api HTTP/11\r\nHost: x',
  'GET /api http/1.1\r\nHost: x',
  'GET /api HTTP/1.1 \r\nHost: x',
  'GET /api HTTP/0.9\r\nHost: x',
  'GET /api',
  'GET /api ICE/1.0\r\nHost: x',
  ' GET /api HTTP/1.1\r\nHost: x',
  'GET\t/api HTTP/1.1\r\nHost: x',
  'GET /api\tHTTP/1.1\r\nHost: x',
  'GET /a b HTTP/1.1\r\nHost: x',
  'GET /a\0b HTTP/1.1\r\nHost: x',
  'GET /a\x01b HTTP/1.1\r\nHost: x',
  'GET /a\xffb HTTP/1.1\r\nHost: x',
  'GET /a\rb HTTP/1.1\r\nHost: x',
  'G\0T /api HTTP/1.1\r\nHost: x',
  'get /api HTTP/1.1\r\nHost: x',
  'BREW /api HTTP/1.1\r\nHost: x',
  'PRI * HTTP/2.0',
  'GET /api HTTP/1.1',
  'GET /api HTTP/1.1\r\nHost: x\r\nHost: x',
  'GET /api HTTP/1.1\r\nHost: x\r\nhost: y',
  'GET /api HTTP/1.1\r\nHost: x y',
  'GET /api HTTP/1.1\r\nHost: x/y',
  'GET /api HTTP/1.1\r\nHost: a@x',
  'GET /api HTTP/1.1\r\nHost: x, y',
  'GET /api HTTP/1.1\r\nHost:',
]

/** Bodies whose chunks are wrong from the first byte. */
const badChunks = [
  '0x2\r\n{}\r\n0\r\n\r\n',
  '+2\r\n{}\r\n0\r\n\r\n',
  '-2\r\n{}\r\n0\r\n\r\n',
  ' 2\r\n{}\r\n0\r\n\r\n',
  '2_\r\n{}\r\n0\r\n\r\n',
  'g\r\n{}\r\n0\r\n\r\n',
  '\r\n{}\r\n0\r\n\r\n',
  ';a\r\n{}\r\n0\r\n\r\n',
  '2\n{}\n0\n\n',
  '2\r{}\r\n0\r\n\r\n',
  '2\0\r\n{}\r\n0\r\n\r\n',
  '2;a\nb\r\n{}\r\n0\r\n\r\n',
  '2;a\rb\r\n{}\r\n0\r\n\r\n',
  '2;a\0\r\n{}\r\n0\r\n\r\n',
  'fffffffffffffffff\r\n{}\r\n0\r\n\r\n',
  `1${'0'.repeat(64)}2\r\n{}\r\n0\r\n\r\n`,
  `2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
] as const

/** Bodies that go wrong behind a good chunk: the API server may have seen that one, but never an end. */
const worseChunks = [
  '2\r\n{}0\r\n\r\n',
  '2\r\n{}\n0\r\n\r\n',
  '2\r\n{}\r0\r\n\r\n',
  '2\r\n{}x\r\n0\r\n\r\n',
  '2\r\n{}\r\n2\n{}\r\n0\r\n\r\n',
  '2\r\n{}\r\n-0\r\n\r\n',
  '2\r\n{}\r\nx\r\n\r\n',
  '2\r\n{}\r\n0\r\nA b: c\r\n\r\n',
  '2\r\n{}\r\n0\r\nA : c\r\n\r\n',
  '2\r\n{}\r\n0\r\nA: c\0\r\n\r\n',
  '2\r\n{}\r\n0\r\n\rX\n',
] as const

t.test('what can be framed in two ways is refused, and not a byte of it goes on', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, target, issuer } = world
  const token = issuer.sign({ groups: ['dev'] })
  const credential = `Authorization: Bearer ${token}\r\n`
  const send = (bytes: string): Promise<RawExchange> =>
    rawRequest({ ...target, bytes, untilClosed: true, thenEnd: false })
  const refusedWith = async (bytes: string, title: string): Promise<void> => {
    const exchange = await send(bytes)
    const seen = {
      ...answered(exchange),
      end: exchange.closed === 'open' ? 'open' : 'closed',
      more: String(exchange.rest),
    }
    t.strictSame(seen, { ...badRequest, end: 'closed', more: '' }, title)
  }

  // Connections are open already, so that whatever goes on goes on at once.
  const warm = await Promise.all(['/a', '/b'].map(path => world.ask({ token, path })))
  t.strictSame(
    warm.map(({ response }) => response?.status),
    [200, 200],
  )
  const seenByApi = (): string =>
    api.connections
      .map(({ received }) => received.toString('latin1'))
      .join('|')
      .replace(/\|+$/, '')
  const before = seenByApi()

  for (const [lines, after] of framings) {
    const head = `POST /api HTTP/1.1\r\nHost: x\r\n${credential}${lines}\r\n\r\n`
    await refusedWith(head + after + smuggled, JSON.stringify(lines))
  }
  for (const head of heads) {
    await refusedWith(`${head}\r\n${credential}\r\n${smuggled}`, JSON.stringify(head))
  }
  for (const lines of ['', 'Connection: keep-alive\r\n', 'Content-Length: 12\r\n']) {
    const head = `POST /api HTTP/1.0\r\n${credential}${lines}Transfer-Encoding: chunked\r\n\r\n`
    await refusedWith(head + chunks + smuggled, `HTTP/1.0 has no chunks: ${JSON.stringify(lines)}`)
  }
  for (const body of badChunks) {
    const head = `POST /api HTTP/1.1\r\nHost: x\r\n${credential}Transfer-Encoding: chunked\r\n\r\n`
    await refusedWith(head + body + smuggled, JSON.stringify(body.slice(0, 40)))
  }
  t.equal(seenByApi(), before, 'the API server has seen nothing at all')

  for (const body of worseChunks) {
    const head = `POST /api HTTP/1.1\r\nHost: x\r\n${credential}Transfer-Encoding: chunked\r\n\r\n`
    const { response, responses, closed } = await send(head + body + smuggled)
    t.not(closed, 'open', `${JSON.stringify(body)} closes`)
    t.ok(responses.length <= 1 && (response?.status ?? 400) === 400, JSON.stringify(body))
  }
  t.equal((await world.ask({ token, path: '/last' })).response?.status, 200)
  for (const request of api.forwarded.slice(2, -1)) {
    t.strictSame([request.method, request.target], ['POST', '/api'])
    await t.rejects(request.whole, 'its body has no end')
  }
  t.notMatch(seenByApi(), /smuggled/)

  // An answer that has begun is not mixed with one about the body.
  const begun = stream('text/plain')
  api.respondWith(begun.respond, { at: 'head' })
  const client = await connectRaw(target)
  await client.write(
    `POST /api HTTP/1.1\r\nHost: x\r\n${credential}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`,
  )
  await begun.send('begun')
  await client.readUntil('begun')
  await client.write(`x\r\n${smuggled}`)
  await client.gone
  t.notMatch(String(client.received), /HTTP\/1\.1 400|Status/, 'it is cut instead')
  t.notMatch(String(client.received), '0\r\n\r\n')
})

t.test('what can be framed in one way only goes on, framed anew', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, target, issuer } = world
  const token = issuer.sign({ groups: ['dev'] })
  const credential = `Authorization: Bearer ${token}\r\n`
  const identity = [
    ...originLines,
    ...impersonationLines(`${issuer.url}#alice`, ['dev']),
    ...gatewayCredential,
  ]
  const last = () => {
    const request = api.forwarded.at(-1)
    if (!request) throw new Error('nothing was forwarded')
    const { method, target: to, body, trailers } = request
    return { method, target: to, body: String(body), trailers, headers: arrived(request, api.port) }
  }
  const chunked = [['transfer-encoding', 'chunked']] as const
  const length = (n: number) => [['content-length', String(n)]] as const
  const rows = [
    ['POST', 'Transfer-Encoding: chunked', chunks, '{}', chunked],
    ['POST', 'transfer-encoding: CHUNKED', chunks, '{}', chunked],
    ['POST', 'Transfer-Encoding: chunked ', chunks, '{}', chunked],
    ['POST', 'Transfer-Encoding: chunked', '2;a=b\r\n{}\r\n0;c\r\nA: b\r\n\r\n', '{}', chunked],
    ['POST', 'Transfer-Encoding: chunked', '00002\r\n{}\r\n000\r\n\r\n', '{}', chunked],
    ['PUT', 'Content-Length: 44', smuggled.padEnd(44, '!'), smuggled.padEnd(44, '!'), length(44)],
    ['DELETE', 'Content-Length: 2', '{}', '{}', length(2)],
    ['GET', 'Content-Length: 2', '{}', '{}', length(2)],
    ['POST', 'Content-Length: 0', '', '', length(0)],
  ] as const
  for (const [method, line, sent, body, framed] of rows) {
    const bytes = `${method} /api HTTP/1.1\r\nHost: x\r\n${credential}${line}\r\n\r\n${sent}`
    const { response } = await rawRequest({ ...target, bytes })
    t.equal(response?.status, 200, `${method} ${line}`)
    const seen = last()
    t.match({ ...seen, headers: [] }, { method, target: '/api', body, trailers: [] })
    t.strictSame(
      seen.headers.filter(([name]) => name !== 'connection'),
      [...connectionLines.slice(0, 1), ...identity, ...framed],
      JSON.stringify([method, line, sent.slice(0, 20)]),
    )
  }
  t.strictSame(api.faults, [])

  // Node's parser skips further blanks (RFC 9112, 3 allows it): what goes on has one again.
  const blanks = await rawRequest({
    ...target,
    bytes: `GET   /api HTTP/1.1\r\nHost: x\r\n${credential}\r\n`,
  })
  t.equal(blanks.response?.status, 200)
  t.strictSame(last().headers, [...connectionLines, ...identity])
  t.strictSame(api.faults, [])

  const good = `GET /first HTTP/1.1\r\nHost: x\r\n${credential}\r\n`
  const before = api.forwarded.length
  for (const second of [
    'GET /second HTTP/1.1\r\nHost : x\r\n\r\n',
    'POST /second HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'GET //second HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01 second',
  ] as const) {
    const exchange = await rawRequest({
      ...target,
      bytes: good + second + smuggled,
      answers: 2,
      untilClosed: true,
    })
    const [first, refused] = exchange.responses
    t.equal(first?.status, 200, 'the first request has its answer')
    t.strictSame(refused && shown(refused), badRequest, JSON.stringify(second.slice(0, 40)))
    t.strictSame([exchange.closed === 'open', String(exchange.rest)], [false, ''])
  }
  t.strictSame(
    api.forwarded.slice(before).map(request => request.target),
    ['/first', '/first', '/first', '/first'],
  )
  t.strictSame(api.faults, [])

  const expecting = (what: string): string =>
    `POST /expects HTTP/1.1\r\nHost: x\r\n${credential}Expect: ${what}\r\nContent-Length: 2\r\n\r\n`
  const continued = await rawRequest({ ...target, bytes: [expecting('100-Continue'), 50, '{}'] })
  t.strictSame(
    [continued.response?.interim.map(one => one.status), continued.response?.status],
    [[100], 200],
  )
  t.strictSame(last().headers, [...connectionLines, ...identity, ...length(2)], 'Expect stays here')
  const other = await rawRequest({ ...target, bytes: `${expecting('200-ok')}{}` })
  t.strictSame(
    answered(other),
    status(417, 'ExpectationFailed', 'only 100-continue can be expected', closing),
  )
  const unauthorised = await rawRequest({
    ...target,
    bytes: 'POST /expects HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
    untilClosed: true,
  })
  t.strictSame(unauthorised.response?.interim, [], 'a body that nobody wants is not asked for')
  t.strictSame(
    answered(unauthorised),
    status(401, 'Unauthorized', 'no credential was presented', [
      ['www-authenticate', 'Bearer realm="kubernetes"'],
      ...closing,
    ]),
  )

  for (const method of ['CONNECT', 'TRACE']) {
    const bytes = `${method} ${method === 'TRACE' ? '/api' : 'x:443'} HTTP/1.1\r\nHost: x\r\n${credential}\r\n`
    const { response } = await rawRequest({ ...target, bytes })
    t.equal(response?.status, 405)
  }
  const two = await world.ask({ token, headers: [['authorization', `Bearer ${token}`]] })
  t.strictSame(
    answered(two),
    status(400, 'BadRequest', 'more than one credential was presented', closing),
  )
})
