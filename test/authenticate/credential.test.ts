import t from 'tap'
import { findCredential } from '../../lib/authenticate/credential.js'
import type { HeaderList } from '../../lib/exchange.js'
import { Refusal } from '../../lib/refusal.js'

const found = (headers: HeaderList): string => {
  try {
    const credential = findCredential({
      protocol: 'HTTP/1.1',
      method: 'GET',
      target: '/api',
      headers,
      hasBody: false,
    })
    return `${credential.kind} ${credential.token.reveal()}`
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
    '',
    'Bearer',
    'Bearer ',
    'Bearer  a.b.c',
    'Bearer\ta.b.c',
    'Bearer a.b.c ',
    ' Bearer a.b.c',
    'Bearer a.b.c\n',
    'Bearer a.b.c, Bearer d.e.f',
    'Bearer a.b.c d.e.f',
    'Bearer a.b\u00a0.c',
    'Bearer a.b.\u00fc',
    'Bearer: a.b.c',
    'Bearera.b.c',
    'Basic YTpi',
    'Token a.b.c',
    'a.b.c',
    'Bearer\u00a0a.b.c',
  ]) {
    t.equal(found([['Authorization', value]]), 'credential_malformed', JSON.stringify(value))
  }
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
