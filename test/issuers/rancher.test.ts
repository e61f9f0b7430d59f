import t from 'tap'
import { facts, type Notice } from '../../lib/channels.js'
import { createSigner } from '../authenticate/tokens.js'
import { readExample, run, signer } from './example.js'

const example = readExample('rancher')
const { claims } = example
const jane = { extra: {}, ...(example.identity as object) }
let serial = 0
/** A token each time of its own, so that nothing is remembered of it. */
const fresh = (): Record<string, unknown> => ({ ...claims, nonce: `${(serial += 1)}` })
const fiveMinutesMs = 300_000

t.test('access and refresh tokens of Rancher are refused as bearer tokens', async t => {
  const { said, close } = await run(example)
  t.teardown(close)
  const { name: _name, groups: _groups, ...common } = claims
  const scope = ['openid', 'profile', 'offline_access']
  const access = `rejected token_claim: claimValidationRules[0] does not hold: this is an access token of Rancher; send the ID token`
  t.equal(await said({ ...common, scope }), access)
  t.equal(await said({ ...common, token_kind: 'access_token' }), access)
  t.equal(await said({ ...common, scope, token_kind: 'access_token' }), access)

  const refresh = { ...common, rancher_token_hash: 'b1946ac92492d2347c6235b4d2611184' }
  t.equal(await said({ ...refresh, scope, iss: undefined }), 'abstained', 'it names no issuer')
  t.equal(
    await said(refresh),
    'rejected token_claim: claimValidationRules[1] does not hold: this is a refresh token of Rancher; send the ID token',
  )
})

t.test('a token without groups lets its user in without any, and that is told once', async t => {
  const heard: Notice[] = []
  t.teardown(facts.notice.subscribe(notice => heard.push(notice)))
  const { said, clock, close } = await run(example)
  t.teardown(close)
  const without = (): Record<string, unknown> => ({
    ...fresh(),
    groups: undefined,
    exp: Number(claims['exp']) + 7200,
  })
  const told = {
    level: 'warn',
    msg: 'a token has no groups claim, and its user no groups: has the client asked for the scope?',
    fields: { issuer: 'https://rancher.example.com/oidc', claim: 'groups' },
  } as const
  const about = (): Notice[] => heard.filter(({ msg }) => msg === told.msg)

  for (let token = 0; token < 5; token += 1) {
    // oxlint-disable-next-line no-await-in-loop
    t.same(await said(without()), { username: 'rancher:u-b4qkhsnliz', groups: [], extra: {} })
  }
  t.same(about(), [told])
  t.same(await said(fresh()), jane)
  t.same(about(), [told])
  await clock.advance(3_600_000)
  await said(without())
  t.same(about(), [told, told])
})

t.test('rotation without disruption: both keys published, both good', async t => {
  const next = createSigner('RS256', 'key2')
  const { said, answer, clock, close } = await run(example)
  t.teardown(close)
  t.same(await said(fresh()), jane)
  answer({ keys: [signer.jwk, next.jwk] })
  t.same(await said(fresh(), next), jane, 'the first token of the new key')
  t.same(await said(fresh()), jane)
  answer({ keys: [next.jwk] })
  await clock.advance(fiveMinutesMs)
  t.same(await said(fresh(), next), jane)
  t.match(await said(fresh()), 'rejected token_key')
})

t.test('rotation with disruption: another key under the same name', async t => {
  const next = createSigner('RS256', 'key')
  const { said, answer, clock, close } = await run(example)
  t.teardown(close)
  const wrong = 'rejected token_signature: the signature of the token is wrong'
  const old = fresh()
  t.same(await said(old), jane)
  answer({ keys: [next.jwk] })
  t.same(await said(fresh(), next), jane, 'asked again before it answers')
  // These wait until the issuer may be asked once more.
  const stale = Promise.all([said(fresh()), said(old)])
  await clock.advance(10_000)
  t.same(await stale, [wrong, wrong], 'also one that was remembered')
})

t.test('no key yet: 503 and never 401, until there is one', async t => {
  for (const nothing of [{ keys: null }, new Error('answered with status 500')]) {
    // oxlint-disable no-await-in-loop
    const { said, answer, clock, issuers, close } = await run(example, { keys: nothing })
    t.teardown(close)
    t.equal(issuers.ready, false)
    const early = said(fresh())
    await clock.advance(60_000)
    t.equal(await early, 'threw issuer_unavailable')
    answer({ keys: [signer.jwk] })
    await clock.advance(60_000)
    t.equal(issuers.ready, true)
    t.same(await said(fresh()), jane)
    // oxlint-enable no-await-in-loop
  }
})

t.test('keys that are gone for a while are still good', async t => {
  const { said, answer, clock, close } = await run(example)
  t.teardown(close)
  const later = { exp: Number(claims['exp']) + 7200 }
  for (const nothing of [{ keys: null }, new Error('answered with status 500')]) {
    answer(nothing)
    // oxlint-disable-next-line no-await-in-loop
    await clock.advance(2 * fiveMinutesMs)
    // oxlint-disable-next-line no-await-in-loop
    t.same(await said({ ...fresh(), ...later }), jane)
  }
})
