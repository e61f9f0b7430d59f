/*
 * T06: HTTP/2 frames its fields by length and can say what HTTP/1 cannot: line ends in a value, a colon in
 * a name, a length that the body does not have. Written out as HTTP/1 they become fields or requests of the
 * attacker's own (the HTTP/2 desync class: CVE-2021-33193, CVE-2021-21295, CVE-2021-36740).
 */
import t, { type Test } from 'tap'
import { connectH2Frames, requestFields, type H2Response } from '../actors/h2-frames.js'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld, type World } from '../actors/world.js'
import {
  callerCredential,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  lastArrived,
  originLines,
} from './clients.js'
import { answered2, badRequest2, status } from './status.js'

const protocolError = 1

/** How a stream ended: by a refusal, by a reset, with the connection, or well. */
function ending(response: H2Response): string {
  if (response.status !== 0) return String(response.status)
  if (response.rstCode !== undefined) return `reset ${String(response.rstCode)}`
  return response.goaway === undefined ? response.closed : `goaway ${String(response.goaway)}`
}

/** Fields that Node's HTTP/2 leaves out before anybody sees them; what is left decides. */
const leftOut: HeaderLines = [
  ['x-a', 'b\r\nimpersonate-user: bob'],
  ['x-a', 'b\nimpersonate-user: bob'],
  ['x-a', 'b\rimpersonate-user: bob'],
  ['x-a', 'b\0'],
  ['x-a', 'b\x7f'],
  ['x-a: b\r\nimpersonate-user', 'bob'],
  ['x-a:\r\n\r\nGET /smuggled HTTP/1.1\r\nx', 'b'],
  ['impersonate-user: bob\r\nx', 'b'],
  ['impersonate-user ', 'bob'],
  [' impersonate-user', 'bob'],
  ['impersonate-user:', 'bob'],
  ['x a', 'b'],
  ['x\0', 'b'],
  ['', 'b'],
  ['Impersonate-User', 'bob'],
  ['X-Upper', 'b'],
  ['Authorization', 'Bearer other'],
  ['host', 'x\r\nimpersonate-user: bob'],
]

/** Fields that HTTP/2 does not have (RFC 9113, 8.2.2, 8.3), each among good ones. */
const malformed: HeaderLines = [
  [':unknown', 'x'],
  [':status', '200'],
  [':path', '/other'],
  [':method', 'POST'],
  [':authority', 'other'],
  [':protocol', 'websocket'],
  ['connection', 'impersonate-user'],
  ['connection', 'close'],
  ['keep-alive', 'timeout=5'],
  ['proxy-connection', 'close'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['te', 'gzip'],
  ['content-length', '2'],
  ['content-length', '-1'],
  ['content-length', '1, 1'],
  ['content-length', 'x'],
  ['host', 'other.example'],
]

/** Whole sets of pseudo-header fields. */
const pseudo: readonly HeaderLines[] = [
  [],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'x'],
  ],
  [
    [':method', 'GET'],
    [':authority', 'x'],
    [':path', '/api'],
  ],
  [
    [':scheme', 'https'],
    [':authority', 'x'],
    [':path', '/api'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/api'],
  ],
  ...[
    '',
    '*',
    'api',
    '//x',
    'https://x/api',
    '/a b',
    '/a#b',
    '/a\r\nb: c',
    '/a\0',
    '/a\xff',
    '/\t',
  ].map(path => requestFields('GET', path, 'x')),
  ...['', 'x y', 'a@x', 'x/y', 'x\r\na: b', 'x#'].map(authority =>
    requestFields('GET', '/api', authority),
  ),
  ...['', 'G T', 'GET / HTTP/1.1\r\na: b\r\n\r\nGET', 'GET\0', 'get\n'].map(method =>
    requestFields(method, '/api', 'x'),
  ),
]

async function checks(t: Test, world: World, token: string, identity: HeaderLines) {
  const { api, target } = world
  const credential: HeaderLines = [['authorization', `Bearer ${token}`]]
  const base = requestFields('GET', '/api', 'x', credential)
  const ask = async (fields: HeaderLines): Promise<H2Response> => {
    const client = await connectH2Frames(target)
    await client.headers(1, fields)
    const response = await client.response(1)
    client.destroy()
    return response
  }
  const good = [...connectionLines, ...originLines, ...identity]
  for (const field of leftOut) {
    const before = api.forwarded.length
    const response = await ask([...base, field])
    const how = ending(response)
    t.match(how, /^(200|400|reset 1|goaway 1)$/, JSON.stringify(field))
    t.equal(api.forwarded.length, how === '200' ? before + 1 : before)
    if (how === '200') t.strictSame(lastArrived(world), good, JSON.stringify(field))
  }

  const before = api.forwarded.length
  for (const field of malformed) {
    const response = await ask([...base, field])
    t.match(ending(response), /^(400|reset 1|goaway 1)$/, JSON.stringify(field))
    if (response.status !== 0) t.strictSame(answered2(response), badRequest2)
  }
  for (const fields of pseudo) {
    const response = await ask([...fields, ...credential])
    t.match(ending(response), /^(400|reset 1|goaway 1)$/, JSON.stringify(fields))
    if (response.status !== 0) t.strictSame(answered2(response), badRequest2)
  }
  t.match(
    ending(await ask([...credential, ...base])),
    /^(400|reset 1)$/,
    'pseudo-fields come first',
  )
  t.equal(api.forwarded.length, before, 'nothing of these went on')
  t.strictSame(api.faults, [])
}

t.test('in the gateway mode no field can say more than itself', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer, api, target } = world
  const token = issuer.sign({ groups: ['dev'] })
  const identity = [...impersonationLines(`${issuer.url}#alice`, ['dev']), ...gatewayCredential]
  await checks(t, world, token, identity)

  const credential: HeaderLines = [['authorization', `Bearer ${token}`]]
  const client = await connectH2Frames(target)
  t.teardown(() => client.destroy())
  let stream = -1
  const post = async (fields: HeaderLines, body: string): Promise<H2Response> => {
    stream += 2
    await client.headers(stream, requestFields('POST', '/api', 'x', [...credential, ...fields]), {
      open: true,
    })
    await client.data(stream, body)
    return client.response(stream)
  }

  for (const [length, body] of [
    ['1', '{}'],
    ['0', '{}'],
    ['3', '{}'],
    ['300', '{}'],
  ] as const) {
    const reached = api.forwarded.length
    const response = await post([['content-length', length]], body)
    t.equal(ending(response), `reset ${String(protocolError)}`, `${length} for ${body}`)
    for (const request of api.forwarded.slice(reached)) await t.rejects(request.whole)
  }
  t.equal((await post([['content-length', '2']], '{}')).status, 200)
  t.strictSame(lastArrived(world), [
    ...connectionLines,
    ...originLines,
    ...identity,
    ['content-length', '2'],
  ])

  t.equal((await post([], '')).status, 200, 'a body may turn out to be empty')
  t.equal(String(await api.forwarded.at(-1)?.whole), '')

  const cookies = await post(
    [
      ['cookie', 'a=b'],
      ['cookie', 'c=d'],
      ['te', 'trailers'],
      ['x-a', ''],
      ['x-a', 'José'],
    ],
    '',
  )
  t.equal(cookies.status, 200, 'the connection is still good')
  t.strictSame(lastArrived(world).slice(2, 5), [
    ['cookie', 'a=b; c=d'],
    ['x-a', ''],
    ['x-a', 'José'],
  ])

  const large = status(431, 'RequestHeaderFieldsTooLarge', 'the request header is too large')
  const reached = api.forwarded.length
  const lines = (count: number, value: string): HeaderLines =>
    requestFields('GET', '/api', 'x', [
      ...credential,
      ...Array.from({ length: count }, (_, n) => [`x-${String(n)}`, value] as const),
    ])
  for (const [fields, title] of [
    [lines(1_001, 'v'), 'over 1,000 lines'],
    [lines(5_000, 'v'), '5,000 lines'],
    [lines(70, 'v'.repeat(2_000)), 'over 128 KiB'],
  ] as const) {
    const other = await connectH2Frames(target)
    await other.headers(1, fields)
    t.strictSame(answered2(await other.response(1)), large, title)
    other.destroy()
  }
  t.equal(api.forwarded.length, reached)
  t.equal((await askWith(world, lines(900, 'v'))).status, 200, '900 lines are fine')
  for (const method of ['CONNECT', 'TRACE']) {
    const fields =
      method === 'CONNECT'
        ? [[':method', method] as const, [':authority', 'evil.example:443'] as const, ...credential]
        : requestFields(method, '/api', 'x', credential)
    t.equal((await askWith(world, fields)).status, 405, method)
  }
  t.equal((await askWith(world, [...lines(0, ''), ['expect', '200-ok']])).status, 417)
  t.strictSame(api.faults, [])
})

async function askWith({ target }: World, fields: HeaderLines): Promise<H2Response> {
  const client = await connectH2Frames(target)
  await client.headers(1, fields)
  const response = await client.response(1)
  client.destroy()
  return response
}

t.test('in the caller mode neither', async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  const token = world.issuer.sign({ groups: ['dev'] })
  await checks(t, world, token, callerCredential(token))
})
