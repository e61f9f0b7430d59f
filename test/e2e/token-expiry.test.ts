import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startIssuer } from '../../lib/demo/issuer.js'
import { tempDir } from '../actors/files.js'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { users } from './seed.js'
import { until } from './until.js'
import { startInFront, world } from './world.js'

const tokenSeconds = 20

t.test('streams of kubectl end with its token', needs('nodes'), async t => {
  const issuer = await startIssuer({ users, tokenSeconds })
  t.teardown(() => issuer.close())
  const ca = join(tempDir(t), 'issuer.crt')
  writeFileSync(ca, issuer.ca)
  const gateway = await startInFront(t, {
    mode: 'gateway',
    flags: [
      `--oidc-issuer-url=${issuer.url}`,
      `--oidc-client-id=${issuer.clientId}`,
      `--oidc-ca-file=${ca}`,
      '--oidc-clock-skew=1s',
      '--close-streams-at-token-expiry',
    ],
  })
  await until('it knows the issuer', async () => {
    return (await gateway.process.admin('/readyz')).status === 200
  })
  const kubectl = kubectlAs(t, 'alice', gateway, { token: await issuer.tokenFor('alice') })
  const line = `${new Date().toISOString()} stdout F before\n`
  appendFileSync(world().containerLog, line)

  const watching = kubectl.start({}, 'get', 'pods', '-w')
  const following = kubectl.start({}, 'logs', '-f', 'web', '--tail=1')
  const shell = (webSockets: 'true' | 'false') =>
    kubectl.start(
      { env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets }, keepInputOpen: true },
      'exec',
      '-i',
      'shell',
      '--',
      'sh',
      '-c',
      'echo started; cat',
    )
  const overWebSocket = shell('true')
  const overSpdy = shell('false')
  const forwarding = kubectl.start({}, 'port-forward', 'pod/web', ':80')
  await Promise.all([
    watching.until('web '),
    following.until('before'),
    overWebSocket.until('started'),
    overSpdy.until('started'),
    forwarding.until('Forwarding from 127.0.0.1:'),
  ])

  t.match(await watching.ended, { status: 0, err: '' }, 'a watch is over')
  t.same(await following.ended, { status: 0, out: 'before\n', err: '' }, 'and a log')
  const closed = await overWebSocket.ended
  t.equal(closed.status, 1)
  t.match(closed.err, /close 1008 \(policy violation\): the token has expired/)
  // Its exit code says nothing: to kubectl the end of a SPDY connection is the end of the command.
  await overSpdy.ended
  const forwarded = await forwarding.ended
  t.match(forwarded.err, /lost connection to pod/)

  const ended = (): string[] =>
    gateway.process.logs
      .filter(one => one['ended'] === 'token_expired')
      .map(one => String(one['subresource'] ?? one['verb']))
  await until('all have a line', () => ended().length === 5)
  for (const kind of ['watch', 'log', 'exec', 'portforward']) {
    t.equal(ended().filter(one => one === kind).length, kind === 'exec' ? 2 : 1, kind)
  }
  const warning = gateway.process.logs.find(
    ({ msg }) => msg === 'the token expires: its streams are going to be ended',
  )
  t.match(warning, { level: 'warn', user: 'oidc:alice' })
  const { status, err } = await kubectl.run('get', 'pods')
  t.equal(status, 1)
  t.match(err, /the token has expired|You must be logged in/)
})
