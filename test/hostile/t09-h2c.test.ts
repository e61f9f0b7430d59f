/*
 * T09: a client upgrades its connection to a protocol that the gateway does not look into (`h2c`: HTTP/2 in the
 * clear), and asks the API server in it for what it likes, with the identity of the first request. Precedents:
 * golang/go#80416, #16875, and every proxy that passed `Upgrade` on. Two protocols pass, `websocket` and
 * `SPDY/3.1`, whose content the API server itself takes for one request's; everything else is a 400 before
 * anybody is asked who is calling.
 */
import t from 'tap'
import type { HeaderLines } from '../actors/http1.js'
import { rawRequest } from '../actors/raw-client.js'
import { answered, closing, status } from './status.js'
import { exec, modes, startedIn, upgradeBytes } from './upgrades.js'

const protocol = status(400, 'BadRequest', 'this protocol cannot be upgraded to', closing)
const malformed = status(400, 'BadRequest', '<why>', closing)
const body = status(400, 'BadRequest', 'an upgrade must not carry a body', closing)

for (const mode of modes) {
  t.test(`no other protocol is upgraded to (${mode} mode)`, async t => {
    const world = await startedIn(t, mode)
    const { api, target } = world
    const ask = async (headers: HeaderLines, { method = 'GET', path = exec, rest = '' } = {}) => {
      const bytes = upgradeBytes(world, { method, path, headers }) + rest
      return rawRequest({ ...target, bytes, untilClosed: true, timeoutMs: 10_000 })
    }
    const up = ['Connection', 'Upgrade'] as const
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

    for (const value of [
      'h2c',
      'H2C',
      'h2',
      'TLS/1.0',
      'HTTP/2.0',
      'SPDY/3',
      'SPDY/3.1.0',
      'spdy',
      'websockets',
      'web socket',
      'websocket/13',
      'websocket, h2c',
      'h2c, websocket',
      'websocket,',
      'websocket;q=1',
      '"websocket"',
      'websocket\t',
      '',
      'connect-udp',
    ]) {
      // Blanks around a value are no part of it (RFC 9112, 5.1).
      if (value.trim() === 'websocket') continue
      const settings = ['HTTP2-Settings', 'AAMAAABkAAQAAP__'] as const
      for (const path of [exec, '/api']) {
        const exchange = await ask(
          [['Connection', 'Upgrade, HTTP2-Settings'], ['Upgrade', value], settings],
          { path, rest: preface },
        )
        t.strictSame(answered(exchange), protocol, JSON.stringify(value))
        t.equal(exchange.responses.length, 1)
      }
    }
    for (const two of [
      ['websocket', 'h2c'],
      ['h2c', 'websocket'],
      ['websocket', 'websocket'],
      ['SPDY/3.1', 'websocket'],
    ]) {
      const lines = two.map(value => ['Upgrade', value] as const)
      t.strictSame(answered(await ask([up, ...lines])), protocol, two.join(' and '))
    }
    for (const [title, fields, rest] of [
      ['a length', [['Content-Length', '4']], 'body'],
      ['chunks', [['Transfer-Encoding', 'chunked']], '4\r\nbody\r\n0\r\n\r\n'],
    ] as const) {
      for (const method of ['GET', 'POST']) {
        const headers = [up, ['Upgrade', 'websocket'], ...fields] as const
        t.strictSame(
          answered(await ask(headers, { method, rest })),
          body,
          `${method} with ${title}`,
        )
      }
    }
    // The option is there, and Node's parser does not see it.
    for (const options of ['Upgrade\t', 'Upgrade \t ', 'Upgrade\t, keep-alive']) {
      const headers = [
        ['Connection', options],
        ['Upgrade', 'websocket'],
      ] as const
      t.strictSame(answered(await ask(headers)), malformed, JSON.stringify(options))
    }
    t.strictSame(api.connections, [], 'the API server has heard of none of them')

    // What asks for nothing, or says that it does not, is an ordinary request, and `Upgrade` goes no further.
    for (const [title, headers] of [
      ['Upgrade without Connection', [['Upgrade', 'websocket']]],
      ['h2c without Connection', [['Upgrade', 'h2c']]],
      [
        'Upgrade beside another option',
        [
          ['Connection', 'keep-alive'],
          ['Upgrade', 'h2c'],
        ],
      ],
      ['Connection without Upgrade', [up]],
      [
        'an option that only begins so',
        [
          ['Connection', 'Upgrades'],
          ['Upgrade', 'websocket'],
        ],
      ],
    ] as const satisfies ReadonlyArray<readonly [string, HeaderLines]>) {
      const before = api.forwarded.length
      const { response } = await world.ask({ path: '/api', headers })
      t.strictSame([response?.status, response?.json()], [200, { ok: true }], title)
      const sent = api.forwarded[before]
      t.strictSame(
        [sent?.values('upgrade'), sent?.values('connection')],
        [[], ['keep-alive']],
        title,
      )
    }
    t.strictSame(api.faults, [])
  })
}
