import t from 'tap'
import { facts, type Notice } from '../../lib/channels.js'
import { createKeys } from '../../lib/authenticate/keys.js'
import type { SigningKey } from '../../lib/authenticate/signing-key.js'
import { deferred } from '../actors/deferred.js'
import { createFakeClock, turns, until } from './fake-clock.js'
import {
  claims,
  createFakeIssuer,
  discoveryUrl,
  issuerUrl,
  jwksUrl,
  startSubject,
  stateOf,
} from './fake-issuer.js'
import { createSigner, encode, signed } from './tokens.js'

// Keys are slow to make, so all tests use these.
const a = createSigner('ES256', 'a')
const b = createSigner('ES256', 'b')
const otherA = createSigner('ES256', 'a')
const nameless = createSigner('ES256')
const stranger = createSigner('ES256', 'stranger')
let serial = 0
/** A new token each time, so that nothing is remembered of it. */
const token = (signer = a): string => signed(signer, claims({ jti: `${(serial += 1)}` }))
const minutes = 60_000

t.test('keys are known at start, after discovery', async t => {
  const issuer = createFakeIssuer(a)
  const { authenticator, said } = await startSubject(issuer)
  t.equal(authenticator.ready, true)
  t.equal(stateOf(authenticator), 'ready')
  t.equal(await said(token()), 'alice')
  t.strictSame(issuer.asked, [discoveryUrl, jwksUrl])
})

t.test('rotation with both keys published disturbs nobody', async t => {
  const issuer = createFakeIssuer(a)
  const { clock, said } = await startSubject(issuer)
  const old = token(a)
  t.equal(await said(old), 'alice')
  issuer.publish(a, b)
  await clock.advance(5 * minutes)
  t.equal(issuer.fetches, 2, 'refreshed unasked')
  t.equal(await said(old), 'alice')
  t.equal(await said(token(a)), 'alice')
  t.equal(await said(token(b)), 'alice')
  issuer.publish(b)
  await clock.advance(5 * minutes)
  t.equal(issuer.fetches, 3)
  t.equal(await said(token(b)), 'alice')
  t.equal(await said(old), 'rejected token_key', 'remembered, but its key is gone')
  t.equal(issuer.fetches, 4, 'and the issuer was asked about it')
})

t.test('a token signed with a key a moment old works after one fetch', async t => {
  const issuer = createFakeIssuer(a)
  const { said } = await startSubject(issuer)
  issuer.publish(a, b)
  t.equal(await said(token(b)), 'alice')
  t.equal(issuer.fetches, 2)
})

t.test('same name, new key: new tokens work after one fetch, old ones stop', async t => {
  const issuer = createFakeIssuer(a)
  const { said } = await startSubject(issuer)
  const old = token(a)
  t.equal(await said(old), 'alice')
  issuer.publish(otherA)
  t.equal(await said(old), 'alice', 'nobody knows yet')
  t.equal(await said(token(otherA)), 'alice')
  t.equal(issuer.fetches, 2)
  t.equal(await said(token(otherA)), 'alice', 'and needs no other')
  t.equal(issuer.fetches, 2)
})

t.test('same name, new key: what was remembered of the old one is forgotten', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  const old = token(a)
  t.equal(await said(old), 'alice')
  issuer.publish(otherA)
  t.equal(await said(token(otherA)), 'alice')
  const answer = said(old)
  await until(() => clock.due.includes(10_000))
  await clock.advance(10_000)
  t.equal(await answer, 'rejected token_signature')
})

t.test('keys that share a name, or have none, are all tried', async t => {
  const issuer = createFakeIssuer(a, otherA, nameless, b)
  const { said } = await startSubject(issuer)
  t.equal(await said(token(a)), 'alice')
  t.equal(await said(token(otherA)), 'alice')
  t.equal(await said(token(nameless)), 'alice', 'no kid in the token')
  t.equal(
    await said(signed(b, claims(), { alg: 'ES256' })),
    'alice',
    'no kid, though the key has one',
  )
  t.equal(issuer.fetches, 1)
  t.equal(await said(signed(nameless, claims(), { alg: 'ES256', kid: 'x' })), 'rejected token_key')
  t.equal(issuer.fetches, 2)
})

t.test('a flood of unknown keys causes one fetch in a cool-down', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  // Nobody looks at the signature of a key that is not there.
  const unknown = (): string =>
    [{ alg: 'ES256', kid: `unknown-${(serial += 1)}` }, claims(), 'signature'].map(encode).join('.')
  const flood = (): Promise<readonly string[]> =>
    Promise.all(Array.from({ length: 1000 }, () => said(unknown())))
  t.strictSame(new Set(await flood()), new Set(['rejected token_key']))
  t.equal(issuer.fetches, 2, 'the first one and this one')

  await clock.advance(3_000)
  const second = flood()
  await until(() => clock.due.includes(7_000))
  t.equal(issuer.fetches, 2, 'waiting for the cool-down to end')
  t.equal(await said(token(a)), 'alice', 'a known key does not wait')
  await clock.advance(6_999)
  t.equal(issuer.fetches, 2)
  await clock.advance(1)
  t.strictSame(new Set(await second), new Set(['rejected token_key']))
  t.equal(issuer.fetches, 3)
})

t.test('a good token is not lost in a flood: it waits for the next fetch', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  t.equal(await said(token(stranger)), 'rejected token_key')
  issuer.publish(a, b)
  const answer = said(token(b))
  await until(() => clock.due.includes(10_000))
  await clock.advance(10_000)
  t.equal(await answer, 'alice')
  t.equal(issuer.fetches, 3)
})

t.test('a token that had its turn is refused at once for the rest of the cool-down', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  const unknown = token(stranger)
  const forged = signed(stranger, claims(), { alg: 'ES256', kid: 'a' })
  t.strictSame(await Promise.all([said(unknown), said(forged)]), [
    'rejected token_key',
    'rejected token_signature',
  ])
  t.equal(await said(unknown), 'rejected token_key')
  t.equal(await said(forged), 'rejected token_signature')
  t.equal(issuer.fetches, 2)
  await clock.advance(10_000)
  t.equal(await said(unknown), 'rejected token_key')
  t.equal(issuer.fetches, 3, 'later it has another')
})

t.test('while the issuer fails, an unknown key is not known to be wrong', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock, authenticator } = await startSubject(issuer)
  issuer.answer(new Error('down'))
  const unknown = token(stranger)
  t.equal(await said(unknown), 'threw issuer_unavailable')
  t.equal(await said(unknown), 'threw issuer_unavailable', 'the same again, at once')
  const forged = said(signed(stranger, claims(), { alg: 'ES256', kid: 'a' }))
  await until(() => clock.due.includes(10_000))
  await clock.advance(10_000)
  t.equal(await forged, 'rejected token_signature', 'its key is known and says no')
  t.equal(await said(token(a)), 'alice', 'known keys are kept')
  t.equal(authenticator.ready, true)
  t.equal(stateOf(authenticator), 'known keys kept: down')
})

t.test('a failing issuer is not flooded either', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  issuer.answer(new Error('down'))
  issuer.asked.length = 0
  const flood = (): Promise<readonly string[]> =>
    Promise.all(Array.from({ length: 50 }, () => said(token(stranger))))
  t.strictSame(new Set(await flood()), new Set(['threw issuer_unavailable']))
  t.equal(issuer.fetches, 1)
  for (let round = 2; round <= 4; round += 1) {
    await clock.advance(4_000)
    const answers = flood()
    await until(() => clock.due.includes(6_000))
    t.equal(issuer.fetches, round - 1)
    await clock.advance(6_000)
    t.strictSame(new Set(await answers), new Set(['threw issuer_unavailable']))
    t.equal(issuer.fetches, round)
  }
})

t.test('last good keys are kept for a day, and the issuer is asked less and less', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock, authenticator } = await startSubject(issuer)
  const remembered = token(a)
  t.equal(await said(remembered), 'alice')
  issuer.answer(new Error('down'))
  issuer.discovery = new Error('down')
  issuer.asked.length = 0
  const gaps: number[] = []
  for (let round = 0; round < 8; round += 1) {
    gaps.push(...clock.due)
    await clock.advance(clock.due[0] ?? 0)
  }
  t.strictSame(
    gaps,
    [300, 10, 20, 40, 80, 160, 300, 300].map(seconds => seconds * 1000),
  )
  t.equal(issuer.asked.length, 8)
  await clock.advance(24 * 60 * minutes - clock.now())
  t.equal(await said(token(a)), 'alice', 'to the last moment')
  await clock.advance(1_000)
  t.equal(authenticator.ready, false)
  t.equal(stateOf(authenticator), 'no key: down')
  t.equal(await said(remembered), 'threw issuer_unavailable', 'remembered or not')
  issuer.publish(a)
  await clock.advance(10_000)
  t.equal(await said(remembered), 'alice', 'and back')
})

t.test('an issuer that is down at start is picked up soon after it comes', async t => {
  const issuer = createFakeIssuer(a)
  const jwks = issuer.discovery
  issuer.discovery = new Error('down')
  const { said, clock, authenticator } = await startSubject(issuer)
  t.equal(await said(token()), 'threw issuer_unavailable')
  t.equal(authenticator.ready, false)
  const gaps: number[] = []
  for (let round = 0; round < 6; round += 1) {
    gaps.push(...clock.due)
    await clock.advance(clock.due[0] ?? 0)
  }
  t.strictSame(
    gaps,
    [1, 2, 4, 8, 10, 10].map(seconds => seconds * 1000),
  )
  t.equal(issuer.asked.length, 7, 'tokens cause no fetch of their own')
  issuer.discovery = jwks
  await clock.advance(10_000)
  t.equal(await said(token()), 'alice')
  t.strictSame(clock.due, [300_000])
})

t.test(
  'a token that comes before the first answer waits for it a moment, and not for ever',
  async t => {
    const issuer = createFakeIssuer(a)
    const silent = await startSubject(issuer, {
      getJson: (_url, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')))
        }),
    })
    const early = silent.said(token())
    await silent.clock.advance(1_999)
    t.equal(await Promise.race([early, Promise.resolve('still waiting')]), 'still waiting')
    await silent.clock.advance(1)
    t.equal(await early, 'threw keys_unavailable')
    t.equal(stateOf(silent.authenticator), 'no key yet')
    await silent.authenticator.close()

    let answer = (): void => undefined
    const slow = await startSubject(issuer, {
      getJson: async url => {
        await new Promise<void>(resolve => (answer = resolve))
        return issuer.getJson(url)
      },
    })
    const patient = slow.said(token())
    answer()
    await turns()
    answer()
    t.equal(await patient, 'alice')
    t.strictSame(slow.clock.due, [300_000], 'no timer of the wait is left')
  },
)

t.test('garbage in place of keys keeps the last good ones', async t => {
  const oct = { kty: 'oct', k: 'c2VjcmV0', kid: 'a' }
  for (const [what, answer, reason] of [
    ['null', null, 'answered with something else than a JSON object'],
    ['a list', [a.jwk], 'answered with something else than a JSON object'],
    ['text', 'keys', 'answered with something else than a JSON object'],
    ['no keys', {}, 'the key set has no list of keys'],
    ['keys null', { keys: null }, 'the key set has no list of keys'],
    ['keys an object', { keys: { 0: b.jwk } }, 'the key set has no list of keys'],
    ['keys text', { keys: 'b' }, 'the key set has no list of keys'],
    ['no usable key', { keys: [oct, null, 1, 'x', []] }, 'the key set has no usable key'],
  ] as const) {
    const issuer = createFakeIssuer(a)
    const { said, clock, authenticator } = await startSubject(issuer)
    issuer.answer(answer)
    await clock.advance(5 * minutes)
    t.equal(stateOf(authenticator), `known keys kept: ${reason}`, what)
    t.equal(await said(token(a)), 'alice', what)
  }
})

t.test('an issuer that says it has no keys is believed', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock, authenticator } = await startSubject(issuer)
  const remembered = token(a)
  t.equal(await said(remembered), 'alice')
  issuer.answer({ keys: [] })
  await clock.advance(5 * minutes)
  t.equal(authenticator.ready, false)
  t.equal(stateOf(authenticator), 'no key: the issuer has none')
  t.equal(await said(remembered), 'threw keys_unavailable')
})

t.test('unusable keys beside good ones are passed over', async t => {
  const issuer = createFakeIssuer()
  const { d } = a.privateKey.export({ format: 'jwk' })
  issuer.answer({
    keys: [
      null,
      'x',
      { kty: 'oct', k: 'c2VjcmV0', kid: 'b' },
      { ...b.jwk, use: 'enc' },
      { ...b.jwk, key_ops: ['encrypt'] },
      { ...b.jwk, alg: 'ES384' },
      { ...b.jwk, x: '' },
      { kty: 'RSA', kid: 'b', n: 'AQAB', e: 'AQAB' },
      { ...b.jwk, kid: 7 },
      a.jwk,
      { ...otherA.jwk, kid: 'private', d },
    ],
  })
  const { said, clock, authenticator } = await startSubject(issuer)
  t.equal(await said(token(a)), 'alice')
  t.equal(await said(token(b)), 'rejected token_key')
  await clock.advance(10_000)
  t.equal(
    await said(signed(otherA, claims(), { alg: 'ES256', kid: 'private' })),
    'rejected token_key',
  )
  t.equal(stateOf(authenticator), 'ready')
})

t.test('at most 256 keys are looked at', async t => {
  const issuer = createFakeIssuer()
  issuer.answer({
    keys: [...Array.from({ length: 256 }, (_, kid) => ({ ...b.jwk, kid: `${kid}` })), a.jwk],
  })
  const { said } = await startSubject(issuer)
  t.equal(await said(signed(b, claims(), { alg: 'ES256', kid: '255' })), 'alice')
  t.equal(await said(token(a)), 'rejected token_key')
})

t.test('one token is tried with at most sixteen keys', async t => {
  const crowd = Array.from({ length: 17 }, () => createSigner('ES256'))
  const { said } = await startSubject(createFakeIssuer(...crowd))
  const answers = await Promise.all(crowd.map(signer => said(token(signer))))
  t.strictSame(answers, [...Array.from({ length: 16 }, () => 'alice'), 'rejected token_signature'])
})

t.test('discovery is believed only about its own issuer, and only over https', async t => {
  for (const [discovery, reason] of [
    [{ issuer: `${issuerUrl}/`, jwks_uri: jwksUrl }, 'discovery names another issuer'],
    [{ jwks_uri: jwksUrl }, 'discovery names another issuer'],
    [{ issuer: issuerUrl }, 'discovery names no jwks_uri'],
    [{ issuer: issuerUrl, jwks_uri: 7 }, 'discovery names no jwks_uri'],
    [{ issuer: issuerUrl, jwks_uri: '/keys' }, 'discovery names no jwks_uri'],
    [{ issuer: issuerUrl, jwks_uri: 'http://issuer.example/keys' }, 'jwks_uri is not https'],
    [{ issuer: issuerUrl, jwks_uri: 'file:///etc/keys' }, 'jwks_uri is not https'],
    [null, 'answered with something else than a JSON object'],
    [[], 'answered with something else than a JSON object'],
  ] as const) {
    const issuer = createFakeIssuer(a)
    issuer.discovery = discovery
    const { authenticator, said } = await startSubject(issuer)
    t.equal(stateOf(authenticator), `no key: ${reason}`)
    t.equal(await said(token()), 'threw issuer_unavailable')
    t.strictSame(issuer.asked, [discoveryUrl], 'nobody else was asked')
  }
})

t.test('keys that move are followed, at a refresh and when a token needs them', async t => {
  const moved = 'https://keys.example/new'
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  issuer.discovery = { issuer: issuerUrl, jwks_uri: moved }
  await clock.advance(5 * minutes)
  t.strictSame(issuer.asked.slice(2), [discoveryUrl, moved])

  let gone = false
  const again = createFakeIssuer(a)
  const subject = await startSubject(again, {
    getJson: url =>
      url === jwksUrl && gone ? Promise.reject(new Error('gone')) : again.getJson(url),
  })
  t.equal(await subject.said(token(a)), 'alice')
  gone = true
  again.publish(b)
  again.discovery = { issuer: issuerUrl, jwks_uri: moved }
  t.equal(await subject.said(token(b)), 'alice')
  t.equal(await said(token(a)), 'alice')
})

t.test('an issuer with a closing slash is found where the API server finds it', async t => {
  const asked: string[] = []
  await startSubject(createFakeIssuer(), {
    issuerUrl: 'https://issuer.example/realm/',
    getJson: url => {
      asked.push(url)
      return Promise.reject(new Error('down'))
    },
  })
  t.strictSame(asked, ['https://issuer.example/realm/.well-known/openid-configuration'])
})

t.test('a client that leaves stops waiting; the others go on', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  t.equal(await said(token(stranger)), 'rejected token_key')
  const leaves = new AbortController()
  const [gone, stays] = [said(token(stranger), leaves.signal), said(token(stranger))]
  await until(() => clock.due.includes(10_000))
  leaves.abort()
  t.equal(await gone, 'threw client_gone')
  await clock.advance(10_000)
  t.equal(await stays, 'rejected token_key')
  t.equal(issuer.fetches, 3)
})

t.test('only so many wait for the issuer', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer, { keys: { maxWaiting: 2 } })
  t.equal(await said(token(stranger)), 'rejected token_key')
  const waiting = [said(token(stranger)), said(token(stranger))]
  await until(() => clock.due.includes(10_000))
  t.equal(await said(token(stranger)), 'threw issuer_unavailable')
  await clock.advance(10_000)
  t.strictSame(await Promise.all(waiting), ['rejected token_key', 'rejected token_key'])
  t.equal(await said(token(a)), 'alice')
})

t.test('a refresh under way is waited for before another fetch is caused', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock } = await startSubject(issuer)
  issuer.publish(a, b)
  const advanced = clock.advance(5 * minutes)
  await until(() => issuer.asked.length === 3)
  t.equal(await said(token(b)), 'alice')
  await advanced
  t.equal(issuer.fetches, 2)
})

t.test('what was asked while a signature was checked need not be asked again', async t => {
  const clock = createFakeClock()
  let fetches = 0
  let checked: ((right: boolean) => void) | undefined
  const slow: SigningKey = {
    kid: 'slow',
    fingerprint: 'slow',
    fits: () => true,
    verify: () =>
      new Promise(resolve => {
        checked = resolve
      }),
  }
  const published = async (): Promise<readonly SigningKey[]> => {
    fetches += 1
    return [slow]
  }
  const keys = createKeys({ issuerUrl, published, clock, random: () => 0 })
  await until(() => keys.ready)
  const { signal } = new AbortController()
  const parsed = { compact: '', alg: 'ES256', claims: new Map<string, unknown>() }
  const forged = keys.verify({ ...parsed, kid: 'slow' }, 'forged', signal)
  t.match(await keys.verify({ ...parsed, kid: 'x' }, 'unknown', signal), { code: 'token_key' })
  checked?.(false)
  await turns()
  checked?.(false)
  t.match(await forged, { code: 'token_signature' })
  t.equal(fetches, 2)
  await keys.close()
})

t.test('closing lets go of everybody who waits, and asks nobody any more', async t => {
  const issuer = createFakeIssuer(a)
  const { said, clock, authenticator } = await startSubject(issuer)
  t.equal(await said(token(stranger)), 'rejected token_key')
  const waits = said(token(stranger))
  await until(() => clock.due.includes(10_000))
  await authenticator.close()
  t.equal(await waits, 'threw issuer_unavailable')
  t.strictSame(clock.due, [])
  t.equal(issuer.fetches, 2)
})

t.test('what happens is told: each fetch, readiness and every new reason once', async t => {
  const notices: Notice[] = []
  const results: string[] = []
  const readiness: boolean[] = []
  t.teardown(facts.notice.subscribe(notice => notices.push(notice)))
  t.teardown(facts.keysFetched.subscribe(({ result }) => results.push(result)))
  t.teardown(facts.issuerReady.subscribe(({ ready }) => readiness.push(ready)))
  const issuer = createFakeIssuer(a)
  const { clock } = await startSubject(issuer)
  issuer.publish(a, b)
  await clock.advance(5 * minutes)
  issuer.answer(new Error('down'))
  await clock.advance(5 * minutes)
  await clock.advance(10_000)
  issuer.answer({ keys: null })
  await clock.advance(20_000)
  issuer.publish(a, b)
  await clock.advance(40_000)
  issuer.answer({ keys: [] })
  await clock.advance(5 * minutes)

  t.strictSame(results, ['ok', 'ok', 'error', 'error', 'error', 'ok', 'ok'])
  t.strictSame(readiness, [false, true, false])
  const changed = 'signing keys of the issuer changed'
  const failed = 'signing keys of the issuer cannot be fetched'
  t.strictSame(notices, [
    { level: 'info', msg: changed, fields: { issuer: issuerUrl, keys: 1, kids: ['a'] } },
    { level: 'info', msg: changed, fields: { issuer: issuerUrl, keys: 2, kids: ['a', 'b'] } },
    { level: 'warn', msg: failed, fields: { issuer: issuerUrl, reason: 'down' } },
    {
      level: 'warn',
      msg: failed,
      fields: { issuer: issuerUrl, reason: 'the key set has no list of keys' },
    },
    {
      level: 'info',
      msg: 'signing keys of the issuer can be fetched again',
      fields: { issuer: issuerUrl },
    },
    { level: 'warn', msg: changed, fields: { issuer: issuerUrl, keys: 0, kids: [] } },
  ])
})

t.test('an answer that comes after the end tells nothing about readiness', async t => {
  const readiness: boolean[] = []
  t.teardown(facts.issuerReady.subscribe(({ ready }) => readiness.push(ready)))
  const key: SigningKey = {
    kid: 'a',
    fingerprint: 'a',
    fits: () => true,
    verify: async () => true,
  }
  const answer = deferred<readonly SigningKey[]>()
  const clock = createFakeClock()
  const keys = createKeys({ issuerUrl, published: () => answer.promise, clock })
  await turns()
  const closed = keys.close()
  answer.resolve([key])
  await closed
  t.strictSame(readiness, [false])
})
