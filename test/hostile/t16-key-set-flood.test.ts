/*
 * T16: tokens with key names that do not exist, to make the gateway flood the issuer, or to make it lock out
 * those whose key is new. Precedents: RFC 8725; jose's createRemoteJWKSet, which asks once a token while
 * the issuer fails. In both tests the second round ends with the ten seconds that must lie between two fetches.
 */
import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { h2Connect, h2Request } from '../actors/h2-client.js'
import { createSigningKey } from '../actors/signing-key.js'
import { startedWorld, type World } from '../actors/world.js'
import { badToken, unavailable, wholeAnswer } from './whole-answer.js'

const unknownKey = badToken('the token is signed with an unknown key')
const wrongSignature = badToken('the signature of the token is wrong')
const noIssuer = unavailable('the identity provider could not be reached')

t.jobs = 2

t.test('a thousand tokens of unknown keys ask the issuer once in ten seconds', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  const attacker = await createSigningKey('attacker')
  const tokens = Array.from({ length: 1000 }, (_, n) =>
    issuer.sign({}, { key: attacker, header: { kid: `kid-${String(n)}` } }),
  )
  const known = { token: issuer.sign() }
  t.equal(issuer.keyFetches, 1)
  t.equal((await world.ask(known)).response?.status, 200)

  const begun = performance.now()
  issuer.behave({ jwks: 'hang' })
  const first = flood(world, tokens.slice(0, 500))
  await misses(world, 501)
  t.equal(issuer.keyFetches, 2, 'all wait for the same fetch')
  t.equal((await world.ask(known)).response?.status, 200, 'a known key is not waited for')
  issuer.release()
  t.strictSame(await first, { [said(unknownKey)]: 500 })

  issuer.behave({ jwks: '500' })
  const second = flood(world, tokens.slice(500))
  await misses(world, 1001)
  t.equal((await world.ask(known)).response?.status, 200, 'a known key is not waited for')
  t.strictSame(await second, { [said(noIssuer)]: 500 })
  // On a slow machine the second half is long in coming, and there may be a third fetch, in its own ten seconds.
  const tens = Math.floor((performance.now() - begun) / 10_000)
  const failed = issuer.keyFetches - 2
  t.ok(failed >= 1 && failed <= tens, 'the second fetch has waited, and so has each after it')
  t.strictSame(
    await Promise.all(
      ['ok', 'error'].map(result =>
        world.gateway.metric(
          `gateway_jwks_fetches_total{issuer="${issuer.url}",result="${result}"}`,
        ),
      ),
    ),
    [2, failed],
  )
  t.equal(world.api.forwarded.length, 3, 'of the attacker the API server has heard nothing')
})

t.test('new keys are taken when they are first needed, and old ones dropped', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  const status = async (token: string): Promise<number | undefined> =>
    (await world.ask({ token, timeoutMs: 30_000 })).response?.status
  const old = issuer.sign()
  t.equal(await status(old), 200)

  // A second key beside the first, and another one under the first one's name.
  await issuer.addKey({ kid: 'two' })
  const { was } = await issuer.replaceKey('one')
  t.equal(issuer.keyFetches, 1)
  t.equal(
    await status(issuer.sign({ jti: 'a' }, { kid: 'one' })),
    200,
    'the new key of the old name',
  )
  t.equal(issuer.keyFetches, 2)
  t.equal(await status(issuer.sign({ jti: 'b' }, { kid: 'two' })), 200, 'the second key')
  t.equal(issuer.keyFetches, 2, 'which came along')

  const answers = await Promise.all(
    [old, issuer.sign({ jti: 'c' }, { key: was }), issuer.sign({ jti: 'd' }, { key: was })].map(
      async token => wholeAnswer(await world.ask({ token, timeoutMs: 30_000 })),
    ),
  )
  t.strictSame(
    answers,
    [wrongSignature, wrongSignature, wrongSignature],
    'the old key of that name',
  )
  t.equal(issuer.keyFetches, 3, 'after another look, together')
  t.equal(world.api.forwarded.length, 3)
})

/** Sends all at once, and counts the answers. */
async function flood(
  world: World,
  tokens: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const sessions: ClientHttp2Session[] = []
  const counted: Record<string, number> = {}
  const asked: Promise<void>[] = []
  for (let n = 0; n < tokens.length; n += 100) {
    const session = await h2Connect(world.target)
    session.setMaxListeners(0)
    sessions.push(session)
    for (const token of tokens.slice(n, n + 100)) {
      const headers = { ':path': '/api/v1/pods', authorization: `Bearer ${token}` }
      asked.push(
        h2Request({ ...world.target, session, headers, timeoutMs: 60_000 }).then(answer => {
          const body = answer.body.toString()
          const what = body === '' ? `no answer: ${JSON.stringify(answer)}` : body.trim()
          counted[what] = (counted[what] ?? 0) + 1
        }),
      )
    }
  }
  await Promise.all(asked)
  for (const session of sessions) {
    if (session.destroyed) continue
    session.destroy()
    await once(session, 'close')
  }
  return counted
}

const said = ({ body }: { readonly body: unknown }): string => JSON.stringify(body)

/** Until so many tokens have come that were not known. */
async function misses(world: World, count: number): Promise<void> {
  const series = 'gateway_token_cache_total{result="miss"}'
  while (((await world.gateway.metric(series)) ?? 0) < count) await pause(20)
}
