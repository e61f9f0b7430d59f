import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { stream } from '../actors/api-server-answers.js'
import { h2Request } from '../actors/h2-client.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'
import { echo, exec, spdy, webSocket } from '../hostile/upgrades.js'

const follow = '/api/v1/namespaces/default/pods/shell/log?follow=true'
const watchBy = (name: string): string => `/api/v1/pods?watch=true&by=${name}`
const event = '{"type":"ADDED"}\n'

/** Watches and a log that say one thing and go on, and tunnels that echo. */
function streaming({ api }: World) {
  const streams = { h1: stream(), h2: stream(), half: stream(), log: stream('text/plain') }
  api.respondWith(async (request, answer) => {
    if (request.values('upgrade').length > 0) return echo(request, answer)
    if (request.target === follow) return streams.log.respond(request, answer)
    for (const name of ['h1', 'h2', 'half'] as const) {
      if (request.target === watchBy(name)) return streams[name].respond(request, answer)
    }
    return answer.reply(200, {}, { ok: true })
  })
  return streams
}

async function opened(
  { target }: World,
  token: string,
  path: string,
  { method = 'GET', headers = [] as ReadonlyArray<readonly [string, string]> } = {},
): Promise<RawConnection> {
  const connection = await connectRaw(target)
  t.teardown(() => connection.destroy())
  const fields = [['Host', 'gateway'], ['Authorization', `Bearer ${token}`], ...headers] as const
  await connection.write(requestBytes(method, path, fields))
  return connection
}

t.test('streams end with the token that opened them, each as well as it can', async t => {
  const flags = ['--close-streams-at-token-expiry', '--oidc-clock-skew=2s']
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { gateway, issuer, target } = world
  const streams = streaming(world)
  const exp = Math.floor(Date.now() / 1000) + 10
  const token = issuer.sign({ exp })
  const later = issuer.sign({ exp: exp + 600, sub: 'bob' })

  const [h1, half, log, other] = await Promise.all([
    opened(world, token, watchBy('h1')),
    opened(world, token, watchBy('half')),
    opened(world, token, follow),
    opened(world, later, exec, { headers: webSocket }),
  ])
  const shells = await Promise.all([
    opened(world, token, exec, { headers: webSocket }),
    opened(world, token, exec, { method: 'POST', headers: spdy }),
  ])
  const h2 = h2Request({
    ...target,
    headers: { ':path': watchBy('h2'), authorization: `Bearer ${token}` },
    timeoutMs: 60_000,
  })
  for (const name of ['h1', 'h2'] as const) await streams[name].send(event)
  await streams.half.send(`${event}{"type":`)
  await streams.log.send('one line\n')
  for (const shell of [...shells, other]) t.equal((await shell.readHead()).status, 101)
  const [browser, kubectl] = shells
  await browser.write(Buffer.from([0x82, 2, 1, 0x0a]))
  await browser.readUntil('\n')

  const { body, ...answer } = await h2
  const endedAt = Date.now()
  t.ok(endedAt >= (exp + 2) * 1000, `not before its end, ${(exp + 2) * 1000 - endedAt} ms`)
  t.strictSame([answer.status, answer.complete, String(body)], [200, true, event], 'HTTP/2')
  const watched = await h1.readResponse()
  t.strictSame([watched.complete, String(watched.body)], [true, event], 'HTTP/1.1')
  const logged = await log.readResponse()
  t.strictSame([logged.complete, String(logged.body)], [true, 'one line\n'], 'a log')
  t.equal(await half.gone, half.closed, 'half an event is cut')
  t.notMatch(half.received.toString(), /\r\n0\r\n\r\n$/, 'and does not look whole')
  t.equal(await browser.gone, 'fin')
  t.match(
    browser.received.subarray(-25),
    Buffer.from('\x88\x17\x03\xf0the token has expired', 'latin1'),
  )
  await kubectl.gone

  await other.write('still here')
  t.equal((await other.readUntil('here')).toString(), 'still here', "another's goes on")
  t.equal((await world.ask({ token })).response?.status, 401)

  const ended = (): unknown[] =>
    gateway.logs
      .filter(line => line['ended'] === 'token_expired')
      .map(line => [line['user'], line['verb'], line['status'], line['protocol']])
  while (ended().length < 6) await pause(20)
  const alice = `${issuer.url}#alice`
  t.same(
    new Set(ended().map(line => JSON.stringify(line))),
    new Set(
      [
        ['watch', 200, 'HTTP/1.1'],
        ['watch', 200, 'HTTP/2.0'],
        ['get', 200, 'HTTP/1.1'],
        ['get', 101, 'HTTP/1.1'],
        ['create', 101, 'HTTP/1.1'],
      ].map(line => JSON.stringify([alice, ...line])),
    ),
  )
  const warnings = gateway.logs.filter(({ level, user }) => level === 'warn' && user !== undefined)
  t.strictSame(
    warnings.map(({ msg, user, endsAt }) => ({ msg, user, endsAt })),
    [
      {
        msg: 'the token expires: its streams are going to be ended',
        user: alice,
        endsAt: new Date((exp + 2) * 1000).toISOString(),
      },
    ],
    'one warning for all of them',
  )
  for (const kind of ['watch', 'log']) {
    t.equal(await gateway.metric(`gateway_open_streams{kind="${kind}"}`), 0)
  }
  t.equal(await gateway.metric('gateway_open_streams{kind="exec"}'), 1)
})

t.test('without the flag they go on', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags: ['--oidc-clock-skew=0s'] })
  const streams = streaming(world)
  const exp = Math.floor(Date.now() / 1000) + 5
  const token = world.issuer.sign({ exp })
  const watch = await opened(world, token, watchBy('h1'))
  const shell = await opened(world, token, exec, { headers: webSocket })
  await streams.h1.send(event)
  t.equal((await shell.readHead()).status, 101)
  await pause(exp * 1000 + 500 - Date.now())
  await streams.h1.send(event)
  while (watch.received.toString().split(event).length < 3) await pause(10)
  await shell.write('still here')
  t.equal((await shell.readUntil('here')).toString(), 'still here')
  t.strictSame([watch.closed, shell.closed], ['open', 'open'])
})
