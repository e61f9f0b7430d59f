import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadServe } from '../../lib/settings/load.js'
import { runProgram } from '../actors/gateway.js'
import { tempDir } from '../actors/files.js'

const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']
const migrate = (...args: string[]): ReturnType<typeof runProgram> =>
  runProgram(['migrate', ...args])

t.test('faults are lines on standard error, and status 2', async t => {
  const table: ReadonlyArray<readonly [readonly string[], string]> = [
    [
      [],
      'what to translate is missing: a file, or the flags of kube-oidc-proxy; --help says how\n',
    ],
    [['no-such-file'], 'the file "no-such-file": cannot be read: no such file\n'],
    [
      ['--from=nobody', '--username-prefix', 'both', '--output=', '--', ...issuer],
      '--from "nobody": must be one of tremolosecurity, rafpe, jetstack\n' +
        '--username-prefix "both": must be one of keep, new\n' +
        '--output: needs a value\n',
    ],
    [
      issuer,
      '--oidc-username-prefix: none is given, and the claim is "sub": a user "alice" was "alice" and would be "https://i.example#alice"; say --username-prefix=keep for the old name, --username-prefix=new for the new one\n',
    ],
    [
      ['--oidc-issuer-url=http://i.example', '--oidc-client-id=k', '--oidc-username-claim=email'],
      '--oidc-issuer-url "http://i.example": must be an https URL such as https://issuer.example.com\n',
    ],
    [
      [...issuer, '--oidc-username-prefix=system:'],
      '--oidc-username-prefix "system:": must not begin with "system:": those names are the cluster\'s own\n',
    ],
  ]
  t.same(
    await Promise.all(table.map(([args]) => migrate(...args))),
    table.map(([, stderr]) => ({ code: 2, stdout: '', stderr })),
  )
})

t.test('--help says what it takes', async t => {
  const { code, stdout, stderr } = await migrate('--from=nobody', '--help')
  t.same([code, stderr], [0, ''])
  t.match(stdout, /^Usage: impersonation-gateway migrate /)
})

t.test('flags as they are, after --, in a file and on standard input are the same', async t => {
  const file = join(tempDir(t), 'command.sh')
  const args = [...issuer, '--oidc-username-claim=email', '--oidc-groups-claim=groups']
  const text = `kube-oidc-proxy \\\n  ${args.join(' \\\n  ')}\n`
  writeFileSync(file, text)
  const all = await Promise.all([
    migrate('-o', 'json', ...args),
    migrate('--output=json', '--', 'kube-oidc-proxy', ...args),
    migrate('--output', 'json', file),
    runProgram(['migrate', '-', '-o=json'], { input: text }),
  ])
  const [first] = all
  t.same([first?.code, first?.stderr], [0, ''])
  for (const each of all) t.same(each, first)
})

t.test('the flags and the file that come out are ones that serve takes', async t => {
  const folder = tempDir(t)
  const world = { env: { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' } }
  const args = ['--username-prefix=keep', ...issuer, '--oidc-required-claim=a=b', '-P', '8081']
  const [json, config] = await Promise.all([
    migrate('--output=json', ...args),
    migrate('--output=config', ...args),
  ])
  const file = join(folder, 'config.yaml')
  writeFileSync(file, config.stdout)
  const fromFlags = loadServe(JSON.parse(json.stdout).args, world)
  const fromFile = loadServe([`--config=${file}`], world)
  t.ok('settings' in fromFlags)
  t.match(fromFlags, {
    settings: {
      issuer: { usernamePrefix: '', requiredClaims: new Map([['a', 'b']]) },
      admin: { address: '0.0.0.0', port: 8081 },
      credentialMode: { kind: 'gateway' },
    },
  })
  t.same(fromFile, fromFlags)
})
