import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { facts } from '../../lib/channels.js'
import type { Outcome } from '../../lib/exchange.js'
import type { Granted } from '../../lib/gateway.js'
import type { Refusal } from '../../lib/refusal.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { createForward, type ForwardOptions } from '../../lib/upstream/forward.js'
import {
  bytes,
  cutBody,
  interim,
  redirect,
  silence,
  stream,
  unasked101,
  unauthorized,
} from '../actors/api-server-answers.js'
import {
  startApiServer,
  statusBody,
  type ApiServer,
  type ApiServerOptions,
} from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { auditId, byGateway, granted, type About } from './granted.js'
import { kubeconfig } from './kubeconfig.js'
import { RecordingClient } from './recording-client.js'

interface Subject {
  readonly api: ApiServer
  readonly carry: (granted: Granted, client: RecordingClient) => Promise<Outcome>
  /** Replaces the token of the gateway. */
  readonly rotate: (token: string) => void
}

async function subject(
  t: Test,
  options: ForwardOptions = {},
  server: ApiServerOptions = { tls: false },
): Promise<Subject> {
  const api = await startApiServer(server)
  const folder = t.testdir({ token: 'own-1' })
  const user = { tokenFile: join(folder, 'token') }
  const path = join(folder, 'config')
  writeFileSync(path, kubeconfig({ server: api.url, ...(api.ca && { ca: api.ca }), user }))
  const cluster = await openCluster({
    kubeconfig: path,
    useOwnCredential: true,
    intervalMs: 3_600_000,
  })
  t.teardown(async () => {
    await cluster.close()
    await api.close()
  })
  const carry = createForward(cluster, options)
  return {
    api,
    carry: async (granted, client) => await carry(granted, client),
    rotate: token => writeFileSync(user.tokenFile, token),
  }
}

/** The code of the refusal that this ends in. */
const refused = async (outcome: Promise<Outcome>): Promise<string> =>
  outcome.then(
    ({ status }) => `answered ${status}`,
    (error: unknown) => (error as Refusal).code,
  )

const watch = { target: '/api/v1/pods?watch=true' } satisfies About
const log = '/api/v1/namespaces/a/pods/b/log?follow=true'
const proxied = '/api/v1/namespaces/a/services/b/proxy/x'
const complete = (client: RecordingClient, status = 200): Outcome => ({
  status,
  bytes: client.bytes,
  ended: 'complete',
})

t.test('request and answer pass whole', async t => {
  const { api, carry } = await subject(t, {}, {})
  api.respondWith((_, answer) =>
    answer.reply(201, { 'X-Answer': ['1', '2'], 'Content-Type': 'text/plain' }, 'made'),
  )
  const client = new RecordingClient()
  const target = '/api/v1/../%2e%2E/pods?x=%00&y'
  const headers = [
    ['X-a', '1'],
    ['x-A', 'J\xf6\xe9'],
  ] as const
  const outcome = await carry(granted({ method: 'DELETE', target, headers }, byGateway), client)
  const [request] = api.requests
  t.strictSame([request?.method, request?.target], ['DELETE', target])
  t.strictSame(
    request?.headerLines.filter(([name]) => !['host', 'connection'].includes(name.toLowerCase())),
    [
      ...headers,
      ['X-Forwarded-For', '192.0.2.7'],
      ['Audit-ID', auditId],
      ['Impersonate-User', 'alice'],
      ['Impersonate-Group', 'dev'],
      ['Impersonate-Group', 'ops'],
      ['Authorization', 'Bearer own-1'],
    ],
  )
  t.strictSame(request?.values('host'), [new URL(api.url).host])
  t.equal(client.status, 201)
  t.strictSame(client.headers, [
    ['X-Answer', '1'],
    ['X-Answer', '2'],
    ['Content-Type', 'text/plain'],
    ['Content-Length', '4'],
    ['Audit-ID', auditId],
  ])
  t.equal(client.text, 'made')
  t.strictSame(outcome, complete(client, 201))
})

t.test('the answer says that impersonation headers were left out', async t => {
  const { carry } = await subject(t)
  const client = new RecordingClient()
  await carry(granted({}, byGateway, { stripped: true }), client)
  t.match(client.headers.at(-1), ['Warning', /ignored the Impersonate/])
})

t.test(
  'every status passes as it is, redirects and refusals too, without being followed',
  async t => {
    const { api, carry } = await subject(t)
    for (const status of [
      200, 204, 301, 302, 304, 307, 308, 400, 403, 404, 409, 429, 500, 503, 599,
    ]) {
      api.respondWith(redirect(`${api.url}/elsewhere`, status))
      const client = new RecordingClient()
      t.match(await carry(granted(), client), { status, ended: 'complete' })
      t.equal(client.headers.find(([name]) => name === 'Location')?.[1], `${api.url}/elsewhere`)
    }
    t.equal(api.requests.length, 15)
  },
)

t.test("a caller's own 401 is the caller's", async t => {
  const { api, carry } = await subject(t)
  api.respondWith(unauthorized)
  const client = new RecordingClient()
  t.match(await carry(granted(), client), { status: 401 })
  t.match(JSON.parse(client.text), { reason: 'Unauthorized' })
  t.equal(api.requests.length, 1)
})

t.test("the gateway's refused credential is renewed, and the request sent once more", async t => {
  const { api, carry, rotate } = await subject(t)
  api.respondWith((request, answer) =>
    request.values('authorization')[0] === 'Bearer own-2'
      ? answer.reply(200, {}, 'in')
      : unauthorized(request, answer),
  )
  rotate('own-2')
  // All were sent with the old one; whoever hears of it later finds the new one there.
  const clients = Array.from({ length: 5 }, () => new RecordingClient())
  const outcomes = await Promise.all(clients.map(client => carry(granted({}, byGateway), client)))
  t.strictSame(
    outcomes.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
  t.strictSame(
    clients.map(({ text, said }) => [text, said.filter(what => what === 'start').length]),
    Array.from({ length: 5 }, () => ['in', 1]),
  )
  t.equal(api.requests.length, 10)
})

t.test('a late refusal of the old credential finds the new one, and asks nobody', async t => {
  const { api, carry, rotate } = await subject(t)
  const late = deferred()
  api.respondWith(async (request, answer) => {
    if (request.values('authorization')[0] === 'Bearer own-2') return answer.reply(200)
    if (request.target === '/late') await late.promise
    return unauthorized(request, answer)
  })
  rotate('own-2')
  const slow = carry(granted({ target: '/late' }, byGateway), new RecordingClient())
  await api.request(0)
  t.match(await carry(granted({ target: '/quick' }, byGateway), new RecordingClient()), {
    status: 200,
  })
  late.resolve()
  t.match(await slow, { status: 200 })
})

t.test('a second 401 is a 502: the client has nothing to do with it', async t => {
  const { api, carry, rotate } = await subject(t)
  api.respondWith(unauthorized)
  rotate('own-2')
  const client = new RecordingClient()
  t.equal(await refused(carry(granted({}, byGateway), client)), 'upstream_credential')
  t.strictSame(
    api.requests.map(request => request.values('authorization')),
    [['Bearer own-1'], ['Bearer own-2']],
  )
  t.equal(client.started, false)
  t.equal(
    await refused(carry(granted({}, byGateway), new RecordingClient())),
    'upstream_credential',
  )
  t.equal(api.requests.length, 4, 'each is tried once more, and no oftener')
})

t.test('a request with a body is never sent twice', async t => {
  const { api, carry, rotate } = await subject(t)
  api.respondWith(unauthorized)
  rotate('own-2')
  const about = { method: 'POST', hasBody: true, headers: [['Content-Length', '4']] } as const
  const client = new RecordingClient(Readable.from([Buffer.from('body')]))
  t.equal(await refused(carry(granted(about, byGateway), client)), 'upstream_credential')
  t.equal(api.requests.length, 1)
  api.respondWith()
  const next = new RecordingClient(Readable.from([Buffer.from('body')]))
  t.match(await carry(granted(about, byGateway), next), { status: 200 })
  t.strictSame(api.requests[1]?.values('authorization'), ['Bearer own-2'], 'but renewed it was')
})

t.test(
  "behind …/proxy/ a 401 may be somebody's own login; the API server's own never passes",
  async t => {
    const { api, carry } = await subject(t)
    const target = '/api/v1/namespaces/a/services/b:80/proxy/login'
    const answered = async (type: string): Promise<string> => {
      api.respondWith((_, answer) => answer.reply(401, { 'Content-Type': type }, 'login'))
      return refused(carry(granted({ target }, byGateway), new RecordingClient()))
    }
    t.equal(await answered('text/html; charset=utf-8'), 'answered 401')
    t.equal(await answered(''), 'answered 401')
    t.equal(await answered('application/json'), 'upstream_credential')
    t.equal(await answered('Application/JSON; charset=utf-8'), 'upstream_credential')
    t.equal(await answered('application/vnd.kubernetes.protobuf'), 'upstream_credential')
    api.respondWith((_, answer) => answer.reply(401, { 'Content-Type': 'text/html' }, 'login'))
    t.equal(
      await refused(carry(granted({ target: '/api/v1/pods' }, byGateway), new RecordingClient())),
      'upstream_credential',
      'elsewhere a 401 is never the client’s',
    )
  },
)

const knowing: ApiServerOptions = {
  tls: false,
  whoami: token => (token === 'own-1' ? { username: 'gateway', groups: [] } : undefined),
}
const apis = '/apis/metrics.k8s.io/v1beta1/nodes'

t.test('a 401 of somebody behind the API server passes whole, and is asked about once', async t => {
  const { api, carry } = await subject(t, {}, knowing)
  const reviews = (): number =>
    api.requests.filter(({ target }) => target.endsWith('/selfsubjectreviews')).length
  api.respondWith(unauthorized)
  const about = { method: 'POST', target: apis, hasBody: true } as const
  const headers = [['Content-Length', '4']] as const
  const body = (): Readable => Readable.from([Buffer.from('body')])
  const all = [
    ...Array.from({ length: 20 }, () => [{ ...about, headers }, body()] as const),
    [{ target: apis }] as const,
    [{ target: proxied }] as const,
    [{ target: log }] as const,
  ]
  await Promise.all(
    all.map(async ([asked, sent]) => {
      const client = new RecordingClient(sent)
      t.match(await carry(granted(asked, byGateway), client), { status: 401, ended: 'complete' })
      t.match(client.text, /"reason":"Unauthorized"/)
    }),
  )
  t.equal(reviews(), 1)
  t.equal(api.forwarded.length, all.length, 'none is sent twice')
  const pods = carry(granted({ target: '/api/v1/pods' }, byGateway), new RecordingClient())
  t.equal(await refused(pods), 'upstream_credential', 'behind which there is nobody')
})

t.test('with the fields of priority and fairness a 401 is nobody else’s', async t => {
  const { api, carry } = await subject(t)
  api.respondWith((_, answer) =>
    answer.reply(401, { 'X-Kubernetes-PF-FlowSchema-UID': 'x' }, statusBody(401, 'Unauthorized')),
  )
  const client = new RecordingClient()
  t.match(await carry(granted({ target: apis }, byGateway), client), { status: 401 })
  t.equal(api.requests.length, 1, 'and nothing is asked')
})

t.test('where nobody says that our credential is good, a 401 is ours', async t => {
  for (const whoami of [
    undefined,
    () => undefined,
    () => ({ username: 'system:anonymous', groups: [] }),
  ]) {
    const { api, carry } = await subject(t, {}, { tls: false, ...(whoami && { whoami }) })
    api.respondWith(unauthorized)
    const outcome = carry(granted({ target: apis }, byGateway), new RecordingClient())
    t.equal(await refused(outcome), 'upstream_credential')
  }
})

t.test('who leaves while it is found out is let go', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(
    (request, answer) =>
      request.target === apis ? unauthorized(request, answer) : silence(request, answer),
    { reviews: true },
  )
  const client = new RecordingClient()
  const outcome = refused(carry(granted({ target: apis }, byGateway), client))
  while (api.requests.length < 2) await pause(5)
  client.leave()
  t.equal(await outcome, 'client_gone')
})

t.test('what breaks off while it is found out whose it is, is a 502', async t => {
  const { api, carry } = await subject(t)
  const asked = deferred()
  api.respondWith(
    async (request, answer) => {
      if (request.target !== apis) {
        asked.resolve()
        await silence(request, answer)
        return
      }
      await answer.raw('HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n')
      await asked.promise
      answer.reset()
    },
    { reviews: true },
  )
  const client = new RecordingClient()
  t.equal(
    await refused(carry(granted({ target: apis }, byGateway), client)),
    'upstream_unreachable',
  )
  t.equal(client.started, false)
})

t.test('interim answers are between the API server and the gateway', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(interim('103 Early Hints\r\nLink: </a>', '102 Processing'))
  const client = new RecordingClient()
  t.match(await carry(granted(), client), { status: 200 })
  t.equal(client.text, '{"ok":true}')
  t.notOk(client.headers.some(([name]) => name === 'Link'))
})

t.test('an answer that cannot be read is a 502, and says that it was malformed', async t => {
  const { api, carry } = await subject(t)
  const malformed: ReadonlyArray<readonly [string, Parameters<ApiServer['respondWith']>[0]]> = [
    ['switching unasked', unasked101],
    ['switching unasked, to nothing', bytes('HTTP/1.1 101 Switching Protocols\r\n\r\n')],
    ['no HTTP', bytes('SSH-2.0-OpenSSH_9.2\r\n')],
    ['no status', bytes('HTTP/1.1 \r\n\r\n')],
    ['a line without a colon', bytes('HTTP/1.1 200 OK\r\nbroken\r\n\r\n')],
    ['a folded line', bytes('HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n')],
    ['a name with a blank', bytes('HTTP/1.1 200 OK\r\nA B: c\r\nContent-Length: 0\r\n\r\n')],
    ['a zero in a value', bytes('HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n')],
    ['two lengths', bytes('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab')],
    [
      'a length and chunks',
      bytes('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ],
    ['a length that is none', bytes('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n')],
    ['a huge head', bytes(`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(300_000)}\r\n\r\n`)],
  ]
  for (const [title, respond] of malformed) {
    api.respondWith(respond)
    const client = new RecordingClient()
    t.equal(await refused(carry(granted(), client)), 'upstream_malformed', title)
    t.equal(client.started, false, title)
  }
})

t.test('a field that the client’s protocol cannot say is a 502 too', async t => {
  const { api, carry } = await subject(t)
  api.respondWith((_, answer) => answer.reply(200, {}, 'unheard'))
  const client = new RecordingClient()
  client.cannotSay = new TypeError('Invalid character in header content')
  t.equal(await refused(carry(granted(), client)), 'upstream_malformed')
  t.strictSame(client.chunks, [])
})

t.test('an API server that is not there, or hangs up, is a 502', async t => {
  const { api, carry } = await subject(t)
  api.respondWith((_, answer) => answer.end())
  t.equal(await refused(carry(granted(), new RecordingClient())), 'upstream_unreachable')
  api.respondWith((_, answer) => answer.reset())
  t.equal(await refused(carry(granted(), new RecordingClient())), 'upstream_unreachable')
  await api.down()
  t.equal(await refused(carry(granted(), new RecordingClient())), 'upstream_unreachable')
  await api.up()
  api.respondWith()
  t.match(await carry(granted(), new RecordingClient()), { status: 200 })
})

t.test('a request that hung up may have been carried out: it is not sent again', async t => {
  const { api, carry } = await subject(t)
  api.respondWith((_, answer) => answer.end())
  for (const method of ['GET', 'PUT', 'DELETE', 'POST']) {
    const before = api.requests.length
    await refused(carry(granted({ method }), new RecordingClient()))
    t.equal(api.requests.length, before + 1, method)
  }
})

t.test('a body that breaks off never looks whole', async t => {
  const { api, carry } = await subject(t)
  const cuts: ReadonlyArray<readonly [string, Parameters<ApiServer['respondWith']>[0]]> = [
    ['less than its length, FIN', cutBody('fin')],
    ['less than its length, RST', cutBody('rst')],
    ['no last chunk, FIN', cutBody('fin', { chunked: true })],
    ['no last chunk, RST', cutBody('rst', { chunked: true })],
    [
      'a broken chunk size',
      bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n'),
    ],
  ]
  for (const [title, respond] of cuts) {
    api.respondWith(respond)
    const client = new RecordingClient()
    t.match(await carry(granted(), client), { status: 200, ended: 'upstream_broke' }, title)
    t.equal(client.said.at(-1), 'abort', title)
    t.notOk(client.said.includes('end'), title)
  }
})

t.test('an answer without a length ends with its connection', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(bytes('HTTP/1.1 200 OK\r\n\r\nto the end'))
  const client = new RecordingClient()
  t.match(await carry(granted(), client), { ended: 'complete' })
  t.equal(client.text, 'to the end')
})

t.test('… and is cut when that is reset', async t => {
  for (const tls of [false, true]) {
    const { api, carry } = await subject(t, {}, { tls })
    api.respondWith(async (_, answer) => {
      await answer.raw('HTTP/1.1 200 OK\r\n\r\nto the e')
      await new Promise(resolve => setTimeout(resolve, 50))
      answer.reset()
    })
    const client = new RecordingClient()
    t.match(await carry(granted(), client), { status: 200, ended: 'upstream_broke' }, `tls ${tls}`)
    t.equal(client.said.at(-1), 'abort')
  }
})

t.test('trailers stay behind', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(
    bytes(
      'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n',
    ),
  )
  const client = new RecordingClient()
  await carry(granted(), client)
  t.strictSame([client.text, client.headers], ['a', [['Audit-ID', auditId]]])
})

t.test('a silent API server is a 504, and the request upstream ends', async t => {
  const { api, carry } = await subject(t, { headTimeoutMs: 20 })
  api.respondWith(silence)
  t.equal(await refused(carry(granted(), new RecordingClient())), 'upstream_timeout')
  t.not(await (await api.request(0)).gone, 'answered')
})

t.test('a watch waits for its head as long as it takes', async t => {
  const { api, carry } = await subject(t, { headTimeoutMs: 1 })
  api.respondWith(async (_, answer) => {
    // Whatever timer there were has long gone off by the time another one of its length has.
    await new Promise(resolve => setTimeout(resolve, 30))
    await answer.reply(200)
  })
  t.match(await carry(granted(watch), new RecordingClient()), { status: 200 })
  t.equal(await refused(carry(granted(), new RecordingClient())), 'upstream_timeout')
})

t.test('the head of a watch is there before its first event, and each event at once', async t => {
  const { api, carry } = await subject(t, {}, {})
  const kinds: unknown[] = []
  t.teardown(facts.stream.subscribe(({ kind, change }) => kinds.push([kind, change])))
  const events = stream()
  api.respondWith(events.respond)
  const client = new RecordingClient()
  const carried = carry(granted(watch), client)
  await client.until(({ said }) => said.includes('flush'))
  t.strictSame([client.status, client.chunks], [200, []])
  t.strictSame(kinds, [['watch', 1]])
  for (const event of ['one\n', 'two\n', 'three\n']) {
    await events.send(event)
    await client.until(({ text }) => text.endsWith(event))
  }
  await events.finish()
  t.strictSame(await carried, complete(client))
  t.strictSame(client.said, ['invite', 'start', 'flush', 'end'])
  t.strictSame(kinds, [
    ['watch', 1],
    ['watch', -1],
  ])
})

t.test('a client that drains late resumes its own answer, not the next one', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(
    bytes(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks('one', 'two')}`, {
      thenEnd: false,
    }),
  )
  const early = new RecordingClient()
  early.isSlow = true
  const first = carry(granted(), early)
  await early.until(({ text }) => text === 'one')
  early.drain()
  await early.until(({ text }) => text === 'onetwo')
  early.drain()
  t.strictSame(await first, complete(early))

  // The connection is free a turn later.
  await pause(5)
  const late = new RecordingClient()
  late.isSlow = true
  const second = carry(granted(), late)
  await late.until(({ text }) => text === 'one')
  early.drain()
  await pause(5)
  t.equal(late.text, 'one', 'still full')
  late.drain()
  await late.until(({ text }) => text === 'onetwo')
  late.drain()
  t.strictSame(await second, complete(late))
  const [one, two] = [await api.request(0), await api.request(1)]
  t.equal(one.connection.id, two.connection.id)
})

/** In the chunked coding, whole. */
const chunks = (...texts: readonly string[]): string =>
  [...texts, ''].map(text => `${text.length.toString(16)}\r\n${text}\r\n`).join('')

t.test('when the client leaves, the request upstream ends', async t => {
  const { api, carry } = await subject(t)
  const kinds: number[] = []
  t.teardown(facts.stream.subscribe(({ change }) => kinds.push(change)))
  const events = stream()
  api.respondWith(events.respond)
  const client = new RecordingClient()
  const carried = carry(granted(watch), client)
  await events.send('one\n')
  await client.until(({ text }) => text === 'one\n')
  client.leave()
  t.strictSame(await carried, { status: 200, bytes: 4, ended: 'client_gone' })
  t.not(await (await api.request(0)).gone, 'answered')
  t.strictSame(kinds, [1, -1])
})

t.test('… also before there was an answer', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(silence)
  const client = new RecordingClient()
  const carried = refused(carry(granted(), client))
  const request = await api.request(0)
  client.leave()
  t.equal(await carried, 'client_gone')
  t.not(await request.gone, 'answered')
})

t.test('a client that leaves with the answer still on its way did not get it', async t => {
  const { carry } = await subject(t)
  const client = new RecordingClient()
  client.end = () => client.leave()
  t.match(await carry(granted(), client), { status: 200, ended: 'client_gone' })
})

t.test('a watch that is asked to end does so between two lines', async t => {
  const { api, carry } = await subject(t)
  const events = stream()
  api.respondWith(events.respond)
  const client = new RecordingClient()
  const carried = carry(granted(watch), client)
  await events.send('{"a":1}\n{"b"')
  await client.until(({ text }) => text.endsWith('"b"'))
  client.askToEnd()
  t.notOk(client.said.includes('end'), 'not in the middle of one')
  await events.send(':2}\n')
  t.strictSame(await carried, complete(client))
  t.equal(client.text, '{"a":1}\n{"b":2}\n')
  t.not(await (await api.request(0)).gone, 'answered')
})

t.test(
  '… at once when nothing is half said, with a refusal when nothing is said at all',
  async t => {
    const { api, carry } = await subject(t)
    const events = stream()
    api.respondWith(events.respond)
    const client = new RecordingClient()
    const carried = carry(granted(watch), client)
    await events.send('one\n')
    await client.until(({ text }) => text === 'one\n')
    client.askToEnd()
    t.strictSame(await carried, complete(client))
    api.respondWith(silence)
    const waiting = new RecordingClient()
    const waited = refused(carry(granted(watch), waiting))
    await api.request(1)
    waiting.askToEnd()
    t.equal(await waited, 'draining')
  },
)

t.test(
  'one that is asked in the middle of a flood ends at the first boundary, not the last',
  async t => {
    const frame = (content: string): Buffer => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(content.length)
      return Buffer.concat([length, Buffer.from(content)])
    }
    const [first, second] = [frame('a\nb'), frame('c\n')]
    for (const [title, contentType, target, begun, rest] of [
      ['lines', 'text/plain', log, 'one\ntw', 'o\nthree\nfo'],
      ['events', 'application/json', watch.target, '{"a":1}\n{', '}\n{"c"'],
      ['an event stream', 'text/event-stream', proxied, 'data: a\n\nda', 'ta: b\ndata'],
      [
        'protobuf',
        'application/vnd.kubernetes.protobuf;stream=watch',
        watch.target,
        Buffer.concat([first, first.subarray(0, 6)]),
        Buffer.concat([first.subarray(6), second, second]),
      ],
    ] as const) {
      const { api, carry } = await subject(t)
      const answer = stream(contentType)
      api.respondWith(answer.respond)
      const client = new RecordingClient()
      const carried = carry(granted({ target }), client)
      await answer.send(begun)
      await client.until(({ bytes }) => bytes === begun.length)
      client.askToEnd()
      t.notOk(client.said.includes('end'), title)
      await answer.send(rest)
      t.strictSame(await carried, complete(client), title)
      const end = { lines: 'o\n', events: '}\n', 'an event stream': 'ta: b\n' }
      const ends = title === 'protobuf' ? first.subarray(6) : Buffer.from(end[title])
      t.strictSame(Buffer.concat(client.chunks), Buffer.concat([Buffer.from(begun), ends]), title)
    }
  },
)

t.test('what has an end of its own is not ended early, lest it look whole', async t => {
  const text = 'Content-Type: text/plain\r\n'
  const length = `${text}Content-Length: 8\r\n\r\n`
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n'
  for (const [title, target, head] of [
    [
      'a log that is not followed',
      '/api/v1/namespaces/a/pods/b/log',
      `200 OK\r\n${text}${chunked}`,
    ],
    ['a proxied answer', proxied, `200 OK\r\n${text}${chunked}`],
    ['a measured answer', log, `200 OK\r\n${length}`],
    ['a compressed answer', log, `200 OK\r\n${text}Content-Encoding: gzip\r\n${chunked}`],
    ['a refusal', log, `403 Forbidden\r\n${text}${chunked}`],
    [
      'events of another kind',
      watch.target,
      `200 OK\r\nContent-Type: application/cbor-seq\r\n${chunked}`,
    ],
    [
      'protobuf that is no stream',
      watch.target,
      `200 OK\r\nContent-Type: application/vnd.kubernetes.protobuf\r\n${chunked}`,
    ],
  ] as const) {
    const { api, carry } = await subject(t)
    const half = deferred()
    const [one, two] =
      head === `200 OK\r\n${length}`
        ? ['one\n', 'two\n']
        : ['4\r\none\n\r\n', '4\r\ntwo\n\r\n0\r\n\r\n']
    api.respondWith(async (_, answer) => {
      await answer.raw(`HTTP/1.1 ${head}${one}`)
      await half.promise
      await answer.raw(two)
    })
    const client = new RecordingClient()
    const carried = carry(granted({ target }), client)
    await client.until(({ text }) => text === 'one\n')
    client.askToEnd()
    t.notOk(client.said.includes('end'), title)
    half.resolve()
    t.equal((await carried).ended, 'complete', title)
    t.equal(client.text, 'one\ntwo\n', title)
  }
})

t.test('a short request is not ended for being asked to', async t => {
  const { api, carry } = await subject(t)
  const answer = stream()
  api.respondWith(answer.respond)
  const client = new RecordingClient()
  const carried = carry(granted(), client)
  await answer.send('one\n')
  await client.until(({ text }) => text === 'one\n')
  client.askToEnd()
  await answer.send('two\n')
  await answer.finish()
  t.strictSame(await carried, complete(client))
  t.equal(client.text, 'one\ntwo\n')
})
