/*
 * T29: `X-Forwarded-For` and its kin believed from anybody: a client then chooses the address that stands in
 * the audit log and that address-based rules look at (CVE-2026-40575, GHSA-7x63-xv5r-3p2x oauth2-proxy;
 * kube-oidc-proxy). Only a peer within `--trusted-proxies` is believed, and of its list only what a trusted
 * hop wrote.
 */
import t, { type Test } from 'tap'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld, type World } from '../actors/world.js'
import {
  askOver,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  lastArrived,
  protocols,
} from './clients.js'

const claims: ReadonlyArray<readonly [lines: HeaderLines, believed: string]> = [
  [[], '127.0.0.1'],
  [[['X-Forwarded-For', '198.51.100.7']], '198.51.100.7'],
  [[['x-forwarded-for', '203.0.113.1, 198.51.100.7']], '198.51.100.7'],
  [[['X-Forwarded-For', '203.0.113.1,198.51.100.7 , 10.1.2.3,127.0.0.1']], '198.51.100.7'],
  [
    [
      ['X-Forwarded-For', '203.0.113.1'],
      ['X-Forwarded-For', '198.51.100.7'],
      ['X-Forwarded-For', '10.0.0.1'],
    ],
    '198.51.100.7',
  ],
  [[['X-Forwarded-For', '10.9.9.9, 10.0.0.1']], '10.9.9.9'],
  [[['X-Forwarded-For', '198.51.100.7:4711']], '198.51.100.7'],
  [[['X-Forwarded-For', '[2001:db8::1]:4711']], '2001:db8::1'],
  [[['X-Forwarded-For', '2001:db8::1']], '2001:db8::1'],
  [[['X-Forwarded-For', '203.0.113.1, fd00::1']], '203.0.113.1'],
  [[['X-Forwarded-For', '::ffff:198.51.100.7, ::ffff:10.0.0.1']], '198.51.100.7'],
  [[['X-Forwarded-For', '198.51.100.7, unknown']], '127.0.0.1'],
  [[['X-Forwarded-For', '198.51.100.7, 10.0.0.1, _hidden, 10.0.0.2']], '10.0.0.2'],
  [[['X-Forwarded-For', '198.51.100.7,']], '127.0.0.1'],
  [[['X-Forwarded-For', '']], '127.0.0.1'],
  [[['X-Forwarded-For', '198.51.100.007']], '127.0.0.1'],
  [[['X_Forwarded_For', '198.51.100.7']], '127.0.0.1'],
  [[['X-Real-IP', '198.51.100.7']], '127.0.0.1'],
  [[['Forwarded', 'for=198.51.100.7']], '127.0.0.1'],
  [[['X-Client-IP', '198.51.100.7']], '127.0.0.1'],
]

const forgeries: HeaderLines = [
  ['X-Forwarded-Proto', 'http'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Uri', '/healthz'],
  ['X-Forwarded-Client-Cert', 'Subject="CN=admin"'],
  ['X-Original-URL', '/healthz'],
  ['Forwarded', 'for=10.0.0.1;host=evil.example'],
  ['X-Real-IP', '10.0.0.1'],
]

async function checks(
  t: Test,
  world: World,
  expected: (believed: string) => string,
): Promise<void> {
  const { issuer, api, gateway } = world
  const token = issuer.sign({ groups: ['dev'] })
  for (const [lines, believed] of claims) {
    for (const protocol of protocols) {
      await askOver(protocol, world, { token, headers: [...forgeries, ...lines] })
      const passes = lines.filter(([name]) => name === 'X-Client-IP')
      t.strictSame(
        lastArrived(world).map(([name, value]) => [name.toLowerCase(), value]),
        [
          ...connectionLines,
          ...passes,
          ['X-Forwarded-For', expected(believed)],
          ['Audit-ID', '<uuid>'],
          ...impersonationLines(`${issuer.url}#alice`, ['dev']),
          ...gatewayCredential,
        ].map(([name, value]) => [name?.toLowerCase(), value]),
        `${JSON.stringify(lines)} over ${protocol}`,
      )
    }
  }
  const id = api.forwarded.at(-1)?.values('audit-id')[0]
  const line = await gateway.waitForLog(({ auditID }) => auditID === id)
  t.equal(line['peer'], '127.0.0.1', 'the log names the same address')
}

t.test('without trusted proxies nobody is believed: the peer is who connected', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  await checks(t, world, () => '127.0.0.1')
})

t.test('a peer that is no trusted proxy is not believed either', async t => {
  const flags = ['--trusted-proxies=10.0.0.0/8,fd00::/8']
  await checks(t, await startedWorld(t, { mode: 'gateway', flags }), () => '127.0.0.1')
})

t.test('of a trusted proxy the nearest address that no trusted one owns is believed', async t => {
  const flags = ['--trusted-proxies=127.0.0.0/8', '--trusted-proxies=10.0.0.0/8,fd00::/8']
  await checks(t, await startedWorld(t, { mode: 'gateway', flags }), believed => believed)
})
