import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createIssuers } from '../../lib/authenticate/issuers.js'
import { rulesOfFlags } from '../../lib/authenticate/flag-configuration.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { createAuthority } from '../actors/certificates.js'
import { until } from './fake-clock.js'
import { flags, limits } from './fake-issuer.js'
import { startHttpsIssuer, type HttpsIssuer } from './https-issuer.js'
import { createSigner, signed, type Signer } from './tokens.js'

const authority = createAuthority()
const key = createSigner('ES256', 'key')
const start = 1_800_000_000

interface World {
  readonly issuer: HttpsIssuer
  /** What the source was asked with. */
  readonly asked: Array<string | undefined>
  /** Seconds since the epoch; may be set. */
  seconds: number
  /** What the source answers. */
  answer: { readonly status?: number; readonly body: string; readonly location?: string }
  claims(more?: object): Record<string, unknown>
  /** Of claims, signed anew each time, or of a token as it stands. */
  said(claims: object | string, by?: Signer): Promise<unknown>
}

async function startWorld(t: Test): Promise<World> {
  const issuer = await startHttpsIssuer(authority)
  issuer.publish(key)
  const asked: Array<string | undefined> = []
  issuer.on('/groups', (request, response) => {
    asked.push(request.headers.authorization)
    const { status = 200, body, location } = world.answer
    response.statusCode = status
    if (location !== undefined) response.setHeader('location', location)
    response.end(body)
  })
  const issuers = createIssuers(
    {
      rules: [rulesOfFlags({ ...flags, url: issuer.url })],
      limits,
      signingAlgs: ['ES256'],
      clockSkewSeconds: 30,
      now: () => world.seconds * 1000,
    },
    authority.ca,
  )
  t.teardown(async () => {
    await issuers.close()
    await issuer.close()
  })
  await until(() => issuers.ready)
  const common = (): object => ({ iss: issuer.url, aud: 'gateway', exp: start + 600 })
  const world: World = {
    issuer,
    asked,
    seconds: start,
    answer: { body: signed(key, { ...common(), groups: ['a', 'b'] }) },
    claims: (more = {}) => ({
      ...common(),
      sub: 'alice',
      _claim_names: { groups: 'src' },
      _claim_sources: {
        src: { endpoint: `${issuer.url}/groups`, access_token: 'secret-of-source' },
      },
      ...more,
    }),
    said: async (claims, by = key) => {
      const token = new Secret(typeof claims === 'string' ? claims : signed(by, claims), 'token')
      try {
        const { signal } = new AbortController()
        const verdict = await issuers.authenticate({ kind: 'bearer', token }, { signal })
        return verdict.outcome === 'authenticated'
          ? verdict.identity.groups
          : `${verdict.outcome} ${verdict.refusal.code}: ${verdict.refusal.message}`
      } catch (error) {
        const { code, message } = Refusal.from(error)
        return `threw ${code}: ${message}`
      }
    },
  }
  return world
}

t.test('a claim is fetched once a token, with the access token that it names', async t => {
  const world = await startWorld(t)
  const token = signed(key, world.claims())
  t.same(await world.said(token), ['a', 'b'])
  t.same(await world.said(token), ['a', 'b'])
  t.same(world.asked, ['Bearer secret-of-source'])
})

t.test('without an access token none is sent, least of all the caller’s own', async t => {
  const world = await startWorld(t)
  const sources = { src: { endpoint: `${world.issuer.url}/groups` } }
  t.same(await world.said(world.claims({ _claim_sources: sources })), ['a', 'b'])
  t.same(world.asked, [undefined])
})

t.test('what was fetched counts no longer than it says itself', async t => {
  const world = await startWorld(t)
  const { iss, aud } = world.claims()
  world.answer = { body: signed(key, { iss, aud, exp: start + 60, groups: ['a'] }) }
  const token = signed(key, world.claims())
  t.same(await world.said(token), ['a'])
  world.seconds = start + 59
  t.same(await world.said(token), ['a'])
  t.equal(world.asked.length, 1)
  world.seconds = start + 60
  world.answer = { body: signed(key, { iss, aud, exp: start + 120, groups: ['b'] }) }
  t.same(await world.said(token), ['b'])
  t.equal(world.asked.length, 2)
})

t.test('nobody is asked for a token that is not proven', async t => {
  const world = await startWorld(t)
  const other = createSigner('ES256', 'key')
  t.match(await world.said(world.claims(), other), 'rejected token_signature')
  t.match(await world.said(world.claims({ exp: start - 1 })), 'rejected token_expired')
  t.same(world.asked, [])
})

t.test('nobody is asked over plain HTTP', async t => {
  const world = await startWorld(t)
  let contacts = 0
  const plain = createServer((_request, response) => response.end())
  plain.on('connection', () => (contacts += 1))
  plain.listen(0, '127.0.0.1')
  await once(plain, 'listening')
  t.teardown(() => plain.close())
  // The address of a listening TCP server is an object.
  const endpoint = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/groups`
  t.equal(
    await world.said(world.claims({ _claim_sources: { src: { endpoint } } })),
    'rejected token_claim: a source of claims is no https address',
  )
  t.equal(contacts, 0)
})

t.test('an answer of another issuer has nobody asked for its keys', async t => {
  const world = await startWorld(t)
  const elsewhere = await startHttpsIssuer(authority)
  t.teardown(() => elsewhere.close())
  elsewhere.publish(key)
  const { aud, exp } = world.claims()
  world.answer = { body: signed(key, { iss: elsewhere.url, aud, exp, groups: ['a'] }) }
  t.match(
    await world.said(world.claims()),
    'rejected token_claim: what was fetched for the claim "groups": iss',
  )
  t.same(elsewhere.asked, [])
})

t.test('redirects are not followed, and answers are bounded', async t => {
  const world = await startWorld(t)
  const unavailable = 'threw issuer_unavailable: the claim "groups" cannot be fetched: '
  world.answer = { status: 302, body: '', location: `${world.issuer.url}/elsewhere` }
  t.equal(await world.said(world.claims()), `${unavailable}answered with status 302`)
  world.answer = { body: 'x'.repeat(1024 * 1024 + 1) }
  t.equal(
    await world.said(world.claims({ jti: '2' })),
    `${unavailable}answered with more than 1048576 bytes`,
  )
  t.notOk(world.issuer.asked.includes('/elsewhere'))
})

t.test('a source that fails is left alone for ten seconds by the token that it failed', async t => {
  const world = await startWorld(t)
  const good = world.answer
  world.answer = { status: 500, body: '' }
  const token = signed(key, world.claims())
  const failed =
    'threw issuer_unavailable: the claim "groups" cannot be fetched: answered with status 500'
  t.equal(await world.said(token), failed)
  world.answer = good
  world.seconds = start + 9
  t.equal(await world.said(token), failed)
  t.equal(world.asked.length, 1)
  t.same(await world.said(world.claims({ jti: 'another' })), ['a', 'b'])
  world.seconds = start + 10
  t.same(await world.said(token), ['a', 'b'])
})

t.test('so is one whose answer was no good', async t => {
  const world = await startWorld(t)
  const good = world.answer
  world.answer = { body: 'no token' }
  const token = signed(key, world.claims())
  const wrong =
    'rejected token_claim: what was fetched for the claim "groups": the token is malformed: it has not three parts'
  t.equal(await world.said(token), wrong)
  world.answer = good
  t.equal(await world.said(token), wrong)
  t.equal(world.asked.length, 1)
  world.seconds = start + 10
  t.same(await world.said(token), ['a', 'b'])
})

t.test(
  'so is one whose answer names more groups than may be, and none is asked again for it',
  async t => {
    const world = await startWorld(t)
    const good = world.answer
    const { iss, aud, exp } = world.claims()
    const groups = Array.from({ length: limits.maxGroups + 1 }, (_, at) => `g${at}`)
    world.answer = { body: signed(key, { iss, aud, exp, groups }) }
    const token = signed(key, world.claims())
    t.match(await world.said(token), /^rejected too_many_groups/)
    world.answer = good
    world.seconds = start + 9
    t.match(await world.said(token), /^rejected too_many_groups/)
    t.equal(world.asked.length, 1)
    t.same(await world.said(world.claims({ jti: 'another' })), ['a', 'b'])
    world.seconds = start + 10
    t.same(await world.said(token), ['a', 'b'])
  },
)

t.test('a token that ends while its claim is fetched is refused', async t => {
  const world = await startWorld(t)
  const { iss, aud, exp } = world.claims()
  world.issuer.on('/groups', (_request, response) => {
    world.seconds = start + 601
    response.end(signed(key, { iss, aud, exp: start + 900, groups: ['a'] }))
  })
  t.equal(exp, start + 600)
  t.match(await world.said(world.claims()), /^rejected token_expired/)
})

t.test('an access token that a header cannot carry is refused unsent', async t => {
  const world = await startWorld(t)
  const endpoint = `${world.issuer.url}/groups`
  for (const token of ['a b', 'a\r\nx: y', 'ü', 42]) {
    const sources = { src: { endpoint, access_token: token } }
    // oxlint-disable-next-line no-await-in-loop
    const said = await world.said(world.claims({ _claim_sources: sources }))
    t.equal(said, 'rejected token_claim: the claim _claim_sources is malformed')
  }
  t.same(world.asked, [])
})
