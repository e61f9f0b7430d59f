import { createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import type { Outcome } from '../../lib/exchange.js'
import { Refusal } from '../../lib/refusal.js'
import { bytes, redirect, silence, unauthorized } from '../actors/api-server-answers.js'
import { statusBody, type Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import type { HeaderLines } from '../actors/http1.js'
import { connectRaw, requestBytes } from '../actors/raw-client.js'
import { alice, byCaller, byCallerAs, byGateway } from './granted.js'
import { exec, subject, switchedTo, switching, webSocket, type Asked } from './upgrade-subject.js'

const auditId = '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1'
const webSocketFields: HeaderLines = [
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'x3JJHMbDL1EzLkh9GBhXDw=='],
  ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io, v4.channel.k8s.io'],
  ['Origin', 'null'],
]
const spdyFields: HeaderLines = [
  ['X-Stream-Protocol-Version', 'v5.channel.k8s.io'],
  ['X-Stream-Protocol-Version', 'v4.channel.k8s.io'],
]
const audited = ['Audit-ID', auditId] as const
const spdy: HeaderLines = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'SPDY/3.1'],
]

for (const [mode, grant, credential] of [
  [
    'gateway',
    byGateway,
    [
      ['Impersonate-User', 'alice'],
      ['Impersonate-Group', 'dev'],
      ['Impersonate-Group', 'ops'],
      ['Authorization', 'Bearer own-1'],
    ],
  ],
  ['caller', byCaller, [['Authorization', 'Bearer caller.s.token']]],
  [
    'caller, impersonating',
    byCallerAs(alice),
    [
      ['Authorization', 'Bearer caller.s.token'],
      ['Impersonate-User', 'alice'],
      ['Impersonate-Group', 'dev'],
      ['Impersonate-Group', 'ops'],
    ],
  ],
] as const) {
  t.test(
    `what reaches the API server is the whole list and nothing else (${mode} mode)`,
    async t => {
      const { api, ask } = await subject(t, { grant })
      const asked: ReadonlyArray<readonly [Asked, HeaderLines, HeaderLines]> = [
        [{ headers: [...webSocket, ...webSocketFields, audited] }, webSocketFields, []],
        [
          { method: 'POST', headers: [...spdy, ...spdyFields, audited] },
          spdyFields,
          [['Content-Length', '0']],
        ],
        [
          { method: 'POST', headers: [...spdy, ['Content-Length', '0'], ...spdyFields, audited] },
          [['Content-Length', '0'], ...spdyFields],
          [],
        ],
        [
          { method: 'POST', headers: [...spdy, ['X-A', 'Content-Length'], audited] },
          [['X-A', 'Content-Length']],
          [['Content-Length', '0']],
        ],
        [
          {
            headers: [
              ['connection', 'keep-alive, Upgrade, X-Gone, Impersonate-User, Authorization'],
              ['UPGRADE', 'WebSocket'],
              ['X-Gone', 'x'],
              ['Impersonate-User', 'root'],
              ['impersonate_group', 'system:masters'],
              ['Authorization', 'Bearer other'],
              ['Sec-WebSocket-Protocol', 'a, base64url.bearer.authorization.k8s.io.eC55Lno, b'],
              ['Sec-WebSocket-Protocol', 'base64url.bearer.authorization.k8s.io.eC55Lno='],
              audited,
            ],
          },
          [['Sec-WebSocket-Protocol', 'a, b']],
          [],
        ],
      ]
      for (const [nth, [about, kept, added]] of asked.entries()) {
        const upgrade = about.method === 'POST' ? 'spdy/3.1' : 'websocket'
        const { respond, switched } = switching(switchedTo(upgrade))
        api.respondWith(respond)
        const client = await ask(about)
        t.equal((await client.readHead()).status, 101)
        await switched
        const request = await api.request(nth)
        t.strictSame([request.method, request.target], [about.method ?? 'GET', exec])
        t.strictSame(request.headerLines, [
          ['Host', new URL(api.url).host],
          ...kept,
          ['X-Forwarded-For', '127.0.0.1'],
          audited,
          ['Connection', 'Upgrade'],
          ['Upgrade', upgrade],
          ...credential,
          ...added,
        ])
        client.reset()
      }
      t.strictSame(api.faults, [])
    },
  )
}

t.test('the client gets the 101 whole, less what is of the other connection', async t => {
  const { api, ask } = await subject(t, { stripped: true })
  const { respond, switched } = switching(
    switchedTo(
      'WebSocket',
      'Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=',
      'sec-websocket-protocol: v5.channel.k8s.io',
      'X-Twice: 1',
      'X-Twice: J\xf6',
      'Keep-Alive: timeout=5',
      'Content-Length: 4',
      'Audit-ID: other',
    ) + 'firs',
  )
  api.respondWith(respond)
  const client = await ask({ headers: [...webSocket, audited] })
  t.strictSame(await client.readHead(), {
    version: 'HTTP/1.1',
    status: 101,
    reason: 'Switching Protocols',
    headers: [
      ['Sec-WebSocket-Accept', 'HSmrc0sMlYUkAGmm5OPpG2HaGWk='],
      ['sec-websocket-protocol', 'v5.channel.k8s.io'],
      ['X-Twice', '1'],
      ['X-Twice', 'J\xf6'],
      audited,
      ['Connection', 'Upgrade'],
      ['Upgrade', 'WebSocket'],
    ],
  })
  const there = await switched
  await there.write('t\n')
  t.equal((await client.readUntil('\n')).toString(), 'first\n', 'and what came right behind it')
  await client.write('hello\n')
  t.equal(await there.readUntil('\n'), 'hello\n')
})

t.test('a refused upgrade is relayed whole, and both connections end', async t => {
  const { api, ask, over } = await subject(t, { stripped: true })
  const status = JSON.stringify(statusBody(403, 'Forbidden', 'pods "b" is forbidden'))
  const large = 'x'.repeat(4 * 1024 * 1024)
  const chunked = (body: string): string =>
    `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const measured = (body: string): string => `Content-Length: ${body.length}\r\n\r\n${body}`
  let nth = 0
  for (const [title, body, rest] of [
    ['a length, kept alive', status, `Connection: keep-alive\r\n${measured(status)}`],
    ['a length, closed', status, `Connection: close\r\n${measured(status)}`],
    ['a length', status, measured(status)],
    ['chunks, kept alive', status, `Connection: keep-alive\r\n${chunked(status)}`],
    ['chunks', status, chunked(status)],
    ['the end of the connection', status, `Connection: close\r\n\r\n${status}`],
    ['no body', '', 'Content-Length: 0\r\n\r\n'],
    ['a large body', large, measured(large)],
  ] as const) {
    const thenEnd = rest.includes('close')
    api.respondWith(bytes(`HTTP/1.1 403 Forbidden\r\nX-Why: rbac\r\n${rest}`, { thenEnd }))
    const client = await ask({ headers: [...webSocket, audited], early: 'GET /evil HTTP/1.1\r\n' })
    const answer = await client.readResponse()
    t.strictSame([answer.status, answer.complete], [403, true], title)
    t.equal(answer.body.toString() === body, true, `${title}: the whole body`)
    t.match(answer.headers, [
      ['X-Why', 'rbac'],
      ...(rest.includes('Content-Length') ? [['Content-Length', String(body.length)]] : []),
      audited,
      ['Warning', /ignored the Impersonate/],
    ])
    t.strictSame(answer.values('upgrade'), [], title)
    t.strictSame(answer.values('connection'), ['close'], title)
    t.equal(await client.gone, 'fin', `${title}: the client's connection ends`)
    const request = await api.request(nth)
    await request.connection.gone
    t.notMatch(request.connection.received.toString(), 'evil', `${title}: nothing went through`)
    nth += 1
    t.strictSame(await over(nth), { status: 403, bytes: body.length, ended: 'complete' }, title)
  }
})

t.test('a client that does not hang up after its refusal is let go', async t => {
  const { api, ask, over } = await subject(t)
  api.respondWith((_, answer) => answer.reply(403, {}, 'no'))
  const client = await ask()
  t.equal((await client.readResponse()).status, 403)
  await over()
  // Our side stays open: only the gateway can end this now.
  const closed = deferred()
  client.socket.once('error', () => closed.resolve()).once('close', () => closed.resolve())
  const writing = setInterval(() => void client.write('x'), 20)
  await closed.promise
  clearInterval(writing)
})

t.test('a refusal that breaks off, or whose client leaves, does not look whole', async t => {
  const { api, ask, over } = await subject(t)
  api.respondWith(bytes('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nhalf'))
  t.equal((await (await ask()).readResponse()).complete, false)
  t.strictSame(await over(1), { status: 403, bytes: 4, ended: 'upstream_broke' })
  api.respondWith(async (request, answer) => {
    await answer.raw('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nhalf')
    await request.gone
  })
  const client = await ask()
  await client.readUntil('half')
  client.reset()
  t.strictSame(await over(2), { status: 403, bytes: 4, ended: 'client_gone' })
  t.not(await (await api.request(1)).gone, 'answered')
})

t.test("the gateway's refused credential is renewed, and the upgrade tried once more", async t => {
  const { api, ask, rotate, over } = await subject(t)
  const { respond, switched } = switching()
  api.respondWith((request, answer) =>
    request.values('authorization')[0] === 'Bearer own-2'
      ? respond(request, answer)
      : unauthorized(request, answer),
  )
  rotate('own-2')
  const client = await ask({ early: 'early\n' })
  t.equal((await client.readHead()).status, 101)
  t.equal(await (await switched).readUntil('\n'), 'early\n')
  await (
    await api.request(0)
  ).connection.gone
  client.reset()
  await over()
  api.respondWith(unauthorized)
  const refused = await (await ask()).readResponse()
  t.strictSame([refused.status, refused.values('www-authenticate')], [502, []])
  t.equal(await over(2), 'upstream_credential')
  t.equal(api.forwarded.length, 4, 'each is tried once more, and no oftener')
})

t.test('the 401 of a kubelet passes whole, where the API server takes our credential', async t => {
  const { api, ask, over } = await subject(t)
  api.respondWith(
    (request, answer) =>
      request.target.endsWith('/selfsubjectreviews')
        ? answer.reply(
            201,
            {},
            { kind: 'SelfSubjectReview', status: { userInfo: { username: 'gateway' } } },
          )
        : unauthorized(request, answer),
    { reviews: true },
  )
  for (const count of [1, 2]) {
    const answer = await (await ask()).readResponse()
    t.match([answer.status, answer.json()], [401, { reason: 'Unauthorized' }])
    t.match(await over(count), { status: 401, ended: 'complete' })
  }
  t.strictSame(
    api.requests.map(({ method }) => method),
    ['GET', 'POST', 'GET'],
    'asked once',
  )
})

t.test('a second 401 is a 502 that says nothing of a credential', async t => {
  const { api, ask, rotate, over } = await subject(t)
  api.respondWith(unauthorized)
  rotate('own-2')
  t.equal((await (await ask()).readResponse()).status, 502)
  t.equal(await over(), 'upstream_credential')
  t.strictSame(
    api.forwarded.map(request => request.values('authorization')),
    [['Bearer own-1'], ['Bearer own-2']],
  )
})

t.test(
  'a 401 to the caller’s own token, or of a program behind …/proxy/, is for the client',
  async t => {
    const caller = await subject(t, { grant: byCaller })
    caller.api.respondWith(unauthorized)
    const answer = await (await caller.ask()).readResponse()
    t.strictSame([answer.status, answer.json()], [401, statusBody(401, 'Unauthorized')])
    t.equal(caller.api.requests.length, 1)
    await t.test('behind …/proxy/', async t => {
      const { api, ask } = await subject(t)
      const target = '/api/v1/namespaces/a/services/b/proxy/socket'
      api.respondWith((_, answer) => answer.reply(401, { 'Content-Type': 'text/html' }, 'login'))
      const login = await (await ask({ target })).readResponse()
      t.strictSame([login.status, String(login.body)], [401, 'login'])
      api.respondWith(unauthorized)
      t.equal((await (await ask({ target })).readResponse()).status, 502)
    })
  },
)

t.test('an answer that an upgrade cannot have is a 502, and not a byte of it passes', async t => {
  const { api, ask, over } = await subject(t)
  const evil = 'evil evil evil'
  const answers: ReadonlyArray<readonly [string, Responder]> = [
    ...[300, 301, 302, 303, 307, 308].map(
      status => [`redirect ${status}`, redirect(`${api.url}/evil`, status)] as const,
    ),
    ['200', (_, answer) => answer.reply(200, { 'X-Evil': 'x' }, evil)],
    ['204', (_, answer) => answer.reply(204, { 'X-Evil': 'x' })],
    ['304', (_, answer) => answer.reply(304, { 'X-Evil': 'x' })],
    ['101 without Upgrade', bytes(`HTTP/1.1 101 Switching\r\nX-Evil: x\r\n\r\n${evil}`)],
    [
      '101 with Upgrade, without Connection',
      bytes(`HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nX-Evil: x\r\n\r\n${evil}`),
    ],
    ['101 to another protocol', bytes(`${switchedTo('evil')}${evil}`)],
    ['101 to the other protocol', bytes(`${switchedTo('SPDY/3.1')}${evil}`)],
    ['101 to h2c', bytes(`${switchedTo('h2c')}${evil}`)],
    ['101 to two', bytes(`${switchedTo('websocket', 'Upgrade: evil')}${evil}`)],
    ['101 to a list', bytes(`${switchedTo('websocket, evil')}${evil}`)],
    [
      '101 that chooses a bearer token',
      bytes(
        switchedTo(
          'websocket',
          'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eC55Lno',
          'X-Evil: x',
        ),
      ),
    ],
    ['no HTTP', bytes(`${evil}\r\n\r\n`)],
    ['half a head', bytes('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Evil: x')],
    ['a huge head', bytes(`${switchedTo('websocket', `X-Evil: ${'x'.repeat(300_000)}`)}${evil}`)],
    ['a name with a blank', bytes(`${switchedTo('websocket', 'X Evil: x')}${evil}`)],
    [
      '101 of another HTTP',
      bytes(`${switchedTo('websocket').replace('HTTP/1.1', 'HTTP/2.0')}${evil}`),
    ],
    ['403 of another HTTP', bytes(`HTTP/2.0 403 Forbidden\r\nContent-Length: 14\r\n\r\n${evil}`)],
    ['403 with NUL', bytes(`HTTP/1.1 403 Forb\0idden\r\nContent-Length: 14\r\n\r\n${evil}`)],
    ['600', bytes(`HTTP/1.1 600 High\r\nContent-Length: 14\r\n\r\n${evil}`)],
    ...['gzip', 'gzip, chunked', 'identity', 'chunked, chunked'].map(
      coding =>
        [
          `403 in ${JSON.stringify(coding)}`,
          bytes(
            `HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: ${coding}\r\n\r\ne\r\n${evil}\r\n0\r\n\r\n`,
          ),
        ] as const,
    ),
    ['an end', (_, answer) => answer.end()],
    ['a reset', (_, answer) => answer.reset()],
  ]
  for (const [nth, [title, respond]] of answers.entries()) {
    api.respondWith(respond)
    const client = await ask()
    const answer = await client.readResponse()
    t.equal(answer.status, 502, title)
    await client.gone
    t.notMatch(client.received.toString(), /evil/i, title)
    t.match(await over(nth + 1), /^upstream_(malformed|unreachable)$/, title)
    await (
      await api.request(nth)
    ).connection.gone
  }
  t.equal(api.requests.length, answers.length, 'nothing is tried again, or followed')
})

t.test('an interim answer is no answer', async t => {
  const { api, ask } = await subject(t)
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'
  api.respondWith(switching(early + switchedTo('websocket')).respond)
  const { status, headers } = await (await ask()).readHead()
  t.strictSame([status, headers.some(([name]) => name === 'Link')], [101, false])
})

t.test('an API server that is not there is a 502', async t => {
  const { api, ask, over } = await subject(t)
  await api.down()
  t.equal((await (await ask()).readResponse()).status, 502)
  t.equal(await over(), 'upstream_unreachable')
})

t.test('… and one that takes the connection but does not finish it', async t => {
  const sockets: Socket[] = []
  const mute = createServer(socket => sockets.push(socket.on('error', () => undefined)))
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    mute.close()
  })
  const server = (): string => `https://127.0.0.1:${(mute.address() as AddressInfo).port}`
  const { ask, over } = await subject(t, { server, connectTimeoutMs: 50 })
  t.equal((await (await ask()).readResponse()).status, 502)
  t.equal(await over(), 'upstream_unreachable')
})

t.test(
  'an API server may think about an exec as long as it likes, about anything else it may not',
  async t => {
    const { api, ask, over } = await subject(t, { headTimeoutMs: 30, connectTimeoutMs: 10_000 })
    const thought = deferred()
    const { respond } = switching()
    api.respondWith(async (request, answer) => {
      if (request.target !== exec) return silence(request, answer)
      await thought.promise
      return respond(request, answer)
    })
    const patient = await ask()
    await api.request(0)
    t.equal((await (await ask({ target: '/api/v1/pods' })).readResponse()).status, 504)
    t.equal(await over(), 'upstream_timeout')
    t.not(await (await api.request(1)).gone, 'answered')
    thought.resolve()
    t.equal((await patient.readHead()).status, 101)
  },
)

t.test('bytes that come early wait for the 101, and then come first', async t => {
  const { api, ask } = await subject(t)
  const decided = deferred()
  const { respond, switched } = switching()
  api.respondWith(async (request, answer) => {
    await decided.promise
    return respond(request, answer)
  })
  const client = await ask({ early: 'one ' })
  const request = await api.request(0)
  const beyond = 'x'.repeat(256 * 1024)
  await client.write('two ')
  const written = client.write(`${beyond}\n`)
  t.equal(request.connection.received.length, request.head.length, 'nothing but the head was sent')
  decided.resolve()
  await client.readHead()
  await written
  const there = await switched
  t.equal((await there.readUntil('\n')) === `one two ${beyond}\n`, true)
  await client.write('four\n')
  await there.readUntil('four\n')
})

t.test('bytes that come early are dropped when there is no 101', async t => {
  const { api, ask } = await subject(t)
  api.respondWith((_, answer) => answer.reply(404, {}, 'none'))
  const smuggled = requestBytes('DELETE', '/api/v1/namespaces/a', { Host: 'x' })
  const client = await ask({ early: smuggled.repeat(4_000) })
  t.equal((await client.readResponse()).status, 404)
  await client.gone
  t.equal(client.reader.unread.length, 0)
  t.strictSame(
    api.requests.map(({ method }) => method),
    ['GET'],
  )
})

t.test(
  'a client that leaves while it waits ends the request upstream, however it goes',
  async t => {
    const { api, ask, over } = await subject(t)
    api.respondWith(silence)
    for (const [nth, how] of (['end', 'reset', 'destroy'] as const).entries()) {
      const client = await ask({ early: 'early' })
      const request = await api.request(nth)
      client[how]()
      t.not(await request.gone, 'answered', how)
      t.equal(await over(nth + 1), 'client_gone', how)
    }
  },
)

t.test('one that is asked to end before it was answered is told to go elsewhere', async t => {
  const { api, ask, over, clients } = await subject(t)
  api.respondWith(silence)
  const client = await ask()
  const request = await api.request(0)
  clients[0]?.askToEnd(new Refusal('draining'))
  const answer = await client.readResponse()
  t.strictSame([answer.status, answer.values('retry-after')], [503, ['5']])
  t.equal(await over(), 'draining')
  t.not(await request.gone, 'answered')
  await t.test('… and once it was, stays', async t => {
    const { api, ask, over, clients } = await subject(t)
    const { respond, switched } = switching()
    api.respondWith(respond)
    const client = await ask()
    await client.readHead()
    clients[0]?.askToEnd(new Refusal('draining'))
    await client.write('still here\n')
    t.equal(await (await switched).readUntil('\n'), 'still here\n')
    clients[0]?.cut()
    t.match(await over(), { status: 101, ended: 'client_gone' } satisfies Partial<Outcome>)
    await (
      await switched
    ).gone
  })
})

t.test('an upgrade behind a request that is still being answered waits for its turn', async t => {
  const { api, target, over } = await subject(t)
  const finished = deferred()
  const { respond } = switching()
  api.respondWith(async (request, answer) => {
    if (request.target === exec) return respond(request, answer)
    await finished.promise
    return answer.reply(403, {}, 'first')
  })
  const client = await connectRaw(target)
  t.teardown(() => client.destroy())
  const upgrade = requestBytes('GET', exec, [['Host', 'x'], ...webSocket])
  await client.write(requestBytes('GET', '/first', { Host: 'x' }) + upgrade)
  await api.request(0)
  t.equal(api.requests.length, 1)
  finished.resolve()
  const first = await client.readResponse()
  t.strictSame([first.status, String(first.body)], [403, 'first'])
  t.equal((await client.readHead()).status, 101)
  client.reset()
  await over(2)
  await t.test('… and so does a CONNECT', async t => {
    const client = await connectRaw(target)
    t.teardown(() => client.destroy())
    const connect = 'CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n'
    await client.write(requestBytes('GET', '/first', { Host: 'x' }) + connect)
    t.strictSame(
      [(await client.readResponse()).status, (await client.readResponse()).status],
      [403, 405],
    )
    t.equal(await client.gone, 'fin')
  })
})
