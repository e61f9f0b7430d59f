/*
 * T12: a token chooses how it is verified: no algorithm, the public key as a shared secret, a key it
 * brings along or points to, a key name that means something else to whoever looks it up.
 * Precedents: RFC 8725; CVE-2015-9235 (HS256 with an RSA public key), CVE-2018-0114 (embedded jwk),
 * CVE-2022-21449 (an ECDSA signature of zeros).
 */
import { createHmac, sign as signBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startIssuer, type SignOptions } from '../actors/issuer.js'
import { createSigningKey } from '../actors/signing-key.js'
import { startedWorld } from '../actors/world.js'
import { startBystander } from './bystander.js'
import { asUser, badToken, wholeAnswer, wholeHead, type Refused } from './whole-answer.js'

type Tokens = Readonly<Record<string, readonly [token: string, expected: Refused]>>

const malformed = badToken('the token is malformed')
const algorithm = badToken('the token is signed with an algorithm that is not accepted')
const signature = badToken('the signature of the token is wrong')
const unknownKey = badToken('the token is signed with an unknown key')

t.test('who signs with what', async t => {
  const issuer = await startIssuer()
  const elliptic = await issuer.addKey({ alg: 'ES256', kid: 'elliptic' })
  const [rsa] = issuer.keys
  if (!rsa) throw new TypeError('no key')
  const world = await startedWorld(t, {
    mode: 'gateway',
    issuer,
    flags: ['--oidc-signing-algs=RS256,ES256'],
  })
  const attacker = await createSigningKey('attacker')
  const attackersEc = await createSigningKey('elliptic', 'ES256')
  const jwk = attacker.jwk
  const bystander = await startBystander(t, issuer.authority, () => ({ keys: [jwk] }))
  let serial = 0
  /** Never the same token twice, so that none is known. */
  const sign = (options: SignOptions = {}): string =>
    issuer.sign({ jti: String((serial += 1)) }, options)
  const unsigned = (alg: string, tail = ''): string => {
    const parts = sign({ header: { alg } }).split('.')
    return `${parts[0] ?? ''}.${parts[1] ?? ''}.${tail}`
  }
  /** A token whose signature is made out of the signed text. */
  const signedBy = (header: object, how: (text: string) => Buffer): string => {
    const part = (value: unknown): string =>
      Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part(header)}.${part(issuer.claims({ jti: String((serial += 1)) }))}`
    return `${text}.${how(text).toString('base64url')}`
  }
  const hmac = (secret: string | Buffer, bits = 256): string =>
    signedBy({ alg: `HS${String(bits)}`, kid: 'one', typ: 'JWT' }, text =>
      createHmac(`sha${String(bits)}`, secret)
        .update(text)
        .digest(),
    )
  const spki = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const good = sign()

  await t.test('what is known without a key is refused at once', async t => {
    const tokens: Tokens = {
      'alg none, no signature': [unsigned('none'), malformed],
      'alg none, and some signature': [unsigned('none', 'AAAA'), algorithm],
      'alg None': [unsigned('None', 'AAAA'), algorithm],
      'alg NONE': [unsigned('NONE', 'AAAA'), algorithm],
      'alg nOnE': [unsigned('nOnE', 'AAAA'), algorithm],
      'alg empty': [unsigned('', 'AAAA'), algorithm],
      'a good signature under alg none': [sign({ header: { alg: 'none' } }), algorithm],
      'alg absent': [sign({ header: { alg: undefined } }), malformed],
      'alg null': [sign({ header: { alg: null } }), malformed],
      'alg a number': [sign({ header: { alg: 256 } }), malformed],
      'alg a list of good ones': [sign({ header: { alg: ['RS256'] } }), malformed],
      'alg in lower case': [sign({ header: { alg: 'rs256' } }), algorithm],
      'alg padded': [sign({ header: { alg: 'RS256 ' } }), algorithm],
      'alg __proto__': [sign({ header: { alg: '__proto__' } }), algorithm],
      'HS256 with the public key in PEM': [hmac(spki), algorithm],
      'HS256 with the public key in PEM, its last line feed gone': [hmac(spki.trim()), algorithm],
      'HS256 with the public key in DER': [
        hmac(rsa.publicKey.export({ type: 'spki', format: 'der' })),
        algorithm,
      ],
      'HS256 with the public key as a JWK': [hmac(JSON.stringify(rsa.jwk)), algorithm],
      'HS256 with the modulus': [hmac(Buffer.from(rsa.jwk.n ?? '', 'base64url')), algorithm],
      'HS384 with the public key': [hmac(spki, 384), algorithm],
      'HS512 with the public key': [hmac(spki, 512), algorithm],
      'HS256 with nothing': [hmac(''), algorithm],
      'a good key, but RS384 is not accepted': [sign({ alg: 'RS384' }), algorithm],
      'a good key, but PS256 is not accepted': [sign({ alg: 'PS256' }), algorithm],
      'a list of critical fields': [sign({ header: { crit: ['exp'] } }), malformed],
      'an empty list of critical fields': [sign({ header: { crit: [] } }), malformed],
      'an unencoded payload': [sign({ header: { b64: false, crit: ['b64'] } }), malformed],
      'b64, even true': [sign({ header: { b64: true } }), malformed],
      'a compressed payload': [sign({ header: { zip: 'DEF' } }), malformed],
      'kid a number': [sign({ header: { kid: 0 } }), malformed],
      'kid null': [sign({ header: { kid: null } }), malformed],
      'kid a list': [sign({ header: { kid: ['one'] } }), malformed],
    }
    for (const [name, [token, expected]] of Object.entries(tokens)) {
      t.strictSame(wholeAnswer(await world.ask({ token: token })), expected, name)
    }
    t.equal(issuer.keyFetches, 1, 'and the issuer was asked about none of them')
  })

  await t.test('what only a key can tell', async t => {
    const stolen = { ...attacker, kid: 'one' }
    const tokens: Tokens = {
      "another one's signature": [sign({ key: stolen }), signature],
      "another one's signature, without a kid": [
        sign({ key: stolen, header: { kid: undefined } }),
        signature,
      ],
      'the key in the header': [sign({ key: stolen, header: { jwk } }), signature],
      'the key in the header, under its own name': [
        sign({ key: attacker, header: { jwk } }),
        unknownKey,
      ],
      'the key as a certificate': [
        sign({ key: stolen, header: { x5c: [Buffer.from('certificate').toString('base64')] } }),
        signature,
      ],
      jku: [sign({ key: attacker, header: { jku: `${bystander.url}/jwks` } }), unknownKey],
      'jku beside a known kid': [
        sign({ key: stolen, header: { jku: `${bystander.url}/jwks` } }),
        signature,
      ],
      x5u: [sign({ key: attacker, header: { x5u: `${bystander.url}/x5u` } }), unknownKey],
      'kid an address': [
        sign({ key: attacker, header: { kid: `${bystander.url}/kid` } }),
        unknownKey,
      ],
      'kid a file': [
        sign({ key: attacker, header: { kid: '../../../../../dev/null' } }),
        unknownKey,
      ],
      'kid empty': [sign({ key: attacker, header: { kid: '' } }), unknownKey],
      'kid in other case': [sign({ key: stolen, header: { kid: 'ONE' } }), unknownKey],
      'kid padded': [sign({ key: stolen, header: { kid: 'one ' } }), unknownKey],
      'kid __proto__': [sign({ key: attacker, header: { kid: '__proto__' } }), unknownKey],
      'kid SQL': [sign({ key: attacker, header: { kid: "x' UNION SELECT 'one" } }), unknownKey],
      'kid of 4,000 characters': [
        sign({ key: attacker, header: { kid: 'k'.repeat(4000) } }),
        unknownKey,
      ],
      'an ECDSA signature of zeros': [
        signedBy({ alg: 'ES256', kid: 'elliptic' }, () => Buffer.alloc(64)),
        signature,
      ],
      'an ECDSA signature of nothing but a byte': [
        signedBy({ alg: 'ES256', kid: 'elliptic' }, () => Buffer.alloc(1)),
        signature,
      ],
      'a good ECDSA signature in DER': [
        signedBy({ alg: 'ES256', kid: 'elliptic' }, text =>
          signBytes('sha256', Buffer.from(text), elliptic.privateKey),
        ),
        signature,
      ],
      "another one's ECDSA signature": [sign({ key: attackersEc }), signature],
      'RS256 with the name of an EC key': [
        sign({ key: rsa, header: { kid: 'elliptic' } }),
        unknownKey,
      ],
      'ES256 with the name of an RSA key': [
        sign({ key: elliptic, header: { kid: 'one' } }),
        unknownKey,
      ],
      'a PSS signature that says RS256': [
        sign({ alg: 'PS256', header: { alg: 'RS256' } }),
        signature,
      ],
      'a SHA-512 signature that says RS256': [
        sign({ alg: 'RS512', header: { alg: 'RS256' } }),
        signature,
      ],
      'the signature of another token': [
        `${sign().split('.').slice(0, 2).join('.')}.${good.split('.')[2] ?? ''}`,
        signature,
      ],
    }
    // All wait for the same look at the key set, which no key of the attacker gets into.
    const misses = async (): Promise<number> =>
      (await world.gateway.metric('gateway_token_cache_total{result="miss"}')) ?? 0
    const before = await misses()
    issuer.behave({ jwks: 'hang' })
    const asked = Object.entries(tokens).map(async ([name, [token, expected]]) => {
      t.strictSame(
        wholeAnswer(await world.ask({ token: token, timeoutMs: 30_000 })),
        expected,
        name,
      )
    })
    while ((await misses()) < before + asked.length) await pause(20)
    issuer.release()
    await Promise.all(asked)
    t.equal(issuer.keyFetches, 2)
  })

  t.strictSame(bystander.seen, [], 'no address in a token was followed')
  t.equal(world.api.connections.length, 0, 'and the API server has heard nothing of all this')

  await t.test('good tokens pass, whatever else their header says', async t => {
    const users = [
      sign(),
      sign({ kid: 'elliptic' }),
      sign({ header: { kid: undefined } }),
      sign({ header: { jku: bystander.url, x5u: bystander.url, jwk, cty: 'JWT' } }),
    ]
    for (const token of users) {
      t.equal((await world.ask({ token })).response?.status, 200)
    }
    for (const request of world.api.forwarded) {
      t.strictSame(wholeHead(request), asUser(world, `${issuer.url}#alice`))
    }
    t.equal(world.api.forwarded.length, users.length)
    t.strictSame(bystander.seen, [])
  })
})
