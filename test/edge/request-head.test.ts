import t from 'tap'
import {
  auditId,
  maxHeaderBytes,
  maxHeaderLines,
  readHead,
  type ReceivedHead,
} from '../../lib/edge/request-head.js'
import type { RequestHead } from '../../lib/exchange.js'
import { Refusal } from '../../lib/refusal.js'

type Lines = readonly string[]
const host: Lines = ['Host', 'gateway.example']

const http1 = (lines: Lines, about: Partial<ReceivedHead> = {}): ReceivedHead => ({
  protocol: 'HTTP/1.1',
  method: 'GET',
  target: '/api',
  rawHeaders: lines,
  ...about,
})
const http2 = (lines: Lines, about: Partial<ReceivedHead> = {}): ReceivedHead =>
  http1([':method', 'GET', ':scheme', 'https', ':path', '/api', ...lines], {
    protocol: 'HTTP/2.0',
    bodyFollows: false,
    ...about,
  })
const named: Lines = [':authority', 'gateway.example']

const judged = (received: ReceivedHead): RequestHead | string => {
  try {
    return readHead(received)
  } catch (error) {
    return error instanceof Refusal ? error.code : String(error)
  }
}

t.test('a head is passed on as it came: target, case, order, repeats, bytes', async t => {
  const target = '/api/v1/../%2e%2E//x;y?a=%00&b="<>|\\^`{}'
  const lines = [...host, 'X-a', '1', 'x-A', 'J\xf6', 'Connection', 'keep-alive']
  t.strictSame(readHead(http1(lines, { method: 'PATCH', target })), {
    protocol: 'HTTP/1.1',
    method: 'PATCH',
    target,
    headers: [
      ['Host', 'gateway.example'],
      ['X-a', '1'],
      ['x-A', 'J\xf6'],
      ['Connection', 'keep-alive'],
    ],
    hasBody: false,
  })
  t.strictSame(readHead(http2([...named, 'te', 'trailers', 'x-a', '1'])), {
    protocol: 'HTTP/2.0',
    method: 'GET',
    target: '/api',
    headers: [
      ['te', 'trailers'],
      ['x-a', '1'],
    ],
    hasBody: false,
  })
})

t.test('a body is announced by framing, not by method', async t => {
  const hasBody = (received: ReceivedHead): boolean => readHead(received).hasBody
  t.equal(hasBody(http1([...host, 'Content-Length', '1'])), true)
  t.equal(hasBody(http1([...host, 'Transfer-Encoding', 'Chunked'])), true)
  t.equal(hasBody(http1([...host, 'content-length', '0'], { method: 'POST' })), false)
  t.equal(hasBody(http1(host, { method: 'POST' })), false)
  t.equal(hasBody(http2(named, { bodyFollows: true })), true)
  t.equal(hasBody(http2([...named, 'content-length', '5'])), false)
})

t.test('an upgrade is one where both fields say so', async t => {
  const asked = (lines: Lines, about?: Partial<ReceivedHead>): string | undefined =>
    readHead(http1([...host, ...lines], about)).upgrade
  t.equal(asked(['Connection', 'Upgrade', 'Upgrade', 'WebSocket']), 'websocket')
  t.equal(asked(['connection', 'keep-alive, upgrade', 'upgrade', 'SPDY/3.1']), 'spdy/3.1')
  t.equal(
    asked(['Connection', 'keep-alive', 'Connection', 'upgrade', 'Upgrade', 'websocket']),
    'websocket',
  )
  t.equal(asked(['Upgrade', 'websocket']), undefined)
  t.equal(asked(['Upgrade', 'h2c', 'Connection', 'HTTP2-Settings']), undefined)
  t.equal(asked(['Connection', 'upgrade']), undefined)
  t.equal(
    asked(['Connection', 'upgrade', 'Upgrade', 'websocket'], { protocol: 'HTTP/1.0' }),
    undefined,
  )
})

t.test('every head that two programs could read differently is refused', async t => {
  const upgrading: Lines = [...host, 'Connection', 'Upgrade']
  const table: ReadonlyArray<readonly [expected: string, title: string, received: ReceivedHead]> = [
    ['request_malformed', 'HTTP/0.9', http1(host, { protocol: 'HTTP/0.9' })],
    ['request_malformed', 'HTTP/1.2', http1(host, { protocol: 'HTTP/1.2' })],
    ['request_malformed', 'HTTP/2.0 of another kind', http1(host, { protocol: 'HTTP/2' })],
    ['method_not_allowed', 'CONNECT', http1(host, { method: 'CONNECT', target: 'a:443' })],
    ['method_not_allowed', 'TRACE', http1(host, { method: 'TRACE' })],
    ['method_not_allowed', 'CONNECT over HTTP/2', http2(named, { method: 'CONNECT', target: '' })],
    ['request_malformed', 'no method', http1(host, { method: '' })],
    ['request_malformed', 'a method with a blank', http1(host, { method: 'GET /x' })],
    ['request_malformed', 'a method with a line end', http2(named, { method: 'GET\r\nX: y' })],
    ...(
      [
        ['absolute-form', 'http://evil.example/api'],
        ['absolute-form, https', 'https://gateway.example/api'],
        ['asterisk-form', '*'],
        ['authority-form', 'evil.example:443'],
        ['an authority', '//evil.example/api'],
        ['an authority alone', '//'],
        ['a fragment', '/api#x'],
        ['a fragment at once', '/#'],
        ['no slash', 'api'],
        ['nothing', ''],
        ['a query alone', '?a'],
        ['a blank', '/a b'],
        ['a tab', '/a\tb'],
        ['a line end', '/a\r\nHost: x'],
        ['a control character', '/a\x7f'],
        ['a zero', '/a\0'],
        ['beyond ASCII', '/\xe9'],
        ['a backslash first', '\\\\evil.example'],
      ] as const
    ).flatMap(
      ([title, target]) =>
        [
          ['request_target', title, http1(host, { target })],
          ['request_target', `${title}, HTTP/2`, http2(named, { target })],
        ] as const,
    ),
    ['request_authority', 'no Host', http1([])],
    ['request_authority', 'two Hosts', http1([...host, 'host', 'evil.example'])],
    ['request_authority', 'the same Host twice', http1([...host, ...host])],
    [
      'request_authority',
      'two Hosts in HTTP/1.0',
      http1([...host, ...host], { protocol: 'HTTP/1.0' }),
    ],
    ['request_authority', 'an empty Host', http1(['Host', ''])],
    ['request_authority', 'a Host with a path', http1(['Host', 'a/b'])],
    ['request_authority', 'a Host with a user', http1(['Host', 'a@b'])],
    ['request_authority', 'a Host with a blank', http1(['Host', 'a b'])],
    ['request_authority', 'a list of Hosts', http1(['Host', 'a, b@c'])],
    ['request_authority', 'no :authority and no Host', http2([])],
    ['request_authority', ':authority unlike Host', http2([...named, 'host', 'evil.example'])],
    ['request_authority', 'a malformed :authority', http2([':authority', 'a/b'])],
    ['request_authority', 'an empty :authority', http2([':authority', ''])],
    [
      'request_authority',
      'two Hosts in HTTP/2',
      http2([...named, 'host', 'gateway.example', 'host', 'x']),
    ],
    ['request_framing', 'a length with a sign', http1([...host, 'Content-Length', '+1'])],
    ['request_framing', 'a negative length', http1([...host, 'Content-Length', '-1'])],
    ['request_framing', 'a hexadecimal length', http1([...host, 'Content-Length', '0x1'])],
    ['request_framing', 'a list of lengths', http1([...host, 'Content-Length', '1, 1'])],
    ['request_framing', 'an empty length', http1([...host, 'Content-Length', ''])],
    [
      'request_framing',
      'a length out of range',
      http1([...host, 'Content-Length', '9'.repeat(16)]),
    ],
    [
      'request_framing',
      'two lengths',
      http1([...host, 'Content-Length', '1', 'content-length', '1']),
    ],
    [
      'request_framing',
      'length and chunks',
      http1([...host, 'Content-Length', '1', 'Transfer-Encoding', 'chunked']),
    ],
    [
      'request_framing',
      'length 0 and chunks',
      http1([...host, 'Content-Length', '0', 'Transfer-Encoding', 'chunked']),
    ],
    [
      'request_framing',
      'two codings',
      http1([...host, 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']),
    ],
    [
      'request_framing',
      'a coding before chunked',
      http1([...host, 'Transfer-Encoding', 'gzip, chunked']),
    ],
    ['request_framing', 'identity', http1([...host, 'Transfer-Encoding', 'identity'])],
    ['request_framing', 'a padded coding', http1([...host, 'Transfer-Encoding', 'chunked\x0b'])],
    [
      'request_framing',
      'chunks in HTTP/1.0',
      http1([...host, 'Transfer-Encoding', 'chunked'], { protocol: 'HTTP/1.0' }),
    ],
    ['expectation_failed', 'another expectation', http1([...host, 'Expect', 'a-miracle'])],
    ['expectation_failed', 'two expectations', http1([...host, 'Expect', '100-continue, x'])],
    ['upgrade_protocol', 'h2c', http1([...upgrading, 'Upgrade', 'h2c'])],
    ['upgrade_protocol', 'a list of protocols', http1([...upgrading, 'Upgrade', 'websocket, h2c'])],
    [
      'upgrade_protocol',
      'websocket twice',
      http1([...upgrading, 'Upgrade', 'websocket', 'Upgrade', 'websocket']),
    ],
    ['upgrade_protocol', 'TLS', http1([...upgrading, 'Upgrade', 'TLS/1.0'])],
    ['upgrade_protocol', 'nothing', http1([...upgrading, 'Upgrade', ''])],
    [
      'upgrade_body',
      'an upgrade with a length',
      http1([...upgrading, 'Upgrade', 'websocket', 'Content-Length', '1']),
    ],
    [
      'upgrade_body',
      'an upgrade in chunks',
      http1([...upgrading, 'Upgrade', 'websocket', 'Transfer-Encoding', 'chunked']),
    ],
    ['request_malformed', 'a name that is no token', http2([...named, 'a b', '1'])],
    ['request_malformed', 'a name with a line end', http2([...named, 'a\r\nb', '1'])],
    ['request_malformed', 'an empty name', http2([...named, '', '1'])],
    [
      'request_malformed',
      'a value with a line end',
      http2([...named, 'a', '1\r\nimpersonate-user: root']),
    ],
    ['request_malformed', 'a value with a zero', http2([...named, 'a', '1\0'])],
    ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
      name => ['request_malformed', `${name} in HTTP/2`, http2([...named, name, 'x'])] as const,
    ),
    ['request_malformed', 'te other than trailers', http2([...named, 'te', 'gzip'])],
  ]
  for (const [expected, title, received] of table) t.equal(judged(received), expected, title)
})

t.test('what HTTP/1.0 and HTTP/2 may leave out is not missed', async t => {
  t.type(judged(http1([], { protocol: 'HTTP/1.0' })), 'object', 'HTTP/1.0 without Host')
  t.type(judged(http2(['host', 'gateway.example'])), 'object', 'Host instead of :authority')
  t.type(judged(http2([...named, 'host', 'GATEWAY.example'])), 'object', 'Host in another case')
  t.type(judged(http1([...host, 'Expect', '100-Continue'])), 'object')
  t.type(judged(http1(['Host', '[::1]:8443'])), 'object')
})

const filled = (lines: number, bytes: number): Lines => {
  const list: string[] = [...host]
  while (list.length < 2 * lines) list.push('x', '')
  const size = list.reduce((sum, part) => sum + part.length, 0) + 2 * list.length
  list[list.length - 1] = 'v'.repeat(bytes - size)
  return list
}

t.test('a thousand lines pass, one more does not', async t => {
  t.equal(maxHeaderLines, 1_000)
  t.type(judged(http1(filled(1_000, 10_000))), 'object')
  t.equal(judged(http1(filled(1_001, 10_000))), 'headers_too_large')
  // Of HTTP/2 the same fields count, `:authority` as the `Host` that it is.
  const fields = (lines: number): Lines => [
    ':authority',
    'gateway.example',
    ...filled(lines, 10_000).slice(2),
  ]
  t.type(judged(http2(fields(1_000))), 'object')
  t.equal(judged(http2(fields(1_001))), 'headers_too_large')
})

t.test('128 KiB of header pass, one byte more does not', async t => {
  t.equal(maxHeaderBytes, 131_072)
  t.type(judged(http1(filled(2, 131_071))), 'object')
  t.type(judged(http1(filled(2, 131_072))), 'object')
  t.equal(judged(http1(filled(2, 131_073))), 'headers_too_large')
})

t.test("the client's Audit-ID is kept when it is one UUID, else there is a new one", async t => {
  const mine = '0B7C2B1E-4f0e-4a86-b8c5-6ba2d4b0b0a1'
  t.equal(auditId(['Audit-ID', mine]), mine)
  t.equal(auditId(['x', 'y', 'audit-id', mine]), mine)
  const fresh = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  for (const lines of [
    [],
    ['Audit-ID', 'x'],
    ['Audit-ID', `${mine} `],
    ['Audit-ID', `{${mine}}`],
    ['Audit-ID', `${mine}\r\nx`],
    ['Audit-ID', mine, 'audit-id', mine],
  ]) {
    t.match(auditId(lines), fresh, JSON.stringify(lines))
    t.not(auditId(lines), auditId(lines))
  }
})
