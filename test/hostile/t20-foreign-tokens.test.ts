/*
 * T20: a token that is none of ours is let through (`--token-passthrough`), and with it, or by many of it, somebody
 * tries to get more: a bad token of ours a second opinion, or the operator a full log.
 */
import t from 'tap'
import type { Decide } from '../actors/api-server.js'
import { startedWorld } from '../actors/world.js'

const flags = ['--token-passthrough']
const accepting =
  (...tokens: readonly string[]): Decide =>
  ({ spec }) =>
    tokens.includes(String(spec['token']))
      ? { authenticated: true, user: { username: 'system:serviceaccount:ci:deployer' } }
      : { authenticated: false, error: 'invalid bearer token' }

t.test('a token that names our issuer gets no second opinion, however broken it is', async t => {
  for (const mode of ['gateway', 'caller'] as const) {
    const world = await startedWorld(t, { mode, flags })
    const { api, issuer } = world
    api.decide(() => ({ authenticated: true, user: { username: 'root' } }))
    const good = issuer.sign()
    const [head = '', body = '', signature = ''] = good.split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    const broken = [
      issuer.sign({ exp: 1 }),
      issuer.sign({ aud: 'other' }),
      issuer.sign({ groups: 7 }),
      `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${none}.${body}.${signature}`,
      `x.${body}.${signature}`,
      `${head}.${body}.${signature}.${signature}`,
    ]
    for (const token of broken) {
      t.equal((await world.ask({ token })).response?.status, 401, token.slice(0, 20))
    }
    t.equal(api.requests.length, 0, 'the API server has heard nothing of all this')
  }
})

t.test('a thousand of them leave no warning, and one question', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { api, gateway } = world
  api.decide(accepting('opaque-token'))
  for (let round = 0; round < 20; round += 1) {
    const token = round % 2 === 0 ? 'opaque-token' : 'bad-token'
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.ask({ token })))
    t.ok(answers.every(({ response }) => response?.status === (round % 2 === 0 ? 200 : 401)))
  }
  t.ok(api.requests.length - api.forwarded.length <= 20, 'asked again every ten seconds at most')
  t.strictSame(
    gateway.logs.filter(({ level, msg }) => level !== 'info' && !String(msg).startsWith('UNSAFE')),
    [],
  )
})
