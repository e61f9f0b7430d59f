/*
 * T33: what comes from behind the gateway is partly an attacker's: a pod, an aggregated API server. Bytes
 * that are no HTTP must not end the process (http-proxy #1439, #1468, http-proxy-3 #5, CVE-2026-48931), nor
 * stay in a connection until somebody else's answer is awaited there.
 */
import t from 'tap'
import { interim } from '../actors/api-server-answers.js'
import type { Responder } from '../actors/api-server.js'
import { startedWorld } from '../actors/world.js'
import { askOver, protocols, type Reply } from './clients.js'
import { shown, status } from './status.js'

const ok = 'HTTP/1.1 200 OK\r\n'

/** Answers that nobody can take for one: 502. */
const malformed = [
  'garbage\r\n\r\n',
  '\0'.repeat(100),
  '\x15\x03\x01\x00\x02\x02\x28',
  '<html>HTTP/0.9 has no head</html>',
  'HTTP/1.1\r\n\r\n',
  'HTTP/1.1 \r\n\r\n',
  'HTTP/1.1 20 OK\r\n\r\n',
  'HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 000 Low\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.x 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 O\x1bK\r\nContent-Length: 0\r\n\r\n',
  'HTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ' HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\nevil',
  'HTTP/1.1 101 Switching Protocols\r\n\r\nevil',
  `${ok}no colon\r\n\r\n`,
  `${ok}: no name\r\n\r\n`,
  `${ok}A : b\r\nContent-Length: 0\r\n\r\n`,
  `${ok}A b: c\r\nContent-Length: 0\r\n\r\n`,
  `${ok}A\0: b\r\nContent-Length: 0\r\n\r\n`,
  `${ok}A: b\0c\r\nContent-Length: 0\r\n\r\n`,
  `${ok}A: b\x01c\r\nContent-Length: 0\r\n\r\n`,
  `${ok}A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n`,
  `${ok}\xe9: b\r\nContent-Length: 0\r\n\r\n`,
  `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
  `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x`,
  `${ok}Content-Length: 2, 2\r\n\r\n{}`,
  `${ok}Content-Length: +2\r\n\r\n{}`,
  `${ok}Content-Length: -2\r\n\r\n{}`,
  `${ok}Content-Length: 2x\r\n\r\n{}`,
  `${ok}Content-Length: 99999999999999999999\r\n\r\n{}`,
  `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: gzip\r\n\r\n{}`,
  `${ok}Transfer-Encoding: chunked\t\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${ok}X: ${'x'.repeat(300 * 1024)}\r\nContent-Length: 0\r\n\r\n`,
] as const

/** Nothing, or not enough of it: the connection ends instead. */
const absent = ['', 'HTTP/1.1', 'HTTP/1.1 200', ok, `${ok}A: b\r\n`, `${ok}A`] as const

/** A good head, and a body that goes wrong: the client must see that it did. */
const broken = [
  `${ok}Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nbad trailer\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n`,
  `${ok}Content-Length: 3\r\n\r\n{}`,
] as const

/** Odd, but well-formed: passed on as they are. */
const odd: ReadonlyArray<readonly [answer: string, status: number, body: string]> = [
  ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}', 200, '{}'],
  ['HTTP/1.1 200 \xff\xfe\r\nContent-Length: 2\r\n\r\n{}', 200, '{}'],
  ['HTTP/1.1 299 Fine\r\nContent-Length: 2\r\n\r\n{}', 299, '{}'],
  [`HTTP/1.1 200 ${'x'.repeat(300 * 1024)}\r\nContent-Length: 2\r\n\r\n{}`, 200, '{}'],
  ['HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\n{}', 599, '{}'],
  [
    `${ok}Transfer-Encoding: chunked\r\n\r\n2;a="b"\r\n{}\r\n000\r\nX-Trailer: b\r\n\r\n`,
    200,
    '{}',
  ],
  [`${ok}Connection: close, x-a\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}`, 200, '{}'],
  ['HTTP/1.1 204 None\r\n\r\n', 204, ''],
  ['HTTP/1.1 304 Same\r\nETag: "x"\r\n\r\n', 304, ''],
  [
    'HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}',
    200,
    '{}',
  ],
  [
    `${'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: <x>\r\n\r\n'.repeat(100)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`,
    200,
    '{}',
  ],
  ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n', 204, ''],
  ['HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', 200, '{}'],
]

t.test('hostile answers become a 502 or a cut, and hurt nobody else', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, issuer, gateway } = world
  const token = issuer.sign()
  let bad: Responder = (_, answer) => answer.reply(200)
  api.respondWith((request, answer) =>
    request.target === '/bad' ? bad(request, answer) : answer.reply(200, {}, { good: true }),
  )
  /** One request is answered badly while others are answered well, by both protocols. */
  const attack = async (responder: Responder, title: string): Promise<readonly Reply[]> => {
    bad = responder
    const replies: Reply[] = []
    for (const protocol of protocols) {
      const [reply, ...others] = await Promise.all([
        askOver(protocol, world, { token, path: '/bad' }),
        ...protocols
          .filter(other => other !== protocol)
          .map(other => askOver(other, world, { token, path: '/good' })),
      ])
      replies.push(reply)
      others.push(await askOver(protocol, world, { token, path: '/good' }))
      t.strictSame(
        others.map(other => [other.status, String(other.body), other.complete]),
        others.map(() => [200, '{"good":true}', true]),
        `others are served: ${title}`,
      )
    }
    return replies
  }
  const answers =
    (raw: string, { ends = true } = {}): Responder =>
    async (_, answer) => {
      await answer.raw(raw)
      if (ends) answer.end()
    }
  const isBadGateway = (reply: Reply, says: string, title: string): void => {
    const { headers, ...rest } = shown(reply)
    const refused = status(502, 'BadGateway', says)
    t.strictSame(
      { ...rest, headers: headers.filter(([name]) => name !== 'connection') },
      refused,
      title,
    )
  }

  for (const raw of malformed) {
    const title = JSON.stringify(raw.slice(0, 70))
    // The connection stays open: what is wrong is wrong at once.
    for (const reply of await attack(answers(raw, { ends: false }), title)) {
      isBadGateway(reply, 'the API server gave a malformed answer', title)
    }
  }
  for (const raw of absent) {
    const title = JSON.stringify(raw)
    for (const reply of await attack(answers(raw), title)) {
      t.match(shown(reply), { status: 502, body: { kind: 'Status', reason: 'BadGateway' } }, title)
    }
  }
  for (const raw of broken) {
    const title = JSON.stringify(raw)
    for (const reply of await attack(answers(raw), title)) {
      t.notOk(reply.complete && reply.status === 200, `${title} does not look whole`)
    }
  }
  for (const [raw, code, body] of odd) {
    for (const reply of await attack(answers(raw), JSON.stringify(raw.slice(0, 70)))) {
      t.strictSame(
        [reply.status, String(reply.body), reply.complete],
        [code, body, true],
        JSON.stringify(raw.slice(0, 70)),
      )
      t.notOk(reply.headers.some(([name]) => /^(x-a|x-trailer|link)$/i.test(name)))
    }
  }

  // Field names that a JavaScript object has already.
  const names = ['__proto__', 'Constructor', 'hasOwnProperty', 'toString', 'valueOf'] as const
  for (const [name, twice] of names.flatMap(each => [
    [each, false] as const,
    [each, true] as const,
  ])) {
    const lines = `${name}: a\r\n${twice ? `${name}: b\r\n` : ''}`
    const [, reply] = await attack(answers(`${ok}${lines}Content-Length: 0\r\n\r\n`), name)
    t.strictSame(
      reply?.headers.filter(([key]) => key === name.toLowerCase()).map(([, value]) => value),
      twice ? ['a', 'b'] : ['a'],
      `${name} is a field like any other over HTTP/2`,
    )
  }

  // Nobody asked for it, and clients skip it (RFC 9110, 15.2).
  const unasked = interim('100 Continue')
  for (const reply of await attack(unasked, '100 that nobody asked for')) {
    t.strictSame([reply.status, reply.complete], [200, true])
  }

  const flood = interim(...Array.from({ length: 5_000 }, () => '103 Early Hints\r\nLink: <x>'))
  for (const reply of await attack(flood, 'a flood of interim answers')) {
    t.strictSame([reply.status, reply.complete], [200, true])
  }

  // A second answer behind the first is nobody's: not the next request's on this connection.
  const second = `${ok}Content-Length: 4\r\n\r\nevil`
  for (const first of [
    `${ok}Content-Length: 2\r\n\r\n{}`,
    `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    'HTTP/1.1 204 None\r\n\r\n',
    'HTTP/1.1 304 Same\r\nContent-Length: 4\r\n\r\n',
    'HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\n',
  ]) {
    const title = JSON.stringify(first)
    for (const reply of await attack(answers(first + second, { ends: false }), title)) {
      t.notMatch(String(reply.body), /evil/, title)
    }
  }
  bad = answers(`${ok}Content-Length: 4\r\n\r\nevil`, { ends: false })
  const head = await world.ask({ token, method: 'HEAD', path: '/bad' })
  t.equal(head.response?.status, 200)
  t.equal(String((await askOver('HTTP/2', world, { token, path: '/good' })).body), '{"good":true}')

  const resets: Responder = (_, answer) => answer.reset()
  for (const reply of await attack(resets, 'a reset')) t.equal(reply.status, 502)

  // HTTP/2 has no body where HTTP has none; one that comes all the same holds nothing, however long it is.
  api.respondWith(async (request, answer) => {
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`
    await answer.raw(`HTTP/1.1 205 Reset\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`)
    await request.gone
  })
  const before = api.forwarded.length
  const path = '/api/v1/namespaces/default/pods/a/proxy/'
  const bodiless = await askOver('HTTP/2', world, { token, path })
  t.strictSame([bodiless.status, bodiless.body.length, bodiless.complete], [205, 0, true])
  await gateway.waitForLog(line => line['path'] === path)
  t.not(await (await api.request(before)).gone, 'answered')
  t.equal(await gateway.metric('gateway_open_streams{kind="proxy"}'), 0)

  t.equal((await gateway.admin('/livez')).status, 200)
  t.notOk(
    gateway.logs.some(({ text }) => text !== undefined),
    'nothing was uncaught',
  )
})
