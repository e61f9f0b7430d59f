import t from 'tap'
import { parseToken } from '../../lib/authenticate/token.js'
import { Refusal } from '../../lib/refusal.js'
import { encode, type Part } from './tokens.js'

const header = { alg: 'RS256' }
const make = (head: Part, body: Part = { sub: 'alice' }, signature: Part = 'signature'): string =>
  [head, body, signature].map(encode).join('.')
const good = make(header)
const outcome = (token: string): string => {
  try {
    parseToken(token)
    return 'parsed'
  } catch (error) {
    const refusal = Refusal.from(error)
    return refusal.code
  }
}

t.test('a well-formed token is read as it stands', async t => {
  const token = make({ alg: 'ES256', kid: 'k1', typ: 'JWT' }, { sub: 'José ✓', groups: ['a'] })
  t.strictSame(parseToken(token), {
    compact: token,
    alg: 'ES256',
    kid: 'k1',
    claims: new Map<string, unknown>([
      ['sub', 'José ✓'],
      ['groups', ['a']],
    ]),
  })
  t.strictSame(parseToken(good), {
    compact: good,
    alg: 'RS256',
    claims: new Map([['sub', 'alice']]),
  })
})

t.test('claims named like object properties are claims like any other', async t => {
  const { claims } = parseToken(make(header, '{"__proto__":{"sub":"admin"},"constructor":1}'))
  t.strictSame(
    [...claims],
    [
      ['__proto__', { sub: 'admin' }],
      ['constructor', 1],
    ],
  )
  t.equal(claims.get('sub'), undefined)
  t.equal(parseToken(make(header, '{}')).claims.has('toString'), false)
})

t.test('one token has one spelling', async t => {
  const [head = '', body = '', signature = ''] = good.split('.')
  // The last of `{"alg":"RS256"}` carries no spare bits; a 32-byte signature does.
  const spare = encode(Buffer.alloc(32))
  const table: Record<string, string> = {
    empty: '',
    'one part': head,
    'two parts': `${head}.${body}`,
    'four parts': `${good}.${signature}`,
    'five parts': `${good}.a.b`,
    'no signature': `${head}.${body}.`,
    'no payload': `${head}..${signature}`,
    'no header': `.${body}.${signature}`,
    'newline after it': `${good}\n`,
    'newline before it': `\n${good}`,
    'blank inside a part': `${head}.${body.slice(0, 4)} ${body.slice(4)}.${signature}`,
    'tab inside a part': `${head}.${body.slice(0, 4)}\t${body.slice(4)}.${signature}`,
    'padded signature': `${head}.${body}.${Buffer.alloc(32).toString('base64')}`,
    'padded with two': `${head}.${body}.${encode(Buffer.alloc(1))}==`,
    'standard alphabet': `${head}.${body}.${Buffer.from([0xfb, 0xff, 0xfe]).toString('base64')}`,
    'dropped tail bits': `${head}.${body}.${spare.slice(0, -1)}B`,
    'dropped tail bits in the payload': `${head}.${encode(Buffer.from('{} '))}.${spare.slice(0, -1)}B`,
    'impossible length': `${head}.${body}.AAAAA`,
    'NUL byte': `${head}.${body}.${signature}\0`,
    'non-ASCII digits': `${head}.${body}.\uff21\uff21`,
  }
  for (const [what, token] of Object.entries(table))
    t.equal(outcome(token), 'token_malformed', what)
  t.equal(outcome(`${head}.${body}.${spare}`), 'parsed', 'the canonical one')
})

t.test('header and payload are JSON objects in UTF-8', async t => {
  const bodies: Record<string, Part> = {
    array: [],
    null: 'null',
    string: '"sub"',
    number: '1',
    'not JSON': '{sub:1}',
    'trailing bytes': '{}x',
    'two objects': '{}{}',
    'byte order mark': '\ufeff{}',
    'invalid UTF-8': Buffer.from([0x7b, 0x22, 0x73, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
    'overlong UTF-8': Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]),
    'surrogate in UTF-8': Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]),
    'UTF-16': Buffer.from('{}', 'utf16le'),
  }
  for (const [what, body] of Object.entries(bodies)) {
    t.equal(outcome(make(header, body)), 'token_malformed', `payload: ${what}`)
    t.equal(outcome(make(body)), 'token_malformed', `header: ${what}`)
  }
  t.equal(outcome(make(header, ' {"sub" : "a"}\n')), 'parsed', 'white space that JSON allows')
})

t.test('nesting that no reader could bear is malformed, not a crash', async t => {
  const deep = `${'['.repeat(60_000)}${']'.repeat(60_000)}`
  t.match(outcome(make(header, `{"a":${deep}}`)), /^(parsed|token_malformed)$/)
})

t.test('types of tokens', async t => {
  for (const typ of ['JWT', 'jwt', 'Jwt', 'at+jwt', 'AT+JWT']) {
    t.equal(outcome(make({ ...header, typ })), 'parsed', typ)
  }
  for (const typ of [
    '',
    'JOSE',
    'logout+jwt',
    'dpop+jwt',
    'secevent+jwt',
    'id_token+jwt',
    'application/at+jwt',
    'application/jwt',
    'JWT ',
    ' JWT',
    'JWTx',
    null,
    1,
    true,
    ['JWT'],
    {},
  ]) {
    t.equal(outcome(make({ ...header, typ })), 'token_type', JSON.stringify(typ))
  }
})

t.test('of a repeated header parameter the last one counts, as for the signature', async t => {
  t.equal(outcome(make('{"alg":"RS256","typ":"JWT","typ":"logout+jwt"}')), 'token_type')
  t.equal(parseToken(make('{"alg":"none","alg":"RS256"}')).alg, 'RS256')
})

t.test('header parameters', async t => {
  const table: Record<string, Part> = {
    crit: { ...header, crit: ['exp'] },
    'empty crit': { ...header, crit: [] },
    'b64 true': { ...header, b64: true },
    'b64 false': { ...header, b64: false, crit: ['b64'] },
    zip: { ...header, zip: 'DEF' },
    'zip null': { ...header, zip: null },
    'no alg': {},
    'alg null': { alg: null },
    'alg list': { alg: ['RS256'] },
    'kid number': { ...header, kid: 1 },
    'kid null': { ...header, kid: null },
    'kid object': { ...header, kid: {} },
  }
  for (const [what, head] of Object.entries(table))
    t.equal(outcome(make(head)), 'token_malformed', what)
  t.equal(outcome(make({ ...header, kid: '' })), 'parsed', 'an empty kid')
  t.equal(
    outcome(make({ ...header, jku: 'https://evil.example', cty: 'x' })),
    'parsed',
    'ignored ones',
  )
})

t.test('no refusal repeats the token', async t => {
  const secret = make({ ...header, typ: 'SECRET' }, '{"SECRET')
  try {
    parseToken(secret)
    t.fail('must throw')
  } catch (error) {
    const { message, cause } = Refusal.from(error)
    t.notMatch(message, 'SECRET')
    t.equal(cause, undefined)
  }
})
