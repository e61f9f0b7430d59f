import t from 'tap'
import { runProgram } from './gateway.js'
import { gatewayToken, startedWorld } from './world.js'

t.test('in the gateway mode a request arrives as the user of the token', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { response } = await world.ask({ token: world.issuer.sign({ groups: ['dev', 'ops'] }) })
  t.strictSame([response?.status, response?.json()], [200, { ok: true }])
  const request = await world.api.request(0)
  t.strictSame(
    ['authorization', 'impersonate-user', 'impersonate-group'].map(name => request.values(name)),
    [[`Bearer ${gatewayToken}`], [`${world.issuer.url}#alice`], ['dev', 'ops']],
  )
  t.equal(world.api.faults.length, 0)
  t.equal(await world.gateway.metric('gateway_privileged_mode'), 1)
  t.equal((await world.gateway.admin('/readyz')).status, 200)
  t.match(await world.gateway.waitForLog(line => line['msg'] === 'listening'), { level: 'info' })
  t.strictSame(await world.gateway.stop(), { code: 0, signal: null })
})

t.test('in the caller mode the token itself goes upstream', async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  const token = world.issuer.sign()
  t.equal((await world.ask({ token })).response?.status, 200)
  const request = await world.api.request(0)
  t.strictSame(
    ['authorization', 'impersonate-user'].map(name => request.values(name)),
    [[`Bearer ${token}`], []],
  )
  t.equal((await world.ask({ token: false })).response?.status, 401)
  t.equal(world.api.forwarded.length, 1)
})

t.test('a gateway that cannot start is a fault with what it wrote', async t => {
  await t.rejects(startedWorld(t, { mode: 'gateway', flags: ['--no-such-flag'] }), /no-such-flag/)
  t.match(await runProgram(['serve', '--no-such-flag']), { code: 2, stdout: '' })
})
