import { once } from 'node:events'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { facts, type Malformed } from '../../lib/channels.js'
import { createDrain, type Drain } from '../../lib/edge/drain.js'
import type { EdgeClient } from '../../lib/edge/edge-client.js'
import { startListener, type Listener, type ListenerOptions } from '../../lib/edge/listener.js'
import type { RequestContext } from '../../lib/exchange.js'
import type { Gateway } from '../../lib/gateway.js'
import { createAuthority } from '../actors/certificates.js'
import { deferred } from '../actors/deferred.js'
import { h2Connect, h2Request } from '../actors/h2-client.js'
import { connectRaw, rawRequest, requestBytes, type RawExchange } from '../actors/raw-client.js'

const authority = createAuthority('gateway')
const pair = await authority.issue()

interface Subject {
  readonly listener: Listener
  readonly drain: Drain
  readonly target: { readonly port: number; readonly ca?: string }
  readonly contexts: RequestContext[]
  readonly malformed: Malformed[]
}

const says =
  (text: string): Gateway<EdgeClient> =>
  async (_, client) => {
    client.start(200, [['Content-Length', String(text.length)]])
    client.write(Buffer.from(text))
    client.end()
    await client.finished
  }

async function subject(
  t: Test,
  gateway: Gateway<EdgeClient> = says('hello'),
  options: Partial<ListenerOptions> = {},
): Promise<Subject> {
  const drain = createDrain({ graceMs: 1_000 })
  const contexts: RequestContext[] = []
  const malformed: Malformed[] = []
  t.teardown(facts.malformed.subscribe(fact => malformed.push(fact)))
  const listener = await startListener(
    (context, client) => {
      contexts.push(context)
      return gateway(context, client)
    },
    {
      address: '127.0.0.1',
      port: 0,
      tls: { pair, minVersion: 'TLSv1.2' },
      peerAddress: remote => remote ?? 'unknown',
      drain,
      ...options,
    },
  )
  t.teardown(() => listener.close())
  const isPlain = 'tls' in options && options.tls === undefined
  const target = { port: listener.port, ...(!isPlain && { ca: authority.ca }) }
  return { listener, drain, target, contexts, malformed }
}

const plain = { tls: undefined }
const get = (target = '/api'): string => requestBytes('GET', target, { Host: 'gateway' })
const statusOf = ({ response }: RawExchange): unknown => [
  response?.status,
  (response?.json() as { reason?: string } | undefined)?.reason,
]

t.test('a request reaches the gateway as it was sent, over HTTP/1.1 and HTTP/2', async t => {
  const { target, contexts, drain } = await subject(t)
  const path = '/api/v1/pods?watch=%31'
  const bytes = requestBytes('GET', path, [
    ['hOST', 'gateway'],
    ['X-a', '1'],
    ['x-A', 'J\xf6'],
  ])
  const { response } = await rawRequest({ ...target, bytes })
  t.strictSame([response?.status, String(response?.body)], [200, 'hello'])
  const answer = await h2Request({
    ...target,
    headers: { ':path': path, ':authority': 'gateway', 'x-a': ['1', '2'] },
  })
  t.strictSame([answer.status, String(answer.body), answer.complete], [200, 'hello', true])
  t.match(contexts, [
    {
      head: {
        protocol: 'HTTP/1.1',
        method: 'GET',
        target: path,
        headers: [
          ['hOST', 'gateway'],
          ['X-a', '1'],
          ['x-A', 'J\xf6'],
        ],
        hasBody: false,
      },
      info: { verb: 'watch', resource: 'pods', longRunning: 'watch' },
      peer: { address: '127.0.0.1', encrypted: true },
    },
    {
      head: {
        protocol: 'HTTP/2.0',
        target: path,
        headers: [
          ['x-a', '1'],
          ['x-a', '2'],
        ],
        hasBody: false,
      },
    },
  ])
  await turn()
  t.equal(drain.open, 0)
})

t.test('plain HTTP says that it is', async t => {
  const { target, contexts } = await subject(t, says('hello'), plain)
  t.equal((await rawRequest({ ...target, bytes: get() })).response?.status, 200)
  t.equal(contexts[0]?.peer.encrypted, false)
})

t.test('what is no request is refused before the gateway hears of it', async t => {
  const { target, contexts, malformed } = await subject(t)
  const table: ReadonlyArray<readonly [string, string, unknown]> = [
    ['absolute-form', requestBytes('GET', 'http://x/', { Host: 'gateway' }), [400, 'BadRequest']],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', [400, 'BadRequest']],
    [
      'two codings',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
      [400, 'BadRequest'],
    ],
    ['no HTTP', 'hello\r\n\r\n', [400, 'BadRequest']],
    ['TRACE', requestBytes('TRACE', '/', { Host: 'x' }), [405, 'MethodNotAllowed']],
    ['CONNECT', requestBytes('CONNECT', 'x:443', { Host: 'x' }), [405, 'MethodNotAllowed']],
    ['Expect', requestBytes('GET', '/', { Host: 'x', Expect: 'x' }), [417, 'ExpectationFailed']],
    [
      'lines',
      requestBytes('GET', '/', [
        ['Host', 'x'],
        ...Array.from({ length: 1_000 }, (_, at) => [`x-${at}`, ''] as const),
      ]),
      [431, 'RequestHeaderFieldsTooLarge'],
    ],
    [
      'bytes',
      requestBytes('GET', '/', { Host: 'x', A: 'x'.repeat(131_072) }),
      [431, 'RequestHeaderFieldsTooLarge'],
    ],
    [
      'far too many bytes',
      requestBytes('GET', '/', { Host: 'x', A: 'x'.repeat(300_000) }),
      [431, 'RequestHeaderFieldsTooLarge'],
    ],
  ]
  for (const [title, bytes, expected] of table) {
    const exchange = await rawRequest({ ...target, bytes })
    t.strictSame(statusOf(exchange), expected, title)
    t.match(exchange.response?.values('audit-id'), [/^[0-9a-f-]{36}$/], title)
  }
  t.strictSame(contexts, [])
  t.ok(malformed.length >= table.length)
  t.ok(malformed.every(({ address }) => address === '127.0.0.1'))
})

t.test('an upgrade of HTTP/1.0 with a body is refused, since nobody would read it', async t => {
  const { target, contexts } = await subject(t)
  const asks = { Host: 'x', Connection: 'Upgrade', Upgrade: 'websocket' }
  const old = (bytes: string): string => bytes.replace(' HTTP/1.1', ' HTTP/1.0')
  const bytes = old(requestBytes('POST', '/', { ...asks, 'Content-Length': '4' }, 'body'))
  t.strictSame(statusOf(await rawRequest({ ...target, bytes })), [400, 'BadRequest'])
  t.strictSame(contexts, [])
  const without = await rawRequest({ ...target, bytes: old(requestBytes('GET', '/', asks)) })
  t.equal(without.response?.status, 200, 'without one it is an ordinary request')
})

t.test('what is wrong with one request does not cut the answer to the one before', async t => {
  const told = deferred()
  const { target } = await subject(t, async (_, client) => {
    client.start(200, [['Content-Length', '5']])
    client.write(Buffer.from('[['))
    client.flush()
    await told.promise
    client.write(Buffer.from(']].'))
    client.end()
    await client.finished
  })
  const connection = await connectRaw(target)
  t.teardown(() => connection.destroy())
  const refused = requestBytes('GET', '/', { Host: 'x', Expect: 'x' })
  await connection.write(refused)
  t.equal((await connection.readResponse()).status, 417)
  await connection.write(get())
  await connection.readUntil('[[')
  await connection.write('no HTTP\r\n\r\n')
  await pause(50)
  told.resolve()
  await connection.gone
  t.match(String(connection.received), /\r\n\r\n\[\[\]\]\.HTTP\/1\.1 400 Bad Request\r\n/)
})

t.test(
  'who writes far ahead waits for room, and who fills it with next to nothing is cut',
  async t => {
    const begun = deferred()
    const goOn = deferred()
    const { target, malformed } = await subject(
      t,
      async (context, client) => {
        begun.resolve()
        if (context.head.target === '/slow') await goOn.promise
        if (context.head.target === '/stuck') await client.finished
        else await says('hello')(context, client)
      },
      plain,
    )
    const many = 500
    const large = requestBytes('GET', '/', { Host: 'x', A: 'x'.repeat(4_000) })
    const bytes = get('/slow') + large.repeat(many)
    const waiting = rawRequest({ ...target, bytes, answers: 1 + many })
    await pause(200)
    goOn.resolve()
    const { responses } = await waiting
    t.equal(responses.filter(({ status }) => status === 200).length, 1 + many)
    t.strictSame(malformed, [])

    const connection = await connectRaw(target)
    await connection.write(get('/stuck'))
    await begun.promise
    await connection.write('GET / HTTP/1.1\r\nHost:x\r\n\r\n'.repeat(2_000))
    await connection.gone
    t.match(malformed, [{ refusal: { code: 'request_malformed' } }])
  },
)

t.test('too many lines are refused over HTTP/2 too, not cut', async t => {
  const { target, contexts } = await subject(t)
  const many = Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`x-${at}`, '1']))
  const answer = await h2Request({ ...target, headers: many })
  t.equal(answer.status, 431)
  t.strictSame(contexts, [])
})

t.test('answers without a body have none', async t => {
  const { target } = await subject(t, async (context, client) => {
    const status = Number(context.head.target.slice(1))
    client.start(status, status === 200 ? [['Content-Length', '5']] : [])
    if (context.head.method !== 'HEAD' && status === 200) client.write(Buffer.from('hello'))
    client.end()
    await client.finished
  })
  for (const [method, path, body] of [
    ['GET', '/200', 'hello'],
    ['HEAD', '/200', ''],
    ['GET', '/204', ''],
    ['GET', '/304', ''],
  ] as const) {
    const bytes =
      requestBytes(method, path, { Host: 'x' }) + requestBytes('GET', '/200', { Host: 'x' })
    const { responses } = await rawRequest({
      ...target,
      bytes,
      answers: 2,
      methods: [method, 'GET'],
    })
    t.strictSame(
      responses.map(response => [response.status, String(response.body)]),
      [
        [Number(path.slice(1)), body],
        [200, 'hello'],
      ],
      `${method} ${path}`,
    )
    const answer = await h2Request({ ...target, headers: { ':method': method, ':path': path } })
    t.strictSame(
      [answer.status, String(answer.body), answer.complete],
      [Number(path.slice(1)), body, true],
      `${method} ${path}, HTTP/2`,
    )
  }
})

t.test('a refused HEAD is answered without a body, over HTTP/2 as well', async t => {
  const { target } = await subject(t)
  const answer = await h2Request({ ...target, headers: { ':method': 'HEAD', ':path': '//x' } })
  t.strictSame([answer.status, answer.body.length, answer.complete], [400, 0, true])
})

/** A gateway that answers when told to. */
function held(): {
  gateway: Gateway<EdgeClient>
  begun: Promise<readonly [RequestContext, EdgeClient]>
  over: Promise<boolean>
} {
  const begun = deferred<readonly [RequestContext, EdgeClient]>()
  const over = deferred<boolean>()
  return {
    begun: begun.promise,
    over: over.promise,
    gateway: async (context, client) => {
      begun.resolve([context, client])
      over.resolve(await client.finished)
    },
  }
}

t.test('that a client left is known at once, before and in the middle of its answer', async t => {
  for (const started of [false, true]) {
    for (const h2 of [false, true]) {
      const { gateway, begun, over } = held()
      const { target } = await subject(t, gateway)
      let leave: () => void
      if (h2) {
        const session = await h2Connect(target)
        const stream = session.request({ ':path': '/api', ':authority': 'x' })
        stream.on('error', () => undefined)
        t.teardown(() => session.destroy())
        leave = () => stream.close(8)
      } else {
        const connection = await connectRaw(target)
        await connection.write(get())
        leave = () => connection.destroy()
      }
      const [context, client] = await begun
      const gone = new Promise<void>(resolve => client.onGone(resolve))
      const aborted = once(context.signal, 'abort')
      if (started) {
        client.start(200, [])
        client.write(Buffer.from('half'))
      }
      leave()
      await gone
      await aborted
      t.equal(await over, false, `${h2 ? 'HTTP/2' : 'HTTP/1.1'} ${started ? 'started' : 'waiting'}`)
    }
  }
})

t.test('an aborted answer never looks whole, whatever of it was read', async t => {
  /** Says half of its answer, and aborts when it is told that the half has been read. */
  const breaking = async (
    t: Test,
    options: Partial<ListenerOptions> = {},
  ): Promise<Subject & { abort: () => void }> => {
    const read: Array<() => void> = []
    const about = await subject(
      t,
      async (context, client) => {
        client.start(200, context.head.target === '/length' ? [['Content-Length', '9']] : [])
        client.write(Buffer.from('half'))
        client.flush()
        await new Promise<void>(resolve => read.push(resolve))
        client.abort()
        await client.finished
      },
      options,
    )
    return { ...about, abort: () => read.shift()?.() }
  }
  for (const options of [{}, plain]) {
    const { target, abort } = await breaking(t, options)
    for (const path of ['/length', '/chunks']) {
      const connection = await connectRaw(target)
      await connection.write(get(path))
      const answer = connection.readResponse()
      while (!connection.received.includes('half')) await pause(1)
      abort()
      t.equal((await answer).complete, false, path)
      await connection.gone
    }
  }
  // HTTP/1.0 has no chunks: the end of the connection is the end of the answer, unless it is a reset.
  const old = await breaking(t, plain)
  const connection = await connectRaw(old.target)
  await connection.write('GET /old HTTP/1.0\r\nHost: x\r\n\r\n')
  await connection.readUntil('half')
  old.abort()
  t.equal(await connection.gone, 'rst')
  const { target, abort } = await breaking(t)
  for (const path of ['/length', '/chunks']) {
    const session = await h2Connect(target)
    const stream = session.request({ ':path': path })
    stream.on('error', () => undefined)
    stream.once('data', () => abort())
    await new Promise(resolve => stream.once('close', resolve))
    t.equal(stream.rstCode, 2, `${path}, HTTP/2: nothing but a reset`)
    session.destroy()
  }
})

t.test('an answer of unknown length is whole when it is ended, over HTTP/2', async t => {
  const { target } = await subject(t, async (context, client) => {
    client.start(200, [])
    if (context.head.target === '/some') client.write(Buffer.from('some'))
    client.end()
    t.equal(await client.finished, true)
  })
  for (const [path, body] of [
    ['/some', 'some'],
    ['/none', ''],
  ] as const) {
    for (const method of ['GET', 'POST']) {
      const answer = await h2Request({
        ...target,
        headers: { ':path': path, ':method': method },
        ...(method === 'POST' && { body: 'x' }),
      })
      t.match(answer, { status: 200, complete: true, body: Buffer.from(body) }, `${method} ${path}`)
    }
  }
  t.match(await h2Request({ ...target, headers: { ':method': 'HEAD' } }), { complete: true })
})

t.test('a client that waits is invited once, when somebody wants its body', async t => {
  const { target } = await subject(t, async (context, client) => {
    if (context.head.target === '/no') return says('unasked')(context, client)
    client.invite()
    client.invite()
    let text = ''
    for await (const part of client.body ?? []) text += String(part)
    await says(text)(context, client)
  })
  const expecting = (path: string): string =>
    requestBytes('POST', path, { Host: 'x', Expect: '100-continue', 'Content-Length': '4' })
  const connection = await connectRaw(target)
  await connection.write(expecting('/yes'))
  t.equal((await connection.readHead()).status, 100)
  await connection.write('body')
  const answer = await connection.readResponse()
  t.strictSame([String(answer.body), answer.interim], ['body', []])
  connection.destroy()
  const { response } = await rawRequest({ ...target, bytes: expecting('/no') })
  t.strictSame([response?.status, response?.interim], [200, []])
})

t.test('an answer that does not wait for the body is read, and the connection ends', async t => {
  const { target } = await subject(t, says('early'))
  const head = requestBytes('POST', '/', { Host: 'x', 'Content-Length': '100000' })
  const { response, closed } = await rawRequest({
    ...target,
    bytes: [head, 'x'.repeat(50_000), 20, 'x'.repeat(50_000)],
    untilClosed: true,
  })
  t.strictSame([response?.status, String(response?.body), response?.complete], [200, 'early', true])
  t.strictSame([response?.values('connection'), closed], [['close'], 'fin'])
})

t.test('a new certificate is for new connections; open ones go on', async t => {
  const { listener, target } = await subject(t)
  const connection = await connectRaw(target)
  await connection.write(get())
  await connection.readResponse()
  const other = createAuthority('another')
  listener.serveWith(await other.issue())
  await connection.write(get())
  t.equal((await connection.readResponse()).status, 200)
  connection.destroy()
  await t.rejects(rawRequest({ ...target, bytes: get() }), 'the old authority does not know it')
  t.equal((await rawRequest({ ...target, ca: other.ca, bytes: get() })).response?.status, 200)
})

t.test('idle connections are let go, busy ones finish', async t => {
  const { gateway, begun } = held()
  const { listener, target } = await subject(t, (context, client) =>
    context.head.target === '/busy' ? gateway(context, client) : says('hello')(context, client),
  )
  const idle = await connectRaw(target)
  await idle.write(get())
  await idle.readResponse()
  const session = await h2Connect(target)
  const busy = h2Request({ ...target, session, headers: { ':path': '/busy' } })
  const [, client] = await begun
  listener.closeIdle()
  t.equal(await idle.gone, 'fin')
  client.start(200, [])
  client.write(Buffer.from('done'))
  client.end()
  t.match(await busy, { status: 200, complete: true, goaway: true })
})

t.test('what is written leaves in its order, and no later than its turn ends', async t => {
  const { gateway, begun } = held()
  const { target } = await subject(t, gateway)
  const connection = await connectRaw(target)
  await connection.write(get())
  const [, client] = await begun
  client.start(200, [['X-Answer', 'yes']])
  await connection.readUntil('\r\n\r\n')
  client.write(Buffer.from('first '))
  await connection.readUntil('first ')
  client.write(Buffer.from('second '))
  client.write(Buffer.alloc(64 * 1024, 'x'))
  client.write(Buffer.from(' last'))
  client.end()
  const rest = String(await connection.readUntil('0\r\n\r\n'))
  t.match(rest, /second [^]*x{1000}[^]* last/)
  connection.destroy()
})

for (const [sizes, about] of [
  [[6], 'one small piece'],
  [[6, 6], 'two small pieces'],
  [[6, 64 * 1024], 'a small one before a large one'],
  [[64 * 1024, 6], 'a large one before a small one'],
] as const) {
  for (const turns of [0, 1]) {
    t.test(`an answer arrives as it was written: ${about}, over after ${turns} turns`, async t => {
      const pieces = sizes.map((size, at) => Buffer.alloc(size, `${at}`))
      const { target } = await subject(t, async (_, client) => {
        client.start(200, [])
        for (const piece of pieces) client.write(piece)
        if (turns > 0) await turn()
        client.end()
        await client.finished
      })
      const { response } = await rawRequest({ ...target, bytes: get() })
      t.ok(response?.body.equals(Buffer.concat(pieces)))
    })
  }
}

t.test(
  'a connection that waits too long for its next request is ended, an open request never',
  async t => {
    const { gateway, begun } = held()
    const { target } = await subject(
      t,
      (context, client) =>
        context.head.target === '/busy' ? gateway(context, client) : says('hello')(context, client),
      { idleTimeoutMs: 100 },
    )
    const [idle, busy] = [await connectRaw(target), await connectRaw(target)]
    await busy.write(get('/busy'))
    const [, client] = await begun
    await idle.write(get())
    t.equal((await idle.readResponse()).status, 200)
    t.equal(await idle.gone, 'fin')
    await pause(200)
    client.start(200, [['Content-Length', '4']])
    client.write(Buffer.from('done'))
    client.end()
    t.equal(String((await busy.readResponse()).body), 'done')
    t.equal(await busy.gone, 'fin')
  },
)

t.test('a head that does not come ends in 408, a silent connection without a word', async t => {
  const { target } = await subject(t, says('hello'), { headTimeoutMs: 50 })
  const slow = await rawRequest({
    ...target,
    bytes: 'GET / HTTP/1.1\r\nHost: x\r\n',
    untilClosed: true,
  })
  t.strictSame(statusOf(slow), [408, 'Timeout'])
  const session = await h2Connect(target)
  await once(session, 'close')
})

t.test(
  'a gateway that fails costs its client the connection, and nobody else anything',
  async t => {
    const { target, drain } = await subject(t, (context, client) =>
      context.head.target === '/fails'
        ? Promise.reject(new Error('fault'))
        : says('hello')(context, client),
    )
    const { response, closed } = await rawRequest({
      ...target,
      bytes: get('/fails'),
      untilClosed: true,
    })
    t.equal(response, undefined)
    t.not(closed, 'open')
    const session = await h2Connect(target)
    t.teardown(() => session.destroy())
    t.match(await h2Request({ ...target, session, headers: { ':path': '/fails' } }), { rstCode: 2 })
    t.match(await h2Request({ ...target, session }), { status: 200 })
    await turn()
    t.equal(drain.open, 0)
  },
)

t.test('a body that turns out malformed is an error for whoever reads it', async t => {
  const read = deferred<unknown>()
  const { target } = await subject(t, async (_, client) => {
    try {
      for await (const part of client.body ?? []) void part
      read.resolve('whole')
    } catch (error) {
      read.resolve((error as Error).message)
    }
    client.abort()
  })
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
  await rawRequest({ ...target, bytes: [head, '3\r\nabc\r\n', 20, 'zz\r\n'], untilClosed: true })
  t.equal(await read.promise, 'the client did not send the whole body')
})

t.test('close ends every connection', async t => {
  const { gateway, begun } = held()
  const { listener, target } = await subject(t, gateway)
  const [busy, idle] = [await connectRaw(target), await connectRaw(target)]
  for (const { socket } of [busy, idle]) socket.on('error', () => undefined)
  const session = await h2Connect(target)
  const closed = new Promise(resolve => session.once('close', resolve))
  await busy.write(get())
  await begun
  await listener.close()
  await Promise.all([busy.gone, idle.gone, closed])
  await t.rejects(connectRaw(target), { code: 'ECONNREFUSED' })
})
