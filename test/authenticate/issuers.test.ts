import t from 'tap'
import type { TokenRules } from '../../lib/authenticate/configuration.js'
import { createIssuers, type Issuers } from '../../lib/authenticate/issuers.js'
import { rulesOfFlags } from '../../lib/authenticate/flag-configuration.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { deferred } from '../actors/deferred.js'
import { turns, until } from './fake-clock.js'
import { claims, flags, issuerUrl, limits, nowSeconds } from './fake-issuer.js'
import { createSigner, encode, signed } from './tokens.js'

const signer = createSigner('ES256', 'a')
const other = createSigner('ES256', 'b')
const otherUrl = 'https://other.example'

const rulesOf = (url: string, prefix = ''): TokenRules =>
  rulesOfFlags({ ...flags, url, usernamePrefix: prefix })

/** Issuers whose keys are in `published`, by address; every document asked for is in `asked`. */
async function subject(rules: readonly TokenRules[]) {
  const asked: string[] = []
  const published = new Map<string, unknown>([
    [issuerUrl, { keys: [signer.jwk] }],
    [otherUrl, { keys: [other.jwk] }],
  ])
  let gate: Promise<unknown> = Promise.resolve()
  const issuers = createIssuers({
    rules,
    limits,
    signingAlgs: ['ES256'],
    clockSkewSeconds: 30,
    now: () => nowSeconds * 1000,
    getJson: async url => {
      asked.push(url)
      await gate
      const { origin, pathname } = new URL(url)
      return pathname.endsWith('/keys')
        ? published.get(origin)
        : {
            issuer: pathname.startsWith('/inside') ? issuerUrl : origin,
            jwks_uri: `${origin}/keys`,
          }
    },
  })
  t.teardown(() => issuers.close())
  await until(() => issuers.states().every(({ ready }) => ready))
  return {
    issuers,
    asked,
    hold: (promise: Promise<unknown>) => {
      gate = promise
    },
    said: (token: string) => said(issuers, token),
  }
}

async function said(issuers: Issuers, token: string): Promise<string> {
  try {
    const verdict = await issuers.authenticate(
      { kind: 'bearer', token: new Secret(token, 'token') },
      new AbortController(),
    )
    return verdict.outcome === 'authenticated'
      ? verdict.identity.username
      : `${verdict.outcome} ${verdict.refusal.code}`
  } catch (error) {
    return `threw ${Refusal.from(error).code}`
  }
}

const mine = (more: object = {}): string => signed(signer, claims(more))
const theirs = (more: object = {}): string => signed(other, claims({ iss: otherUrl, ...more }))

t.test('each token goes to the issuer that it names, and to no other', async t => {
  const { said } = await subject([rulesOf(issuerUrl, 'a:'), rulesOf(otherUrl, 'b:')])
  t.equal(await said(mine()), 'a:alice')
  t.equal(await said(theirs()), 'b:alice')
  t.match(await said(signed(other, claims())), /^rejected token_key|^threw/, 'by the wrong key')
})

t.test('a token of somebody else is left to others, one of ours never', async t => {
  const { said } = await subject([rulesOf(issuerUrl)])
  t.equal(await said(theirs()), 'abstained token_issuer')
  t.equal(await said(signed(other, claims({ iss: undefined }))), 'abstained token_issuer')
  for (const opaque of ['opaque', 'a.b.c', 'a.b', '', encode({ iss: issuerUrl })]) {
    t.equal(await said(opaque), 'abstained token_malformed', opaque)
  }
  const [head = '', body = '', signature = ''] = mine().split('.')
  for (const [what, token] of Object.entries({
    'without a signature': `${head}.${body}.`,
    'five parts': `${head}.${body}.${signature}.a.b`,
    'a header that is none': `x.${body}.${signature}`,
    padding: `${head}.${body}=.${signature}`,
    blanks: `${head}.${body.slice(0, 8)} ${body.slice(8)}.${signature}`,
    'a critical extension': `${encode({ alg: 'ES256', crit: ['x'] })}.${body}.${signature}`,
  })) {
    t.equal(await said(token), 'rejected token_malformed', what)
  }
  t.equal(
    await said(`${encode({ alg: 'ES256', typ: 'logout+jwt' })}.${body}.${signature}`),
    'rejected token_type',
  )
})

t.test('Google may leave out its scheme', async t => {
  const google = 'https://accounts.google.com'
  const issuers = createIssuers({
    rules: [rulesOf(google)],
    limits,
    signingAlgs: ['ES256'],
    clockSkewSeconds: 30,
    now: () => nowSeconds * 1000,
    getJson: url =>
      Promise.resolve(
        url.endsWith('/keys')
          ? { keys: [signer.jwk] }
          : { issuer: google, jwks_uri: `${google}/keys` },
      ),
  })
  t.teardown(() => issuers.close())
  await until(() => issuers.ready)
  t.equal(await said(issuers, mine({ iss: 'accounts.google.com' })), 'alice')
  t.equal(await said(issuers, mine({ iss: google })), 'alice')
  t.equal(
    await said(issuers, mine({ iss: 'http://accounts.google.com' })),
    'abstained token_issuer',
  )
})

t.test('other rules are in force at once, and ask for no keys', async t => {
  const token = theirs()
  const { issuers, said, asked } = await subject([
    rulesOf(issuerUrl, 'a:'),
    rulesOf(otherUrl, 'b:'),
  ])
  t.equal(await said(mine()), 'a:alice')
  t.equal(await said(token), 'b:alice')
  const kept = await issuers.authenticate(
    { kind: 'bearer', token: new Secret(token, 'token') },
    new AbortController(),
  )
  const before = asked.length
  issuers.replace([rulesOf(issuerUrl, 'c:'), rulesOf(otherUrl, 'b:')])
  t.equal(await said(mine()), 'c:alice', 'nothing remembered of the old rules counts')
  const again = await issuers.authenticate(
    { kind: 'bearer', token: new Secret(token, 'token') },
    new AbortController(),
  )
  t.equal(again, kept, 'what has not changed is remembered')
  t.equal(asked.length, before)

  issuers.replace([rulesOf(otherUrl, 'b:')])
  t.equal(await said(mine()), 'abstained token_issuer', 'and an issuer that is gone is gone')
  issuers.replace([])
  t.equal(await said(token), 'abstained token_issuer')
  t.equal(issuers.ready, true, 'there is nothing to wait for')
})

t.test('rules that change while a key is waited for have the last word', async t => {
  const gate = deferred()
  const { issuers, said, hold } = await subject([])
  hold(gate.promise)
  issuers.replace([rulesOf(issuerUrl, 'a:')])
  await turns()
  const waiting = said(mine())
  await turns()
  issuers.replace([rulesOf(issuerUrl, 'b:')])
  gate.resolve()
  t.equal(await waiting, 'b:alice')
})

t.test('another place for the keys is another source of them', async t => {
  const { issuers, said, asked } = await subject([rulesOf(issuerUrl)])
  t.equal(await said(mine()), 'alice')
  const [first] = [rulesOf(issuerUrl)]
  if (first === undefined) throw new Error('no rules')
  issuers.replace([
    {
      ...first,
      description: 'another',
      issuer: { ...first.issuer, discoveryURL: `${otherUrl}/inside` },
    },
  ])
  await until(() => asked.includes(`${otherUrl}/keys`))
  t.match(await said(mine()), /^(?:rejected token_key|threw)/, 'the former keys are not believed')
  t.equal(await said(signed(other, claims())), 'alice', 'those of the new place are')
})

t.test('one issuer that cannot be reached is no harm to the others', async t => {
  const issuers = createIssuers({
    rules: [rulesOf(issuerUrl), rulesOf(otherUrl)],
    limits,
    signingAlgs: ['ES256'],
    clockSkewSeconds: 30,
    now: () => nowSeconds * 1000,
    getJson: url => {
      if (url.startsWith(otherUrl)) return Promise.reject(new Error('down'))
      return Promise.resolve(
        url.endsWith('/keys')
          ? { keys: [signer.jwk] }
          : { issuer: issuerUrl, jwks_uri: `${issuerUrl}/keys` },
      )
    },
  })
  t.teardown(() => issuers.close())
  await until(() => issuers.ready)
  t.equal(await said(issuers, mine()), 'alice')
  t.equal(await said(issuers, theirs()), 'threw issuer_unavailable')
  t.same(issuers.states(), [
    { url: issuerUrl, ready: true, state: 'ready' },
    { url: otherUrl, ready: false, state: 'no key: down' },
  ])
})
