import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Outcome } from '../../lib/exchange.js'
import type { Refusal } from '../../lib/refusal.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { createForward, type ForwardOptions } from '../../lib/upstream/forward.js'
import { silence } from '../actors/api-server-answers.js'
import { startApiServer, type ApiServer, type Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { byGateway, granted, type About } from './granted.js'
import { kubeconfig } from './kubeconfig.js'
import { RecordingClient } from './recording-client.js'

interface Subject {
  readonly api: ApiServer
  /** The outcome, or the code of the refusal. */
  readonly carry: (about?: About, client?: RecordingClient) => Promise<Outcome | string>
}

async function subject(t: Test, tls = true, options: ForwardOptions = {}): Promise<Subject> {
  const api = await startApiServer({ tls })
  const path = join(t.testdir(), 'config')
  const user = { token: 'own-1' }
  writeFileSync(path, kubeconfig({ server: api.url, ...(tls && { ca: api.ca }), user }))
  const cluster = await openCluster({ kubeconfig: path, useOwnCredential: true })
  t.teardown(async () => {
    await cluster.close()
    await api.close()
  })
  const forward = createForward(cluster, options)
  return {
    api,
    carry: async (about = {}, client = new RecordingClient()) => {
      try {
        return await forward(granted(about, byGateway), client)
      } catch (error) {
        return (error as Refusal).code
      } finally {
        // The pool has its connection back a turn later.
        await pause(5)
      }
    },
  }
}

/** Answers well, but closes a connection instead of answering the second request on it. */
function closing(how: 'end' | 'reset' | 'half'): Responder {
  const used = new Set<number>()
  return async ({ connection }, answer) => {
    if (used.has(connection.id)) {
      if (how === 'half') await answer.raw('HTTP/1.1 200 OK\r\nContent-')
      if (how === 'reset') answer.reset()
      else answer.end()
      return
    }
    used.add(connection.id)
    await answer.reply(200, {}, 'well')
  }
}

for (const tls of [true, false]) {
  for (const how of ['end', 'reset'] as const) {
    t.test(
      `a read whose kept connection turns out dead is sent once more (${tls ? 'TLS' : 'TCP'}, ${how})`,
      async t => {
        for (const method of ['GET', 'OPTIONS', 'HEAD'] as const) {
          await t.test(method, async t => {
            const { api, carry } = await subject(t, tls)
            api.respondWith(closing(how))
            t.match(await carry(), { status: 200 }, 'the connection is kept')
            const client = new RecordingClient()
            t.match(await carry({ method }, client), { status: 200, ended: 'complete' }, method)
            t.equal(client.text, method === 'HEAD' ? '' : 'well')
            t.strictSame(
              api.requests.map(({ method, connection }) => [method, connection.id]),
              [
                ['GET', 0],
                [method, 0],
                [method, 1],
              ],
            )
            const [, lost, again] = api.requests
            const fields = (request = lost) =>
              request?.headerLines.filter(([name]) => name !== 'connection')
            t.strictSame(fields(again), fields(), 'as the same user, with the same fields')
            t.strictSame(again?.values('connection'), ['close'], 'on a connection of its own')
          })
        }
      },
    )
  }
}

t.test('a watch is sent again, too', async t => {
  const { api, carry } = await subject(t)
  const watch = { target: '/api/v1/pods?watch=true' }
  api.respondWith(closing('end'))
  t.match(await carry(watch), { status: 200 })
  t.match(await carry(watch), { status: 200 })
  t.equal(api.requests.length, 3)
})

t.test('one retry is enough, however many connections are dead', async t => {
  const { api, carry } = await subject(t)
  const all = deferred()
  const dead = closing('end')
  let waiting = 0
  api.respondWith(async (request, answer) => {
    waiting += 1
    if (waiting === 10) all.resolve()
    await all.promise
    return dead(request, answer)
  })
  const ten = (): Promise<ReadonlyArray<Outcome | string>> =>
    Promise.all(Array.from({ length: 10 }, () => carry()))
  const well = Array.from({ length: 10 }, () => ({ status: 200 }))
  t.match(await ten(), well)
  t.equal(api.connections.length, 10)
  t.match(await ten(), well)
})

t.test('a second failure is a 502', async t => {
  const { api, carry } = await subject(t)
  t.match(await carry(), { status: 200 })
  api.respondWith((_, answer) => answer.end())
  const client = new RecordingClient()
  t.equal(await carry({}, client), 'upstream_unreachable')
  t.equal(api.requests.length, 3)
  t.equal(client.started, false)
})

for (const about of [
  { method: 'POST' },
  { method: 'PUT' },
  { method: 'PATCH' },
  { method: 'DELETE' },
  { method: 'GET', hasBody: true, headers: [['Content-Length', '4']] },
  { method: 'POST', hasBody: true, headers: [['Content-Length', '4']] },
] as const satisfies readonly About[]) {
  const body = 'hasBody' in about ? ' with a body' : ''
  t.test(`a ${about.method}${body} is never sent again`, async t => {
    const { api, carry } = await subject(t)
    api.respondWith(closing('end'))
    t.match(await carry(), { status: 200 })
    const client = new RecordingClient(body ? Readable.from([Buffer.from('body')]) : undefined)
    t.equal(await carry(about, client), 'upstream_unreachable')
    t.strictSame(
      api.requests.map(({ connection }) => connection.id),
      [0, 0],
    )
  })
}

t.test('an answer that had begun is not asked for again', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(closing('half'))
  t.match(await carry(), { status: 200 })
  t.equal(await carry(), 'upstream_unreachable')
  t.equal(api.requests.length, 2)
})

t.test('a request that was refused by a fresh connection is not sent again', async t => {
  const { api, carry } = await subject(t)
  api.respondWith((_, answer) => answer.end())
  t.equal(await carry(), 'upstream_unreachable')
  t.equal(api.requests.length, 1)
})

t.test('an API server that says that it closes is believed', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(async (_, answer) => {
    await answer.reply(200, { Connection: 'close' })
    answer.end()
  })
  for (const method of ['GET', 'POST', 'GET']) t.match(await carry({ method }), { status: 200 })
  t.equal(api.requests.length, 3)
  t.equal(api.connections.length, 3)
})

t.test('both tries together have the time of one', async t => {
  const { api, carry } = await subject(t, true, { headTimeoutMs: 1_500 })
  t.match(await carry(), { status: 200 })
  let again = Number.NaN
  api.respondWith(async (request, answer) => {
    if (request.connection.id > 0) {
      again = performance.now()
      return silence(request, answer)
    }
    await pause(1_400)
    return answer.end()
  })
  t.equal(await carry(), 'upstream_timeout')
  // A tenth of a second was left to it.
  t.ok(performance.now() - again < 1_400)
})

t.test('a client that leaves in between is not answered, and nothing is left behind', async t => {
  const { api, carry } = await subject(t)
  t.match(await carry(), { status: 200 })
  const client = new RecordingClient()
  api.respondWith((request, answer) => {
    if (request.connection.id > 0) return silence(request, answer)
    return answer.end()
  })
  const carried = carry({}, client)
  const again = await api.request(2)
  client.leave()
  t.equal(await carried, 'client_gone')
  t.not(await again.gone, 'answered')
})
