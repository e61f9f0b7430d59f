import { connect, type TLSSocket } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { once } from 'node:events'
import t from 'tap'
import type { Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { requestBytes } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'
import { refusal, wholeAnswer } from '../hostile/whole-answer.js'

const flags = ['--max-in-flight-per-user=2']
const tooMany = refusal(
  429,
  'TooManyRequests',
  'the user has too many requests in flight: 3, at most 2',
  { 'retry-after': '1' },
)
const watch = '/api/v1/pods?watch=1'

/** Answers when it is told to. */
function held(): { readonly respond: Responder; readonly release: () => void } {
  const gate = deferred()
  return {
    respond: async (_, answer) => {
      await gate.promise
      await answer.reply(200, {}, { ok: true })
    },
    release: () => gate.resolve(),
  }
}

/** A request whose client can leave; resolves when the API server has it. */
async function begun(
  { target, issuer, api }: World,
  path: string,
  headers: ReadonlyArray<readonly [string, string]> = [],
): Promise<TLSSocket> {
  const before = api.forwarded.length
  const socket = connect({ ...target, host: '127.0.0.1', servername: 'localhost' })
  await once(socket, 'secureConnect')
  socket.on('error', () => undefined)
  socket.resume()
  const fields = [
    ['Host', `localhost:${String(target.port)}`],
    ['Authorization', `Bearer ${issuer.sign()}`],
    ...headers,
  ] as const
  socket.write(requestBytes('GET', path, fields))
  await api.request(before)
  return socket
}

/** Asks until it is not 429 any more: the gateway learns of an end in its own time. */
async function served(world: World, path: string): Promise<number | undefined> {
  for (;;) {
    const { response } = await world.ask({ path })
    if (response?.status !== 429) return response?.status
    await pause(20)
  }
}

for (const mode of ['gateway', 'caller'] as const) {
  t.test(`${mode} mode: a third request of one user waits for no place`, async t => {
    const world = await startedWorld(t, { mode, flags })
    const { api, issuer, gateway } = world
    const first = held()
    api.respondWith(first.respond)
    const open = [world.ask(), world.ask()]
    await api.request(1)
    t.strictSame(wholeAnswer(await world.ask()), tooMany)
    t.strictSame(wholeAnswer(await world.ask({ token: issuer.sign() })), tooMany, 'another token')
    t.equal(api.forwarded.length, 2, 'the API server hears nothing of it')
    t.equal(await gateway.metric('gateway_refusals_total{reason="too_many_in_flight"}'), 2)

    const bob = world.ask({ token: issuer.sign({ sub: 'bob' }) })
    await api.request(2)
    const stream = world.ask({ path: watch })
    await api.request(3)
    first.release()
    for (const one of [...open, bob, stream]) t.equal((await one).response?.status, 200)
    api.respondWith()
    t.equal(await served(world, '/api'), 200)
  })
}

t.test('a place is free again however an exchange ended', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { api } = world

  await t.test('refused by us, and by the API server that is gone', async t => {
    for (const headers of [[['Expect', 'x']], [['Authorization', 'x']]] as const) {
      for (let n = 0; n < 4; n += 1) t.not((await world.ask({ headers })).response?.status, 429)
    }
    await api.down()
    for (let n = 0; n < 4; n += 1) t.equal((await world.ask()).response?.status, 502)
    await api.up()
  })

  await t.test('its client left', async t => {
    const gate = held()
    for (const path of ['/api', watch]) {
      api.respondWith(gate.respond)
      const clients = [await begun(world, path), await begun(world, path)]
      t.equal((await world.ask({ path })).response?.status, 429)
      for (const client of clients) client.destroy()
      api.respondWith()
      t.equal(await served(world, path), 200)
    }
    gate.release()
  })

  await t.test('it was an upgrade, which counts as a stream', async t => {
    api.respondWith(async (_, answer) => {
      await answer.raw(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n',
      )
      const { socket } = answer.hijack()
      socket.resume().once('end', () => socket.end())
    })
    const spdy = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'SPDY/3.1'],
    ] as const
    const exec = '/api/v1/namespaces/a/pods/b/exec?command=sh'
    const clients = [await begun(world, exec, spdy), await begun(world, exec, spdy)]
    t.equal((await world.ask({ path: watch })).response?.status, 429)
    api.respondWith()
    t.equal((await world.ask()).response?.status, 200, 'ordinary ones have their own places')
    for (const client of clients) client.destroy()
    t.equal(await served(world, watch), 200)
  })
})

t.test('without the flag nothing is counted', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const gate = held()
  world.api.respondWith(gate.respond)
  const open = Array.from({ length: 30 }, () => world.ask())
  await world.api.request(29)
  gate.release()
  for (const one of open) t.equal((await one).response?.status, 200)
})
