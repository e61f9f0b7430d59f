import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { effectiveValues, effectiveYaml } from '../../lib/settings/effective.js'
import { givenFlags, loadServe } from '../../lib/settings/load.js'
import { tempDir } from '../actors/files.js'

const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']

function effective(...args: string[]) {
  const loaded = loadServe(args, { env })
  if (!('settings' in loaded)) throw new Error(JSON.stringify(loaded))
  return { settings: loaded.settings, values: effectiveValues(givenFlags(args), loaded.settings) }
}

t.test('each value is told with where it comes from', async t => {
  const file = join(tempDir(t), 'gateway.yaml')
  writeFileSync(file, 'max-groups: 7\noidc-required-claim: [a=b, "c=d, e"]\nlog-level: warn\n')
  const { values } = effective(
    ...issuer,
    `--config=${file}`,
    '--log-level=error',
    '--oidc-signing-algs=RS256,ES256',
    '--disable-impersonation',
  )
  const told = new Map(values.map(({ name, value, from }) => [name, [value, from]]))
  const table = {
    'secure-port': [8443, 'default'],
    'insecure-plain-http': undefined,
    'oidc-client-id': ['k', 'command line'],
    'oidc-username-prefix': ['https://i.example#', 'default'],
    'oidc-signing-algs': [['RS256', 'ES256'], 'command line'],
    'oidc-required-claim': [['a=b', 'c=d, e'], `${file}:2`],
    'max-groups': [7, `${file}:1`],
    'log-level': ['error', 'command line'],
    impersonation: ['never', 'command line'],
    'disable-impersonation': undefined,
    'tls-cert-file': undefined,
    config: undefined,
  } as const
  t.same(
    Object.keys(table).map(name => told.get(name as never)),
    Object.values(table),
  )
})

t.test('an empty value is the default where there is one', async t => {
  const { values } = effective(...issuer, '--bind-address=', '--oidc-username-claim=', '--context=')
  const names = ['bind-address', 'oidc-username-claim', 'context']
  t.same(
    values.filter(({ name }) => names.includes(name)),
    [
      { name: 'bind-address', value: '0.0.0.0', from: 'default' },
      { name: 'oidc-username-claim', value: 'sub', from: 'default' },
    ],
  )
})

t.test('what is printed is a file that serve takes, and that means the same', async t => {
  const folder = tempDir(t)
  const table: ReadonlyArray<readonly string[]> = [
    issuer,
    [...issuer, '--oidc-username-claim=email', '--oidc-groups-claim=groups'],
    [...issuer, '--oidc-username-prefix=-', '--unsafe-use-service-account-token'],
    [...issuer, '--oidc-groups-prefix=a: b #c', '--oidc-required-claim=a=[1, 2]'],
    [...issuer, '--disable-impersonation', '--trusted-proxies=10.0.0.0/8,2001:db8::/32'],
    [...issuer, '--shutdown-grace-period=0', '--oidc-clock-skew=1m30s', '--secure-port=0'],
  ]
  for (const [index, args] of table.entries()) {
    const { settings, values } = effective(...args)
    const file = join(folder, `${index}.yaml`)
    writeFileSync(file, effectiveYaml(values))
    t.same(loadServe([`--config=${file}`], { env }), { settings }, args.join(' '))
  }
})

t.test('a line has value and origin; what is not set is named in the end', async t => {
  const lines = effectiveYaml(effective(...issuer, '--oidc-groups-prefix=a: b').values).split('\n')
  t.ok(lines.includes('secure-port: 8443  # default'))
  t.ok(lines.includes('oidc-groups-prefix: "a: b"  # command line'))
  t.ok(lines.includes('oidc-signing-algs: [RS256]  # default'))
  t.match(lines.at(-3), /^# off: insecure-plain-http, /)
  t.match(lines.at(-2), /^# not set: tls-cert-file, /)
  t.equal(lines.at(-1), '')
})
