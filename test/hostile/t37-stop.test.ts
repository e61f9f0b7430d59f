/*
 * T37: a roll-out that drops work: requests sent while nobody has heard yet that this one goes, requests half
 * done, watches cut inside an event. Precedent: kube-apiserver's tests of graceful termination.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { stream } from '../actors/api-server-answers.js'
import type { Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { h2Connect, h2Request } from '../actors/h2-client.js'
import {
  connectRaw,
  requestBytes,
  type RawConnection,
  type RawResponse,
} from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'
import { unavailable, wholeAnswer, wholeResponse } from './whole-answer.js'

const draining = unavailable('the gateway is shutting down')

/** Ends that are spread over the grace period all come at its beginning. */
const atOnce = { nodeArgs: ['--import=data:text/javascript,Math.random=()=>0'] }

t.test('a stop loses nothing', async t => {
  const world = await startedWorld(t, { mode: 'gateway', process: atOnce })
  const { api, gateway, issuer, target } = world
  const slow = deferred()
  const streams = {
    '/watch': stream(),
    '/half': stream(),
    '/h2': stream(),
    '/log': stream('text/plain'),
  }
  const paths = {
    '/watch': '/api/v1/pods?watch=true&by=/watch',
    '/half': '/api/v1/pods?watch=true&by=/half',
    '/h2': '/api/v1/pods?watch=true&by=/h2',
    '/log': '/api/v1/namespaces/a/pods/b/log?follow=true&by=/log',
  }
  api.respondWith(async (request, answer) => {
    const name = Object.keys(streams).find(one => request.target.endsWith(`by=${one}`))
    if (name) return streams[name as keyof typeof streams].respond(request, answer)
    if (request.target === '/slow') await slow.promise
    return answer.reply(200, {}, { ok: true })
  })
  const token = issuer.sign()
  const get = (path: string): string =>
    requestBytes('GET', path, { Host: 'gateway', Authorization: `Bearer ${token}` })
  const connection = async (path: string): Promise<RawConnection> => {
    const opened = await connectRaw(target)
    t.teardown(() => opened.destroy())
    await opened.write(get(path))
    return opened
  }
  const ok = (response: RawResponse | undefined): unknown => [response?.status, response?.json()]
  const served = [200, { ok: true }]

  const watch = await connection(paths['/watch'])
  const half = await connection(paths['/half'])
  const log = await connection(paths['/log'])
  const session = await h2Connect(target)
  t.teardown(() => session.destroy())
  const headers = { authorization: `Bearer ${token}` }
  const goaway = new Promise(resolve => session.once('goaway', resolve))
  const onH2 = (path: string) =>
    h2Request({ ...target, session, headers: { ...headers, ':path': path }, timeoutMs: 30_000 })
  const h2Watch = onH2(paths['/h2'])
  await streams['/watch'].send('{"n":1}\n')
  await streams['/half'].send('{"n":1}\n{"n":')
  await streams['/log'].send('one line\n')
  await streams['/h2'].send('{"n":1}\n')
  const short = await connection('/slow')
  const idle = await connection('/first')
  t.strictSame(ok(await idle.readResponse()), served)

  const signalled = performance.now()
  gateway.kill('SIGTERM')
  await gateway.waitForLog(({ msg }) => msg === 'shutting down')
  const { status, body } = await gateway.admin('/readyz')
  t.strictSame([status, body.split('\n', 1)], [503, ['[-]shutdown failed: shutting down']])

  await t.test('what comes before others can have heard of it is served', async t => {
    await idle.write(get('/second'))
    t.strictSame(ok(await idle.readResponse()), served, 'on a connection that was open')
    t.strictSame(ok((await world.ask()).response), served, 'on a new one')
    const { status, body } = await onH2('/third')
    t.strictSame([status, JSON.parse(body.toString())], served, 'on an HTTP/2 connection')
    let { response } = await world.ask()
    for (; response?.status === 200; { response } = await world.ask()) await pause(20)
    t.ok(performance.now() - signalled >= 2_000, 'and for two seconds')
    t.strictSame(wholeAnswer({ response }), draining)
  })

  await t.test('what comes later is sent elsewhere', async t => {
    const before = api.forwarded.length
    const post = { method: 'POST', headers: [['Content-Length', '2']] as const, body: '{}' }
    t.strictSame(wholeAnswer(await world.ask(post)), draining)
    t.strictSame(wholeAnswer(await world.ask({ token: false })), draining)
    t.equal(await idle.gone, 'fin', 'a connection without a request is closed')
    t.strictSame(idle.reader.unread.toString(), '', 'with nothing more on it')
    await goaway
    t.pass('an HTTP/2 connection gets its goodbye')
    const { status, body } = await h2Request({ ...target, headers })
    t.strictSame(
      [status, JSON.parse(body.toString())],
      [503, draining.body],
      'a new one its answer',
    )

    slow.resolve()
    t.strictSame(ok(await short.readResponse()), served, 'a request that was open is finished')
    await short.write(get('/after'))
    t.strictSame(
      wholeResponse(await short.readResponse()),
      draining,
      'the next one behind it is not',
    )
    t.equal(await short.gone, 'fin')
    t.equal(api.forwarded.length, before)
  })

  await t.test('streams end whole, and between two lines', async t => {
    for (const [name, { status, complete, body }] of [
      ['watch', await watch.readResponse()],
      ['h2', await h2Watch],
    ] as const) {
      t.strictSame([status, complete, body.toString()], [200, true, '{"n":1}\n'], name)
    }
    const line = await log.readResponse()
    t.strictSame([line.status, line.complete, line.body.toString()], [200, true, 'one line\n'])
    t.match(log.received.toString(), /\r\n0\r\n\r\n$/, 'with a last chunk')

    t.match(half.received.toString('latin1'), /\{"n":\r\n$/, 'a line is waited for')
    t.equal(half.closed, 'open')
    const statuses = ['/livez', '/readyz', '/ready', '/metrics'].map(async path => {
      return (await gateway.admin(path)).status
    })
    t.strictSame(await Promise.all(statuses), [200, 503, 503, 200], 'the admin port is there')
    await streams['/half'].send('2}\n')
    const { status, complete, body } = await half.readResponse()
    t.strictSame([status, complete, body.toString()], [200, true, '{"n":1}\n{"n":2}\n'])
  })

  t.strictSame(await gateway.exited, { code: 0, signal: null })
  t.match(gateway.logs.at(-1), { msg: 'stopped', cut: 0 })
  await t.rejects(gateway.admin('/livez'), /ECONNREFUSED/)
})

t.test('exec lives to the end of the grace period, and that is no failure', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    process: atOnce,
    flags: ['--shutdown-grace-period=4s'],
  })
  const { gateway, issuer, api, target } = world
  const echo: Responder = async (_, answer) => {
    await answer.raw(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    const { socket } = answer.hijack()
    socket.on('data', (bytes: Buffer) => socket.write(bytes))
  }
  api.respondWith((request, answer) =>
    request.target.includes('/exec') ? echo(request, answer) : answer.reply(200, {}, { ok: true }),
  )
  const shell = await connectRaw(target)
  t.teardown(() => shell.destroy())
  await shell.write(
    requestBytes('GET', '/api/v1/namespaces/a/pods/b/exec?command=sh', {
      Host: 'gateway',
      Authorization: `Bearer ${issuer.sign()}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Protocol': 'v5.channel.k8s.io',
    }),
  )
  t.equal((await shell.readHead()).status, 101)
  const signalled = performance.now()
  gateway.kill('SIGTERM')
  await gateway.waitForLog(({ msg }) => msg === 'shutting down')
  let { response } = await world.ask()
  for (; response?.status === 200; { response } = await world.ask()) await pause(20)
  t.strictSame(wholeAnswer({ response }), draining)
  await shell.write('still here')
  t.equal((await shell.readUntil('here')).toString(), 'still here')
  await shell.gone
  t.ok(performance.now() - signalled >= 4_000)
  t.strictSame(await gateway.exited, { code: 0, signal: null })
})

t.test('a second signal waits for nothing', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags: ['--shutdown-grace-period=1h'] })
  const { gateway, api, issuer, target } = world
  const events = stream()
  api.respondWith(events.respond)
  const watch = await connectRaw(target)
  t.teardown(() => watch.destroy())
  await watch.write(
    requestBytes('GET', '/api/v1/pods?watch=1', {
      Host: 'gateway',
      Authorization: `Bearer ${issuer.sign()}`,
    }),
  )
  await events.send('{"n":1}\n')
  await watch.readUntil('}\n')
  gateway.kill('SIGTERM')
  await gateway.waitForLog(({ msg }) => msg === 'shutting down')
  t.strictSame(await gateway.stop('SIGINT'), { code: 1, signal: null })
  await watch.gone
  t.notMatch(watch.received.toString(), /\r\n0\r\n\r\n$/, 'what was cut does not look whole')
})
