/*
 * T02: a client writes itself the header fields that say who is calling. Where one survives beside ours,
 * the client acts as whoever it likes: kube-apiserver's own tests, Pinniped's impersonator and
 * kube-oidc-proxy each guard against it. None may pass, in any mode, over any protocol, in any spelling
 * that some server behind us could fold into the real one.
 */
import t from 'tap'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld } from '../actors/world.js'
import {
  askOver,
  callerCredential,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  lastArrived,
  originLines,
  protocols,
} from './clients.js'
import { shown, status } from './status.js'

const warning = '299 - "impersonation-gateway ignored the Impersonate-* headers of this request"'

/** Each of them says who is calling, to some program. */
const impersonation: HeaderLines = [
  ['Impersonate-User', 'system:admin'],
  ['impersonate-user', 'bob'],
  ['IMPERSONATE-UID', '0'],
  ['Impersonate_User', 'bob'],
  ['Impersonate-Group', 'system:masters'],
  ['impersonate%2Dgroup', 'system:masters'],
  ['Impersonate-Extra-Scopes', 'everything'],
  ['Impersonate-Extra-Authentication.kubernetes.io%2fcredential-id', 'x'],
  ['impersonate_extra_a', 'b'],
  ['Impersonate', 'x'],
  ['Impersonate-Something-To-Come', 'x'],
]
const others: HeaderLines = [
  ['X-Remote-User', 'system:admin'],
  ['x-remote-group', 'system:masters'],
  ['X_Remote_Extra_Scopes', 'x'],
  ['X-Remote-Uid', '0'],
  ['X-Auth-Request-User', 'bob'],
  ['X-Original-User', 'bob'],
  ['X-Forwarded-User', 'bob'],
  ['X-Forwarded_Groups', 'system:masters'],
  ['Proxy-Authorization', 'Bearer x'],
]
const harmless: HeaderLines = [
  ['accept', 'application/json'],
  ['x-note', 'my-impersonate-user'],
  ['x-impersonate-user', 'not a name that anybody reads'],
  ['x-note', 'again'],
]

const metric = (action: string): string => `gateway_client_impersonation_total{action="${action}"}`

t.test('with the credential of the gateway the caller is the one of the token alone', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer, api, gateway } = world
  const token = issuer.sign({ groups: ['dev', 'ops'] })
  const expected = [
    ...connectionLines,
    ...harmless,
    ...originLines,
    ...impersonationLines(`${issuer.url}#alice`, ['dev', 'ops']),
    ...gatewayCredential,
  ]
  for (const protocol of protocols) {
    const headers = [...impersonation, ...harmless, ...others]
    const reply = await askOver(protocol, world, { token, headers })
    t.equal(reply.status, 200)
    t.strictSame(
      reply.headers.filter(([name]) => name.toLowerCase() === 'warning').map(([, value]) => value),
      [warning],
      'the client is told',
    )
    t.strictSame(lastArrived(world), expected, protocol)
  }
  t.equal(await gateway.metric(metric('stripped')), 2)

  for (const line of impersonation) {
    for (const protocol of protocols) {
      const reply = await askOver(protocol, world, { token, headers: [line, ...harmless] })
      t.ok(reply.headers.some(([, value]) => value === warning))
      t.strictSame(lastArrived(world), expected, `${line[0]} over ${protocol}`)
    }
  }
  for (const line of others) {
    for (const protocol of protocols) {
      const reply = await askOver(protocol, world, { token, headers: [line, ...harmless] })
      t.notOk(reply.headers.some(([, value]) => value === warning))
      t.strictSame(lastArrived(world), expected, `${line[0]} over ${protocol}`)
    }
  }

  const groups = Array.from({ length: 200 }, (_, n) => `group ${String(n)} 日本`)
  const many = issuer.sign({ sub: 'José ✓', groups })
  for (const protocol of protocols) {
    await askOver(protocol, world, { token: many, headers: impersonation })
    t.strictSame(
      lastArrived(world),
      [
        ...connectionLines,
        ...originLines,
        ...impersonationLines(`${issuer.url}#José ✓`, groups),
        ...gatewayCredential,
      ],
      `names that are not ASCII, and 200 groups, over ${protocol}`,
    )
  }
  t.strictSame(api.faults, [])
})

t.test('with the token of the caller nothing but it says who is calling', async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  const { issuer, api } = world
  const headers = [...impersonation, ...harmless, ...others]
  for (const protocol of protocols) {
    api.know(() => ({ username: `${issuer.url}#alice`, groups: ['dev', 'system:authenticated'] }))
    const known = issuer.sign({ groups: ['dev'], jti: `known ${protocol}` })
    await askOver(protocol, world, { token: known, headers })
    t.strictSame(
      lastArrived(world),
      [...connectionLines, ...harmless, ...originLines, ...callerCredential(known)],
      `the API server knows the token: ${protocol}`,
    )
    api.know(undefined)
    const foreign = issuer.sign({ groups: ['dev'], jti: `foreign ${protocol}` })
    await askOver(protocol, world, { token: foreign, headers })
    t.strictSame(
      lastArrived(world),
      [
        ...connectionLines,
        ...harmless,
        ...originLines,
        ...callerCredential(foreign),
        ...impersonationLines(`${issuer.url}#alice`, ['dev']),
      ],
      `the API server cannot say whose the token is: ${protocol}`,
    )
  }
  t.strictSame(api.faults, [])
})

t.test(
  'where impersonation is to be rejected, each attempt is a 403 that reaches nobody',
  async t => {
    const world = await startedWorld(t, {
      mode: 'gateway',
      flags: ['--client-impersonation=reject'],
    })
    const { issuer, api, gateway } = world
    const token = issuer.sign()
    for (const line of impersonation) {
      const refused = status(403, 'Forbidden', 'impersonation is not allowed')
      for (const protocol of protocols) {
        const reply = await askOver(protocol, world, { token, headers: [line] })
        const { headers, ...rest } = shown(reply)
        t.strictSame(
          { ...rest, headers: headers.filter(([name]) => name !== 'connection') },
          refused,
          `${line[0]} over ${protocol}`,
        )
      }
    }
    t.equal(await gateway.metric(metric('rejected')), 2 * impersonation.length)
    t.strictSame(api.connections, [])
    t.equal((await askOver('HTTP/2', world, { token, headers: others })).status, 200)
  },
)
