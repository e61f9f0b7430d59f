import t from 'tap'
import { checkClaims } from '../../lib/authenticate/claims.js'
import { parseToken } from '../../lib/authenticate/token.js'
import { Refusal } from '../../lib/refusal.js'
import { claims, issuerUrl, nowSeconds as now } from './fake-issuer.js'
import { encode, type Part } from './tokens.js'

const options = {
  issuerUrl,
  audiences: ['gateway', 'second'],
  signingAlgs: ['RS256', 'ES256'],
  clockSkewSeconds: 30,
}
const outcome = (body: Part, alg = 'RS256'): number | string => {
  try {
    const token = [{ alg }, body, 'signature'].map(encode).join('.')
    return checkClaims(parseToken(token), options, now)
  } catch (error) {
    return Refusal.from(error).code
  }
}
/** The claims as JSON text, with this member in place of `exp`: for numbers that JavaScript cannot write. */
const withExp = (json: string): string =>
  `{"iss":"${issuerUrl}","aud":"gateway","sub":"alice"${json === '' ? '' : `,"exp":${json}`}}`

t.test('a token for us, from our issuer, in its time, says when it ends', async t => {
  t.equal(outcome(claims()), now + 600)
  t.equal(outcome(claims({ exp: now + 0.5 })), now + 0.5)
})

t.test('only allowed algorithms', async t => {
  for (const alg of [
    'none',
    'None',
    '',
    'HS256',
    'rs256',
    'RS256 ',
    'RS384',
    'PS256',
    'EdDSA',
    'ES256K',
  ]) {
    t.equal(outcome(claims(), alg), 'token_algorithm', alg)
  }
  t.equal(outcome(claims(), 'ES256'), now + 600)
})

t.test('only our issuer, letter by letter', async t => {
  for (const iss of [
    undefined,
    null,
    '',
    `${issuerUrl}/`,
    ` ${issuerUrl}`,
    issuerUrl.toUpperCase(),
    issuerUrl.replace('https', 'http'),
    [issuerUrl],
    1,
  ]) {
    t.equal(outcome(claims({ iss })), 'token_issuer', JSON.stringify(iss))
  }
})

t.test('audiences', async t => {
  for (const aud of [
    'gateway',
    'second',
    ['gateway'],
    ['other', 'second'],
    ['gateway', 'gateway'],
  ]) {
    t.equal(outcome(claims({ aud })), now + 600, JSON.stringify(aud))
  }
  for (const aud of [
    undefined,
    null,
    '',
    [],
    [''],
    'other',
    'Gateway',
    'gateway ',
    'gateway second',
    ['other'],
    ['gateway', 1],
    ['gateway', null],
    [['gateway']],
    { gateway: true },
    { 0: 'gateway', length: 1 },
    1,
    true,
  ]) {
    t.equal(outcome(claims({ aud })), 'token_audience', JSON.stringify(aud))
  }
  t.equal(outcome(claims({ azp: 'somebody else' })), now + 600, 'azp does not count')
})

t.test('a token without a finite end is refused', async t => {
  for (const exp of ['', 'null', '1e400', '"1900000000"', 'true', '[1900000000]', '{}']) {
    t.equal(outcome(withExp(exp)), 'token_claim', exp)
  }
  t.equal(outcome(withExp('1e300')), 1e300)
})

t.test('the end is the end, without skew', async t => {
  t.equal(outcome(claims({ exp: now + 1 })), now + 1)
  for (const exp of [now, now - 1, now - 0.001, 0, -1, -1e300]) {
    t.equal(outcome(claims({ exp })), 'token_expired', String(exp))
  }
  t.equal(outcome(withExp('-1e400')), 'token_claim')
})

t.test('nbf and iat may lie in the future by the skew, and no further', async t => {
  for (const name of ['nbf', 'iat']) {
    t.equal(outcome(claims({ [name]: now + 30 })), now + 600, `${name} at the edge`)
    t.equal(outcome(claims({ [name]: now + 30.5 })), 'token_not_yet_valid', `${name} beyond it`)
    t.equal(outcome(claims({ [name]: 1e300 })), 'token_not_yet_valid', `huge ${name}`)
    t.equal(outcome(claims({ [name]: 0 })), now + 600, `${name} long ago`)
    for (const value of [null, String(now), true, [now], {}]) {
      t.equal(outcome(claims({ [name]: value })), 'token_claim', `${name} ${JSON.stringify(value)}`)
    }
    const text = JSON.stringify(claims()).replace('{', `{"${name}":1e400,`)
    t.equal(outcome(text), 'token_claim', `infinite ${name}`)
  }
})

t.test('what a stranger wrote is quoted and bounded in the log', async t => {
  const token = [{ alg: 'RS256' }, claims({ iss: `"\n\u0007${'x'.repeat(5_000)}` }), 's'].map(
    encode,
  )
  try {
    checkClaims(parseToken(token.join('.')), options, now)
    t.fail('must throw')
  } catch (error) {
    const { message } = Refusal.from(error)
    t.ok(message.length < 300)
    t.notMatch(message, /\p{Cc}/u)
  }
})
