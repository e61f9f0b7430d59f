import { request } from 'node:https'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import t from 'tap'
import { startIssuer, part, type Issuer, type IssuerOptions } from './issuer.js'
import { createSigningKey, type Algorithm } from './signing-key.js'

type Teardown = { teardown(fn: () => unknown): unknown }

async function started(t: Teardown, options?: IssuerOptions): Promise<Issuer> {
  const issuer = await startIssuer(options)
  t.teardown(() => issuer.close())
  return issuer
}

function get(issuer: Issuer, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(issuer.url + path, { ca: issuer.ca, agent: false }, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (body += piece))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

const keySet = async (issuer: Issuer): Promise<JSONWebKeySet> =>
  JSON.parse((await get(issuer, '/jwks')).body) as JSONWebKeySet

t.test('a token of every algorithm verifies against the published keys', async t => {
  const issuer = await started(t)
  const algs: Algorithm[] = ['RS512', 'PS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA']
  for (const alg of algs) await issuer.addKey({ alg, kid: alg })
  const keys = createLocalJWKSet(await keySet(issuer))
  for (const kid of ['one', ...algs]) {
    const { payload } = await jwtVerify(issuer.sign({ groups: ['dev'] }, { kid }), keys, {
      issuer: issuer.url,
      audience: 'kubernetes',
    })
    t.match(payload, { sub: 'alice', groups: ['dev'] }, kid)
  }
})

t.test('a claim or header field can be taken away, and a foreign key be used', async t => {
  const issuer = await started(t, { now: () => 1_000_000 })
  const [header = '', payload = ''] = issuer
    .sign({ exp: undefined, nonce: 1 }, { header: { typ: undefined, crit: ['x'] } })
    .split('.')
    .map(one => Buffer.from(one, 'base64url').toString())
  t.strictSame(JSON.parse(header), { alg: 'RS256', kid: 'one', crit: ['x'] })
  t.strictSame(JSON.parse(payload), {
    iss: issuer.url,
    aud: 'kubernetes',
    sub: 'alice',
    iat: 1000,
    nonce: 1,
  })
  const key = await createSigningKey('one')
  const keys = createLocalJWKSet(await keySet(issuer))
  await t.rejects(jwtVerify(issuer.sign({}, { key }), keys), {
    code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  })
})

t.test('texts that are no good JSON are signed as they are', async t => {
  const issuer = await started(t)
  const token = issuer.signText('{"alg":"RS256","alg":"none"}', Buffer.from([0xff, 0xfe]))
  t.match(token, `${part('{"alg":"RS256","alg":"none"}')}.__4.`)
  t.match(issuer.sign({}, { alg: 'none' }), /^[\w-]+\.[\w-]+\.$/)
  t.match(issuer.sign({}, { alg: 'HS256' }), /^[\w-]+\.[\w-]+\.[\w-]{43}$/)
})

t.test('a key set rotates as it is told', async t => {
  const issuer = await started(t, { alg: 'ES256' })
  const kids = async (): Promise<unknown> => (await keySet(issuer)).keys.map(({ kid }) => kid)
  await issuer.addKey({ kid: 'two', published: false, alg: 'ES256' })
  t.strictSame(await kids(), ['one'])
  issuer.publish('two', 'one')
  t.strictSame(await kids(), ['two', 'one'])
  issuer.removeKey('one')
  t.strictSame(await kids(), ['two'])
  const before = await keySet(issuer)
  const { was, is } = await issuer.replaceKey('two')
  t.strictSame([before.keys, (await keySet(issuer)).keys], [[was.jwk], [is.jwk]])
  t.not(was.jwk.x, is.jwk.x)
  t.equal(issuer.keyFetches, 5)
})

t.test('every misbehaviour is what its name says', async t => {
  const issuer = await started(t, { alg: 'ES256' })
  const jwks = async (how: 'null' | 'empty' | 'garbage' | 'huge' | 'redirect' | '500' | 'slow') => {
    issuer.behave({ jwks: how })
    return get(issuer, '/jwks')
  }
  t.strictSame(await jwks('null'), { status: 200, body: '{"keys":null}' })
  t.strictSame(await jwks('empty'), { status: 200, body: '{"keys":[]}' })
  t.match(await jwks('garbage'), { status: 200, body: /^<html>/ })
  const huge = await jwks('huge')
  t.ok(huge.body.length > 2 ** 21 && JSON.parse(huge.body))
  t.equal((await jwks('redirect')).status, 302)
  t.equal((await get(issuer, '/elsewhere/jwks')).status, 200)
  t.equal((await jwks('500')).status, 500)
  issuer.behave({ jwks: 'cut' })
  await t.rejects(get(issuer, '/jwks'))
  issuer.behave({ jwks: (_, response) => response.writeHead(418).end() })
  t.equal((await get(issuer, '/jwks')).status, 418)
  issuer.behave({ discovery: 'null' })
  t.equal((await get(issuer, '/.well-known/openid-configuration')).body, 'null')
})

t.test('what hangs can be released', async t => {
  const issuer = await started(t)
  issuer.behave({ jwks: 'hang' })
  const asked = get(issuer, '/jwks')
  await issuer.fetched(1)
  issuer.release()
  t.equal((await asked).status, 200)
})

t.test('it goes down and comes up again at the same address', async t => {
  const issuer = await started(t, { alg: 'EdDSA', path: '/realms/a' })
  issuer.discover({ issuer: 'https://elsewhere.example', token_endpoint: undefined })
  t.match(JSON.parse((await get(issuer, '/.well-known/openid-configuration')).body), {
    issuer: 'https://elsewhere.example',
    jwks_uri: issuer.keysUrl,
  })
  await issuer.down()
  await t.rejects(get(issuer, '/jwks'), { code: 'ECONNREFUSED' })
  await issuer.up()
  const { port } = issuer
  t.equal(issuer.url, `https://127.0.0.1:${String(port)}/realms/a`)
  t.equal((await keySet(issuer)).keys.length, 1)
})
