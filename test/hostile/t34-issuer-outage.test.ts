/*
 * T34: the issuer is down, and so is the API for everybody. Precedent: jose's createRemoteJWKSet, which
 * refuses tokens of known keys ten minutes after it last reached the issuer. (That keys are kept for a day
 * is shown on a clock of its own in test/authenticate/keys.test.ts.)
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startIssuer } from '../actors/issuer.js'
import { createSigningKey } from '../actors/signing-key.js'
import { startedWorld } from '../actors/world.js'
import { asUser, noToken, unavailable, wholeAnswer, wholeHead } from './whole-answer.js'

const noIssuer = unavailable('the identity provider could not be reached')

t.test('an issuer that is down at start, comes, and goes again', async t => {
  const issuer = await startIssuer()
  await issuer.down()
  const world = await startedWorld(t, { mode: 'gateway', issuer, untilReady: false })
  const known = issuer.sign()
  const issuerState = async (): Promise<string> => {
    const { body } = await world.gateway.admin('/readyz?verbose')
    return body.split('\n').find(line => line.includes(']issuer')) ?? ''
  }
  while ((await issuerState()) === '[-]issuer failed: no key yet') await pause(10)

  const down = `connect ECONNREFUSED 127.0.0.1:${String(issuer.port)}`
  t.equal(await issuerState(), `[-]issuer failed: no key: ${down}`)
  t.equal((await world.gateway.admin('/readyz')).status, 503)
  t.equal((await world.gateway.admin('/livez')).status, 200, 'a restart would not help')
  t.strictSame(wholeAnswer(await world.ask({ token: known })), noIssuer, 'nobody can know')
  t.strictSame(
    wholeAnswer(await world.ask({ token: false })),
    noToken('no credential was presented'),
    'what can be known is',
  )
  t.equal(world.api.connections.length, 0)

  await issuer.up()
  while ((await world.gateway.admin('/readyz')).status !== 200) await pause(20)
  t.equal((await world.ask({ token: known })).response?.status, 200, 'it has come')

  await issuer.down()
  const stranger = await createSigningKey('stranger')
  t.strictSame(
    wholeAnswer(await world.ask({ token: issuer.sign({}, { key: stranger }) })),
    noIssuer,
    'it has gone, and nobody can know about a key not seen before',
  )
  t.equal(await issuerState(), '[+]issuer ok')
  t.equal((await world.gateway.admin('/readyz')).status, 200, 'still ready')
  // Not one after the other: none of them is to wait for the issuer.
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const token = n % 2 === 0 ? known : issuer.sign({ sub: `user-${String(n)}` })
      return (await world.ask({ token, timeoutMs: 60_000 })).response?.status
    }),
  )
  t.strictSame(
    answers,
    answers.map(() => 200),
    'known keys go on working, known tokens and new',
  )
  t.strictSame(wholeHead(await world.api.request(0)), asUser(world, `${issuer.url}#alice`))
  t.equal(world.api.forwarded.length, 61)
  t.equal(await world.gateway.metric(`gateway_issuer_ready{issuer="${issuer.url}"}`), 1)
})
