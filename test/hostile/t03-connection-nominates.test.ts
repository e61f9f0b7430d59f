/*
 * T03: `Connection` names header fields that a proxy must take out. A proxy that writes its own fields
 * first and then obeys takes them out again: CVE-2021-31999 (Rancher), CVE-2022-23652 (capsule-proxy),
 * CVE-2021-33197 and golang/go#50580 (net/http/httputil), CVE-2025-48865 (Fabio). With the identity gone,
 * the request would run as the gateway itself.
 */
import t, { type Test } from 'tap'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld, type World } from '../actors/world.js'
import {
  arrived,
  callerCredential,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  lastArrived,
  originLines,
} from './clients.js'

const nominations: readonly HeaderLines[] = [
  [['Connection', 'Impersonate-User, Authorization']],
  [
    [
      'Connection',
      'keep-alive, Impersonate-Group, impersonate-user, X-Forwarded-For, Audit-ID, Host',
    ],
  ],
  [
    ['connection', 'close,Impersonate-User'],
    ['CONNECTION', ' \tAUTHORIZATION ,, impersonate-group,'],
  ],
  [['Proxy-Connection', 'Impersonate-User, Authorization']],
  [['Keep-Alive', 'Impersonate-User, Authorization']],
  [['Connection', 'Connection, Keep-Alive, TE, Transfer-Encoding, Content-Type, Impersonate-User']],
]

async function checks(t: Test, world: World, token: string, identity: HeaderLines): Promise<void> {
  for (const headers of nominations) {
    const { response } = await world.ask({ token, headers })
    t.equal(response?.status, 200)
    t.strictSame(
      lastArrived(world),
      [...connectionLines, ...originLines, ...identity],
      JSON.stringify(headers),
    )
  }
  const { response } = await world.ask({
    token,
    method: 'POST',
    headers: [
      ['X-Private', 'mine'],
      ['Connection', 'x-private, Content-Length'],
      ['X-Kept', 'yes'],
      ['Content-Length', '2'],
    ],
    body: '{}',
  })
  t.equal(response?.status, 200)
  const last = world.api.forwarded.at(-1)
  if (!last) throw new Error('nothing was forwarded')
  t.strictSame(
    arrived(last, world.api.port).filter(
      ([name]) => !/^(content-length|transfer-encoding)$/i.test(name),
    ),
    [...connectionLines, ['X-Kept', 'yes'], ...originLines, ...identity],
    'what is nominated of the client goes, and the body keeps its frame',
  )
  t.equal(last.body.toString(), '{}')
  t.strictSame(world.api.faults, [])
}

t.test('in the gateway mode what Connection names cannot be what the gateway writes', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  await checks(t, world, issuer.sign({ groups: ['dev'] }), [
    ...impersonationLines(`${issuer.url}#alice`, ['dev']),
    ...gatewayCredential,
  ])
})

t.test('in the caller mode neither', async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  const { issuer, api } = world
  const known = issuer.sign({ groups: ['dev'] })
  await checks(t, world, known, callerCredential(known))
  api.know(undefined)
  const foreign = issuer.sign({ groups: ['dev'], jti: 'foreign' })
  await checks(t, world, foreign, [
    ...callerCredential(foreign),
    ...impersonationLines(`${issuer.url}#alice`, ['dev']),
  ])
})
