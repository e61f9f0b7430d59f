/*
 * T42: a client writes its own trail: another address in `X-Forwarded-For`, somebody else's `Audit-ID`, or
 * one that two logs read differently (Pinniped: "ignores forwarded header"). Upstream goes one address, the
 * peer's, and one UUID, which stands in log and answer too. What a client says of itself, it may say.
 */
import t from 'tap'
import type { HeaderLines } from '../actors/http1.js'
import { rawRequest } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'
import {
  askOver,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  lastArrived,
  protocols,
} from './clients.js'

const mine = '0F3c9d2a-1111-4222-8333-444455556666'

/** Header lines, and whether the `Audit-ID` among them is taken over. */
const claims: ReadonlyArray<readonly [lines: HeaderLines, kept: boolean]> = [
  [[['Audit-ID', mine]], true],
  [[['audit-id', mine]], true],
  [[['Audit-ID', 'x']], false],
  [[['Audit-ID', '']], false],
  [[['Audit-ID', `{${mine}}`]], false],
  [[['Audit-ID', mine.replaceAll('-', '')]], false],
  [[['Audit-ID', `${mine}, ${mine}`]], false],
  [[['Audit-ID', `${mine}"},{"user":"bob`]], false],
  [[['Audit-ID', 'x'.repeat(5_000)]], false],
  [
    [
      ['Audit-ID', mine],
      ['audit-id', '11111111-1111-4111-8111-111111111111'],
    ],
    false,
  ],
  [
    [
      ['audit-id', '11111111-1111-4111-8111-111111111111'],
      ['Audit-ID', mine],
    ],
    false,
  ],
  [[['Audit_ID', mine]], false],
  [[['Audit%2dID', mine]], false],
]
const forged: HeaderLines = [
  ['X-Forwarded-For', '10.0.0.1'],
  ['X-Forwarded-For', '10.0.0.2, 10.0.0.3'],
  ['X-Forwarded-Host', 'x'],
  ['X-Real-IP', '10.0.0.1'],
  ['Forwarded', 'for=10.0.0.1'],
]
const own: HeaderLines = [
  ['user-agent', 'kubectl/v1.35.2 "quoted" José'],
  ['x-request-id', 'theirs'],
]

t.test('the trail of a request is one, and not of the client’s making', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer, api, gateway, target } = world
  const token = issuer.sign({ groups: ['dev'] })
  const identity = [...impersonationLines(`${issuer.url}#alice`, ['dev']), ...gatewayCredential]
  // What the API server says of ids and headers of ours must not stand beside what we say.
  api.respondWith((_, answer) => answer.reply(200, { 'Audit-Id': ['theirs', mine] }, { ok: true }))
  for (const [lines, kept] of claims) {
    for (const protocol of protocols) {
      const headers = [...own, ...lines, ...forged]
      const reply = await askOver(protocol, world, { token, headers })
      const ids = reply.headers.filter(([name]) => name.toLowerCase() === 'audit-id')
      t.equal(ids.length, 1, 'the answer has one id')
      const id = ids[0]?.[1] ?? ''
      t.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i)
      t.equal(id === mine, kept, JSON.stringify(lines).slice(0, 80))
      t.strictSame(
        lastArrived(world).map(([name, value]) => [name, value === '<uuid>' ? id : value]),
        [
          ...connectionLines,
          ...own.map(([name, value]) => [name, value]),
          ['X-Forwarded-For', '127.0.0.1'],
          ['Audit-ID', id],
          ...identity,
        ],
        protocol,
      )
      t.strictSame(api.forwarded.at(-1)?.values('audit-id'), [id], 'upstream has the same id')
      if (kept) continue
      const line = await gateway.waitForLog(({ auditID }) => auditID === id)
      t.match(line, { peer: '127.0.0.1', status: 200, user: `${issuer.url}#alice` })
    }
  }

  for (const [what, bytes] of [
    ['no credential', `GET / HTTP/1.1\r\nHost: x\r\nAudit-ID: ${mine}\r\n\r\n`],
    ['malformed', `GET //x HTTP/1.1\r\nHost: x\r\nAudit-ID: ${mine}\r\n\r\n`],
  ] as const) {
    const { response } = await rawRequest({ ...target, bytes })
    t.strictSame(response?.values('audit-id'), [mine], `a refusal carries it too: ${what}`)
  }
  const unread = await rawRequest({ ...target, bytes: 'nonsense\r\n\r\n' })
  t.match(unread.response?.values('audit-id').join(), /^[0-9a-f-]{36}$/)

  const injected = `a\tb\\u000a{"msg":"request","user":"bob"}`
  await world.ask({ token, path: '/api/%0a%0d', headers: [['User-Agent', injected]] })
  const before = api.forwarded.at(-1)?.values('audit-id')[0]
  await gateway.waitForLog(({ auditID }) => auditID === before)
  t.notOk(gateway.logs.some(({ user, text }) => user === 'bob' || text !== undefined))
  t.strictSame(api.faults, [])
})
