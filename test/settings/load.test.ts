import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { flagNames } from '../../lib/settings/flags.js'
import { loadServe } from '../../lib/settings/load.js'

const folder = mkdtempSync(join(tmpdir(), 'settings-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'gateway.yaml')
const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }

const load = (file: readonly string[], ...args: string[]): ReturnType<typeof loadServe> => {
  writeFileSync(path, file.join('\n'))
  return loadServe([`--config=${path}`, ...args], { env })
}
const least = ['oidc-issuer-url: https://issuer.example', 'oidc-client-id: kubernetes']

t.test('the file is enough, and the command line wins, lists and switches too', async t => {
  const file = [
    ...least,
    'max-groups: 10',
    'log-level: warn',
    'oidc-signing-algs: [ES256, ES384]',
    'insecure-plain-http: true',
    'allow-reserved-users: ["system:a"]',
  ]
  const loaded = load(
    file,
    '--max-groups=20',
    '--oidc-signing-algs=PS256',
    '--insecure-plain-http=false',
    '--allow-reserved-users=',
  )
  if (!('settings' in loaded)) throw new Error(JSON.stringify(loaded))
  const { settings } = loaded
  t.same(
    [
      settings.issuer?.url,
      settings.maxGroups,
      settings.logLevel,
      settings.issuer?.signingAlgs,
      settings.listen.tls,
      settings.reserved.users,
    ],
    ['https://issuer.example', 20, 'warn', ['PS256'], 'self-signed', new Set()],
  )
})

t.test('a fault in the file has its line; one that the command line overrides is gone', async t => {
  const file = [...least, 'max-groups: 0', 'context: prod', 'nonsense: 1']
  t.same(load(file, '--secure-port=x'), {
    faults: [
      `${path}:5: unknown key "nonsense"`,
      '--secure-port "x": must be a whole number from 0 to 65535',
      `${path}:4: context "prod": needs --kubeconfig`,
      `${path}:3: max-groups "0": must be a whole number of at least 1`,
    ],
  })
  t.same(load([...least, 'max-groups: 0'], '--max-groups=0'), {
    faults: ['--max-groups "0": must be a whole number of at least 1'],
  })
})

t.test('a file that is missing, a folder or not readable is one fault', async t => {
  t.same(
    [
      loadServe([`--config=${folder}`, '--oidc-issuer-url=https://a', '--oidc-client-id=a'], {
        env,
      }),
      loadServe([`--config=${path}.not`, '--oidc-issuer-url=https://a', '--oidc-client-id=a'], {
        env,
      }),
    ],
    [
      { faults: [`--config ${JSON.stringify(folder)}: cannot be read: it is a directory`] },
      { faults: [`--config ${JSON.stringify(`${path}.not`)}: cannot be read: no such file`] },
    ],
  )
})

t.test('--help tells every flag, with its default, in lines that fit a terminal', async t => {
  const loaded = loadServe(['--help', '--nonsense'])
  const help = 'help' in loaded ? loaded.help : ''
  const told = [...help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name)
  t.same(new Set(told), new Set(flagNames))
  t.equal(told.length, flagNames.length)
  t.match(
    help,
    /--secure-port=<port>\n {6}Port where clients connect; 0 takes a free one\. \(default 8443\)\n/,
  )
  t.match(help, /--impersonation=<when>\n[^-]*--?[^]*?one of auto, always, never; default auto\)/)
  t.same(
    help.split('\n').filter(line => line.length > 100),
    [],
  )
})
