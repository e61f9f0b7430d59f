import t from 'tap'
import { findCredential } from '../../lib/authenticate/credential.js'
import type { HeaderList } from '../../lib/exchange.js'
import { Refusal } from '../../lib/refusal.js'

const found = (headers: HeaderList, connection?: object): string => {
  try {
    const head = { protocol: 'HTTP/1.1', method: 'GET', target: '/api', headers, hasBody: false }
    const credential = findCredential({ ...head, protocol: 'HTTP/1.1' }, connection)
    return credential === undefined
      ? 'credential_missing'
      : `${credential.kind} ${credential.token.reveal()}`
  } catch (error) {
    return Refusal.from(error).code
  }
}

t.test('exactly one bearer token is a credential', async t => {
  const table: readonly (readonly [HeaderList, string])[] = [
    [[['Authorization', 'Bearer a.b.c']], 'bearer a.b.c'],
    [[['authorization', 'bearer a.b.c']], 'bearer a.b.c'],
    [[['AUTHORIZATION', 'BEARER a.b.c']], 'bearer a.b.c'],
    [
      [
        ['Accept', '*/*'],
        ['aUTHORIZATION', 'bEaReR x'],
      ],
      'bearer x',
    ],
    [[], 'credential_missing'],
    [[['Proxy-Authorization', 'Bearer a.b.c']], 'credential_missing'],
    [[['Authorization_', 'Bearer a.b.c']], 'credential_missing'],
    [[['X-Authorization', 'Bearer a.b.c']], 'credential_missing'],
    [[['Cookie', 'Authorization=Bearer a.b.c']], 'credential_missing'],
  ]
  for (const [headers, expected] of table)
    t.equal(found(headers), expected, JSON.stringify(headers))
})

t.test('two Authorization lines are never a credential, whatever they say', async t => {
  for (const [first, second] of [
    ['Bearer a.b.c', 'Bearer a.b.c'],
    ['Bearer a.b.c', 'Basic eDp5'],
    ['Basic eDp5', 'Bearer a.b.c'],
    ['', 'Bearer a.b.c'],
    ['Bearer a.b.c', ''],
    ['', ''],
  ] as const) {
    t.equal(
      found([
        ['Authorization', first],
        ['Accept', '*/*'],
        ['authorization', second],
      ]),
      'credential_ambiguous',
    )
  }
})

t.test('anything but scheme, one blank, token is malformed', async t => {
  for (const value of [
    'Bearer  a.b.c',
    'Bearer\ta.b.c',
    'Bearer a.b.c ',
    'Bearer a.b.c\n',
    'Bearer a.b.c, Bearer d.e.f',
    'Bearer a.b.c d.e.f',
    'Bearer a.b\u00a0.c',
    'Bearer a.b.\u00fc',
    'Bearer\u00a0a.b.c',
  ]) {
    t.equal(found([['Authorization', value]]), 'credential_malformed', JSON.stringify(value))
  }
  for (const value of [
    '',
    'Bearer',
    'Bearer ',
    ' Bearer a.b.c',
    'Bearer: a.b.c',
    'Bearera.b.c',
    'Basic YTpi',
    'Token a.b.c',
    'a.b.c',
  ]) {
    t.equal(found([['Authorization', value]]), 'credential_scheme', JSON.stringify(value))
  }
})

t.test('on one connection each request is read for itself', async t => {
  const connection = {}
  const table: readonly (readonly [HeaderList, string])[] = [
    [[['Authorization', 'Bearer a.b.c']], 'bearer a.b.c'],
    [[['Authorization', 'Bearer a.b.d']], 'bearer a.b.d'],
    [[['Authorization', 'Bearer a.b.c']], 'bearer a.b.c'],
    [[['Authorization', 'Bearer a.b.c']], 'bearer a.b.c'],
    [[], 'credential_missing'],
    [[['Authorization', 'Basic a.b.c']], 'credential_scheme'],
    [[['Authorization', 'Bearer a.b.c ']], 'credential_malformed'],
    [
      [
        ['Authorization', 'Bearer a.b.c'],
        ['Authorization', 'Bearer a.b.c'],
      ],
      'credential_ambiguous',
    ],
    [[['Authorization', 'Bearer a.b.c']], 'bearer a.b.c'],
  ]
  for (const [headers, outcome] of table) {
    t.equal(found(headers, connection), outcome, JSON.stringify(headers))
  }
  t.equal(found([['Authorization', 'Bearer a.b.d']], {}), 'bearer a.b.d', 'another connection')
})

t.test('a credential does not show its token', async t => {
  const credential = findCredential({
    protocol: 'HTTP/1.1',
    method: 'GET',
    target: '/api',
    headers: [['Authorization', 'Bearer top.secret.token']],
    hasBody: false,
  })
  t.notMatch(JSON.stringify(credential), 'secret')
})

const protocolOf = (token: string): string =>
  `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`
const authorization = ['Authorization', 'Bearer a.b.c'] as const
const protocols = (...values: readonly string[]): HeaderList =>
  values.map(value => ['Sec-WebSocket-Protocol', value])

const foundOn = (headers: HeaderList, upgrade?: string): string => {
  try {
    const found = findCredential({
      protocol: 'HTTP/1.1',
      method: 'GET',
      target: '/api',
      headers,
      hasBody: false,
      ...(upgrade !== undefined && { upgrade }),
    })
    return found === undefined ? 'credential_missing' : found.token.reveal()
  } catch (error) {
    return Refusal.from(error).code
  }
}

t.test('a WebSocket may carry its token as a subprotocol beside another', async t => {
  // Its base64 has both letters of the alphabet's end, and its length asks for padding.
  const odd = '~~~.???.>>>>'
  t.match(protocolOf(odd), /[-_]/)
  for (const [title, headers, expected] of [
    ['behind', protocols(`v5.channel.k8s.io, ${protocolOf('a.b.c')}`), 'a.b.c'],
    ['in front', protocols(`${protocolOf('a.b.c')}, v5.channel.k8s.io`), 'a.b.c'],
    ['in between', protocols(`a,${protocolOf('a.b.c')},b`), 'a.b.c'],
    ['on lines of their own', protocols('v5.channel.k8s.io', protocolOf('a.b.c')), 'a.b.c'],
    ['on the first line', protocols(protocolOf('a.b.c'), 'v5.channel.k8s.io'), 'a.b.c'],
    ['a name in lower case', [['sec-websocket-protocol', `a, ${protocolOf('a.b.c')}`]], 'a.b.c'],
    ['of every length', protocols(`a, ${protocolOf('a.b.cd')}`), 'a.b.cd'],
    ['of every letter', protocols(`a, ${protocolOf(odd)}`), odd],
    ['padded once', protocols(`a, ${protocolOf('a.b.c')}=`), 'a.b.c'],
    ['padded twice', protocols(`a, ${protocolOf('a.b.cd.e')}=`), 'a.b.cd.e'],
  ] as const satisfies ReadonlyArray<readonly [string, HeaderList, string]>) {
    t.equal(foundOn(headers, 'websocket'), expected, title)
  }
})

t.test('… and alone, like at the API server, it is malformed', async t => {
  const one = protocolOf('a.b.c')
  for (const values of [[one], [`${one}=`], [`${one}, `], [` ,, ${one}`], [one, '']]) {
    t.equal(foundOn(protocols(...values), 'websocket'), 'credential_malformed', values.join())
  }
})

t.test('two credentials are none, wherever they stand', async t => {
  const one = protocolOf('a.b.c')
  for (const [title, headers] of [
    ['two on a line', protocols(`v5, ${one}, ${one}`)],
    ['two on two lines', protocols(`v5, ${one}`, one)],
    ['two and nothing else', protocols(one, protocolOf('d.e.f'))],
    ['one beside Authorization', [authorization, ...protocols(`v5, ${one}`)]],
    ['one alone beside Authorization', [...protocols(one), authorization]],
    ['one that is no base64url beside Authorization', [authorization, ...protocols(`v5, ${one}!`)]],
    [
      'one beside a malformed Authorization',
      [['Authorization', 'Basic x'], ...protocols(`v5, ${one}`)],
    ],
  ] as const satisfies ReadonlyArray<readonly [string, HeaderList]>) {
    t.equal(foundOn(headers, 'websocket'), 'credential_ambiguous', title)
  }
})

t.test('what is not base64url of a token is malformed', async t => {
  const at = 'base64url.bearer.authorization.k8s.io.'
  for (const [title, protocol] of [
    ['nothing', at],
    ['padding alone', `${at}=`],
    ['base64 of another alphabet', `${at}${Buffer.from('~~~.???.>>>>').toString('base64')}`],
    ['a stray letter', `${protocolOf('a.b.c')}!`],
    ['a blank within', protocolOf('a.b.cd').replace(/(.)$/, ' $1')],
    ['three of padding', `${protocolOf('a.b.c')}===`],
    ['padding within', protocolOf('a.b.cd.e').replace(/(.)$/, '=$1')],
    ['bits too many', `${at}YQ`.replace('YQ', 'YR')],
    ['a token with a blank', protocolOf('a b')],
    ['a token with a line end', protocolOf('a.b.c\n')],
    ['a token beyond ASCII', protocolOf('a.b.\u00fc')],
    ['a zero', protocolOf('a.b.c\0')],
  ] as const) {
    t.equal(foundOn(protocols(`v5, ${protocol}`), 'websocket'), 'credential_malformed', title)
  }
})

t.test('anywhere else than on a WebSocket it is no credential', async t => {
  const both = protocols(`v5, ${protocolOf('a.b.c')}`)
  t.equal(foundOn(both), 'credential_missing')
  t.equal(foundOn(both, 'spdy/3.1'), 'credential_missing')
  t.equal(foundOn([authorization, ...both]), 'a.b.c', 'and does not stand in the way of one')
  t.equal(foundOn([authorization, ...both], 'spdy/3.1'), 'a.b.c')
  for (const name of ['Sec-WebSocket-Protocols', 'Sec_WebSocket_Protocol', 'X-Protocol']) {
    t.equal(
      foundOn([[name, `v5, ${protocolOf('a.b.c')}`]], 'websocket'),
      'credential_missing',
      name,
    )
  }
  for (const other of [
    'base64url.bearer.authorization.k8s.io',
    'Base64url.bearer.authorization.k8s.io.YS5iLmM',
    'x.base64url.bearer.authorization.k8s.io.YS5iLmM',
  ]) {
    t.equal(foundOn(protocols(`v5, ${other}`), 'websocket'), 'credential_missing', other)
  }
})
