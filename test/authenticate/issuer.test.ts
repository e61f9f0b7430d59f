import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { createIssuers, type Issuers } from '../../lib/authenticate/issuers.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { createAuthority } from '../actors/certificates.js'
import { until } from './fake-clock.js'
import {
  claims,
  createFakeIssuer,
  issuersOptions,
  nowSeconds,
  startSubject,
  stateOf,
  type SubjectOptions,
} from './fake-issuer.js'
import { startHttpsIssuer, type HttpsIssuer } from './https-issuer.js'
import { createSigner, encode, hmacSigned, signed, type Signer } from './tokens.js'

const rsa = createSigner('RS256', 'rsa')
const ec = createSigner('ES256', 'ec')
/** Somebody else's key under the same name. Keys are slow to make, so all tests use these. */
const attacker = createSigner('RS256', 'rsa')
const strangerNamed = (kid: string): Signer => ({ ...attacker, kid, jwk: { ...attacker.jwk, kid } })

t.test('every supported algorithm verifies its tokens and no other key’s', async t => {
  const algs = [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
  ]
  const signers = algs.map(alg =>
    alg === 'RS256' || !/^[RP]S/.test(alg)
      ? createSigner(alg, alg)
      : { ...rsa, alg, kid: alg, jwk: { ...rsa.jwk, kid: alg } },
  )
  const issuer = createFakeIssuer(...signers)
  const { said } = await startSubject(issuer, { signingAlgs: algs })
  for (const signer of signers) t.equal(await said(signed(signer, claims())), 'alice', signer.alg)
  t.equal(issuer.fetches, 1)
})

t.test('forged and foreign tokens are refused, and say why', async t => {
  const issuer = createFakeIssuer(rsa, ec)
  const pem = createPublicKey(rsa.privateKey).export({ type: 'spki', format: 'pem' })
  const good = signed(rsa, claims())
  const [head = '', body = '', signature = ''] = good.split('.')
  const table: Record<string, readonly [token: string, code: string]> = {
    'alg none, no signature': [`${encode({ alg: 'none' })}.${body}.`, 'token_malformed'],
    'alg none, some signature': [
      `${encode({ alg: 'none' })}.${body}.${signature}`,
      'token_algorithm',
    ],
    'alg None': [`${encode({ alg: 'None' })}.${body}.${signature}`, 'token_algorithm'],
    'HS256 with the public key': [
      hmacSigned(pem, claims(), { alg: 'HS256', kid: 'rsa' }),
      'token_algorithm',
    ],
    'its own key in the header': [
      signed(attacker, claims(), { alg: 'RS256', kid: 'rsa', jwk: attacker.jwk }),
      'token_signature',
    ],
    'its own key, unnamed': [
      signed(attacker, claims(), { alg: 'RS256', jwk: attacker.jwk }),
      'token_signature',
    ],
    'its own key set': [
      signed(attacker, claims(), { alg: 'RS256', kid: 'evil', jku: 'https://evil.example/keys' }),
      'token_key',
    ],
    'a path as kid': [
      signed(attacker, claims(), { alg: 'RS256', kid: '../../dev/null' }),
      'token_key',
    ],
    'a kid of the prototype': [
      signed(attacker, claims(), { alg: 'RS256', kid: '__proto__' }),
      'token_key',
    ],
    'another kind of key': [signed(rsa, claims(), { alg: 'RS256', kid: 'ec' }), 'token_key'],
    'changed payload': [
      `${head}.${encode(claims({ sub: 'admin' }))}.${signature}`,
      'token_signature',
    ],
    'changed header': [
      `${encode({ alg: 'RS256', kid: 'rsa', x: 1 })}.${body}.${signature}`,
      'token_signature',
    ],
    'signature of zeros': [`${head}.${body}.${encode(Buffer.alloc(256))}`, 'token_signature'],
    'short signature': [`${head}.${body}.AAAA`, 'token_signature'],
    'psychic signature': [
      `${encode({ alg: 'ES256', kid: 'ec' })}.${body}.${encode(Buffer.alloc(64))}`,
      'token_signature',
    ],
    'ES256 in DER': [
      `${encode({ alg: 'ES256', kid: 'ec' })}.${body}.${encode(Buffer.from([0x30, 6, 2, 1, 1, 2, 1, 1]))}`,
      'token_signature',
    ],
    'an encrypted token': [
      `${encode({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`,
      'token_malformed',
    ],
    'newline after it': [`${good}\n`, 'token_malformed'],
    padding: [`${good}==`, 'token_malformed'],
    'invalid UTF-8': [
      signed(rsa, Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d])),
      'token_malformed',
    ],
    'logout token': [
      signed(rsa, claims(), { alg: 'RS256', kid: 'rsa', typ: 'logout+jwt' }),
      'token_type',
    ],
    'of another issuer': [signed(rsa, claims({ iss: 'https://other.example' })), 'token_issuer'],
    'for another audience': [signed(rsa, claims({ aud: 'other' })), 'token_audience'],
    'never ending': [
      signed(rsa, JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e400')),
      'token_claim',
    ],
    'without an end': [signed(rsa, claims({ exp: undefined })), 'token_claim'],
    expired: [signed(rsa, claims({ exp: nowSeconds })), 'token_expired'],
    'from the future': [signed(rsa, claims({ iat: nowSeconds + 31 })), 'token_not_yet_valid'],
    'without a user': [signed(rsa, claims({ sub: undefined })), 'token_claim'],
    'blank user': [signed(rsa, claims({ sub: ' ' })), 'identity_unusable'],
    'lone surrogate': [signed(rsa, JSON.stringify(claims({ sub: '\ud800' }))), 'identity_unusable'],
    'reserved group': [signed(rsa, claims({ groups: ['system:masters'] })), 'identity_reserved'],
    'too many groups': [
      signed(rsa, claims({ groups: Array.from({ length: 257 }, (_, index) => `g${index}`) })),
      'too_many_groups',
    ],
  }
  for (const [what, [token, code]] of Object.entries(table)) {
    const { said } = await startSubject(issuer)
    t.match(await said(token), new RegExp(`^(?:rejected|abstained) ${code}$`), what)
    t.equal(await said(good), 'alice', `${what}, and no harm done`)
  }
})

t.test('only a token that would otherwise be good makes us ask for keys', async t => {
  const issuer = createFakeIssuer(rsa)
  const { said } = await startSubject(issuer)
  const unknown = strangerNamed('unknown')
  for (const wrong of [
    claims({ iss: 'https://other.example' }),
    claims({ aud: 'other' }),
    claims({ exp: nowSeconds }),
    claims({ nbf: nowSeconds + 60 }),
  ]) {
    t.match(await said(signed(unknown, wrong)), /^(?:rejected|abstained) /)
  }
  t.equal(issuer.fetches, 1, 'the one at start')
  t.equal(await said(signed(unknown, claims())), 'rejected token_key')
  t.equal(issuer.fetches, 2)
})

t.test('an unverified token learns nothing about who it would be', async t => {
  const { said } = await startSubject(createFakeIssuer(rsa))
  t.equal(await said(signed(attacker, claims({ sub: 'system:admin' }))), 'rejected token_signature')
})

t.test('a weak key is no key', async t => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const signer = {
    kid: 'weak',
    alg: 'RS256',
    jwk: { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak' },
    privateKey: weak.privateKey,
  }
  const { said } = await startSubject(createFakeIssuer(rsa, signer))
  t.equal(await said(signed(signer, claims())), 'rejected token_key')
})

t.test('a verified token is known from then on, until it ends', async t => {
  const subject = await startSubject(createFakeIssuer(rsa))
  const token = signed(rsa, claims({ groups: ['dev'] }))
  const verdict = await subject.ask(token)
  t.strictSame(verdict, {
    outcome: 'authenticated',
    identity: { username: 'alice', groups: ['dev'], extra: {} },
    expiresAt: nowSeconds + 600,
  })
  t.equal(subject.ask(token), verdict, 'the same object, without a promise')
  subject.seconds += 600
  t.equal(await subject.said(token), 'rejected token_expired')
})

t.test('no refusal, error or state repeats a token', async t => {
  const issuer = createFakeIssuer(rsa)
  const subject = await startSubject(issuer, { keys: { cooldownMs: 0 } })
  const marked = strangerNamed('SECRETKID')
  issuer.answer(new Error('down'))
  for (const token of [
    signed(marked, claims()),
    `${signed(rsa, claims())}SECRET`,
    signed(rsa, '{"SECRET'),
  ]) {
    const outcome = await Promise.resolve(subject.ask(token)).then(
      verdict => (verdict.outcome === 'rejected' ? verdict.refusal : undefined),
      error => Refusal.from(error),
    )
    t.notMatch(`${outcome?.message} ${outcome?.stack} ${String(outcome?.cause)}`, /SECRET/)
    t.notOk(outcome?.message.includes(token.slice(0, 40)))
  }
})

t.test('options that could only verify wrongly are not accepted', async t => {
  const issuer = createFakeIssuer(rsa)
  for (const wrong of [
    { issuerUrl: 'http://issuer.example' },
    { issuerUrl: '' },
    { audiences: [] },
    { audiences: ['gateway', ''] },
    { signingAlgs: [] },
    { signingAlgs: ['RS256', 'HS256'] },
    { signingAlgs: ['none'] },
    { clockSkewSeconds: Infinity },
    { clockSkewSeconds: -1 },
  ]) {
    await t.rejects(startSubject(issuer, wrong), TypeError, JSON.stringify(wrong))
  }
  t.strictSame(issuer.asked, [])
})

// --- over real sockets

const authority = createAuthority()
const realClaims = (iss: string, more: object = {}): object => ({
  iss,
  aud: 'gateway',
  sub: 'alice',
  exp: Math.ceil(Date.now() / 1000) + 600,
  ...more,
})

function real(
  t: Test,
  url: string,
  options: SubjectOptions = {},
): { said: (token: string) => Promise<string>; subject: Issuers } {
  const subject = createIssuers(
    issuersOptions({ issuerUrl: url, keys: { cooldownMs: 100 }, ...options }),
    options.ca ?? authority.ca,
  )
  t.teardown(() => subject.close())
  const said = async (token: string): Promise<string> => {
    try {
      const verdict = await subject.authenticate(
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
  return { said, subject }
}

async function realIssuer(t: Test): Promise<HttpsIssuer> {
  const issuer = await startHttpsIssuer(authority)
  t.teardown(() => issuer.close())
  issuer.publish(rsa)
  return issuer
}

t.test(
  'a real issuer: verified, rotated under the same name, remembered verdicts dropped',
  async t => {
    const issuer = await realIssuer(t)
    const { said, subject } = real(t, issuer.url)
    await until(() => subject.ready)
    const old = signed(rsa, realClaims(issuer.url))
    t.equal(await said(old), 'alice')
    const next = createSigner('RS256', 'rsa')
    issuer.publish(next)
    t.equal(await said(signed(next, realClaims(issuer.url))), 'alice')
    t.equal(await said(old), 'rejected token_signature')
    t.strictSame(issuer.asked, ['/.well-known/openid-configuration', '/keys', '/keys', '/keys'])
  },
)

t.test('a real issuer that answers nonsense keeps the last good keys in force', async t => {
  const issuer = await realIssuer(t)
  const { said, subject } = real(t, issuer.url)
  await until(() => subject.ready)
  const unknown = createSigner('ES256', 'unknown')
  let serial = 0
  for (const [what, answer] of Object.entries({
    huge: JSON.stringify({ keys: [unknown.jwk], x: 'x'.repeat(1024 * 1024) }),
    garbage: '<html>',
    'keys null': '{"keys":null}',
  })) {
    issuer.on('/keys', (_request, response) => void response.end(answer))
    const token = signed(unknown, realClaims(issuer.url, { jti: (serial += 1) }))
    t.equal(await said(token), 'threw issuer_unavailable', what)
    t.match(stateOf(subject), /^known keys kept: /, what)
    t.equal(await said(signed(rsa, realClaims(issuer.url, { jti: (serial += 1) }))), 'alice', what)
  }
  issuer.on(
    '/elsewhere',
    (_request, response) => void response.end(JSON.stringify({ keys: [unknown.jwk] })),
  )
  issuer.on('/keys', (_request, response) => {
    response.writeHead(302, { location: `${issuer.url}/elsewhere` }).end()
  })
  const token = signed(unknown, realClaims(issuer.url, { jti: (serial += 1) }))
  t.equal(await said(token), 'threw issuer_unavailable', 'redirect')
  t.notOk(issuer.asked.includes('/elsewhere'))
})

t.test('a real issuer that is not trusted is trusted once its authority is given', async t => {
  const issuer = await realIssuer(t)
  const { said, subject } = real(t, issuer.url, { ca: createAuthority('another').ca })
  await until(() => stateOf(subject).startsWith('no key: '))
  const token = signed(rsa, realClaims(issuer.url))
  t.equal(await said(token), 'threw issuer_unavailable')
  subject.setCa(authority.ca)
  await until(() => subject.ready)
  t.equal(await said(token), 'alice')
})

t.test('a real issuer that comes late is found', async t => {
  const early = await startHttpsIssuer(authority)
  const port = Number(new URL(early.url).port)
  await early.close()
  const { said, subject } = real(t, early.url)
  await until(() => stateOf(subject).startsWith('no key: '))
  const token = signed(rsa, realClaims(early.url))
  t.equal(await said(token), 'threw issuer_unavailable')
  const issuer = await startHttpsIssuer(authority, port)
  t.teardown(() => issuer.close())
  issuer.publish(rsa)
  await until(() => subject.ready)
  t.equal(await said(token), 'alice')
})
