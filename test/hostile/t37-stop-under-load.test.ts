/*
 * T37, with a lot open at once: what can end well does, spread over the grace period; tunnels live to its end; what
 * is still open then is cut so that nobody takes it for whole, and the access lines and the exit status say so.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'
import { echo, upgradeBytes } from './upgrades.js'

const watchPath = '/api/v1/pods?watch=true'
const event = '{"type":"ADDED"}\n'

/** A watch says one event and goes on; uploads are read and never answered; the rest is as slow as `until`. */
const answering =
  (until: Promise<void>): Responder =>
  async (request, answer) => {
    if (request.values('upgrade').length > 0) return echo(request, answer)
    if (request.target === watchPath) {
      await answer.raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      await answer.raw(`${event.length.toString(16)}\r\n${event}\r\n`)
      return void (await request.gone)
    }
    if (request.method === 'PUT') return void (await request.gone)
    if (request.target === '/slow') await until
    return answer.reply(200, {}, { ok: true })
  }

const lines = (world: World, verb: string): unknown[] =>
  world.gateway.logs
    .filter(line => line['verb'] === verb && line['ended'] !== undefined)
    .map(line => [line['status'], line['ended']])

const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one)

async function opened(world: World, count: number, bytes: string): Promise<RawConnection[]> {
  const connections: RawConnection[] = []
  while (connections.length < count) {
    const connection = await connectRaw(world.target)
    await connection.write(bytes)
    connections.push(connection)
  }
  return connections
}

t.test('much work ends in order, and what is cut is said to be', async t => {
  const grace = 15_000
  const flags = [`--shutdown-grace-period=${grace}ms`]
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { api, gateway, issuer } = world
  const slow = deferred()
  api.respondWith(answering(slow.promise), { at: 'head' })
  const fields = { Host: 'gateway', Authorization: `Bearer ${issuer.sign()}` }
  const upload = { ...fields, 'Content-Length': '1000' }
  const open: RawConnection[] = []
  t.teardown(() => {
    for (const connection of open) connection.destroy()
  })
  const keep = async (count: number, bytes: string): Promise<readonly RawConnection[]> => {
    const connections = await opened(world, count, bytes)
    open.push(...connections)
    return connections
  }
  const watches = await keep(1_000, requestBytes('GET', watchPath, fields))
  const tunnels = await keep(20, upgradeBytes(world))
  const uploads = await keep(5, requestBytes('PUT', '/upload', upload, 'half'))
  const shorts = await keep(20, requestBytes('GET', '/slow', fields))
  for (const watch of watches) await watch.readUntil(event)
  for (const tunnel of tunnels) t.equal((await tunnel.readHead()).status, 101)
  while (api.forwarded.length < 1_045) await pause(10)

  const ends: number[] = []
  for (const watch of watches) void watch.gone.then(() => ends.push(performance.now()))
  for (const watch of watches)
    void watch.readUntil('0\r\n\r\n').then(() => ends.push(performance.now()))
  const signalled = performance.now()
  gateway.kill('SIGTERM')
  await gateway.waitForLog(({ msg }) => msg === 'shutting down')
  await pause(2_200)
  slow.resolve()
  for (const short of shorts) {
    const answer = await short.readResponse()
    t.strictSame([answer.status, answer.complete], [200, true], 'a short request is finished')
  }
  while (ends.length === 0) await pause(5)
  for (const tunnel of tunnels) {
    await tunnel.write('still here\n')
    t.equal((await tunnel.readUntil('\n')).toString(), 'still here\n')
  }
  while (ends.length < watches.length) await pause(20)
  for (const watch of watches) {
    t.match(watch.received.toString('latin1'), /\n\r\n0\r\n\r\n$/, 'a watch ends whole')
  }
  const spread = Math.max(...ends) - Math.min(...ends)
  t.ok(spread > (grace - 2_000) * 0.4, `watches end over ${Math.round(spread)} ms`)

  for (const connection of [...tunnels, ...uploads]) await connection.gone
  t.ok(performance.now() - signalled >= grace, 'tunnels live to the end')
  t.equal(
    uploads.every(({ received }) => received.length === 0),
    true,
  )
  t.strictSame(await gateway.exited, { code: 1, signal: null }, 'uploads were lost')
  t.strictSame(lines(world, 'watch'), times(1_000, [200, 'complete']))
  t.strictSame(lines(world, 'put'), times(5, [0, 'cut_by_shutdown']))
  const execs = gateway.logs.filter(line => line['subresource'] === 'exec')
  t.strictSame(
    execs.map(line => [line['status'], line['ended']]),
    times(20, [101, 'cut_by_shutdown']),
  )
  t.match(
    gateway.logs.find(({ msg }) => msg === 'stopped'),
    { level: 'warn', cut: 25, lost: 5 },
  )
})

for (const [grace, code] of [
  ['0s', 1],
  ['100ms', 1],
] as const) {
  t.test(`a grace period of ${grace} is kept`, async t => {
    const world = await startedWorld(t, {
      mode: 'gateway',
      flags: [`--shutdown-grace-period=${grace}`],
    })
    const { api, gateway, issuer } = world
    api.respondWith(answering(new Promise(() => undefined)))
    const fields = { Host: 'gateway', Authorization: `Bearer ${issuer.sign()}` }
    const [short] = await opened(world, 1, requestBytes('GET', '/slow', fields))
    const [tunnel] = await opened(world, 1, upgradeBytes(world))
    t.teardown(() => {
      short?.destroy()
      tunnel?.destroy()
    })
    await tunnel?.readHead()
    while (api.forwarded.length < 2) await pause(10)
    t.strictSame(await gateway.stop(), { code, signal: null })
    await Promise.all([short?.gone, tunnel?.gone])
    t.match(
      gateway.logs.find(({ msg }) => msg === 'stopped'),
      { cut: 2, lost: 1 },
    )
    t.same(
      new Set(lines(world, 'get')),
      new Set([
        [0, 'cut_by_shutdown'],
        [101, 'cut_by_shutdown'],
      ]),
    )
  })
}
