import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import type { Cluster as KubeCluster } from '@kubernetes/client-node'
import t, { type Test } from 'tap'
import {
  credentialOf,
  serviceAccount,
  type CredentialSource,
} from '../../lib/upstream/credential.js'
import { kubeconfig } from './kubeconfig.js'

const cluster: KubeCluster = {
  name: 'c',
  server: 'https://api.example:6443',
  caData: 'Q0E=',
  tlsServerName: 'api.internal',
  skipTLSVerify: false,
}

/** The credential of this user, whose kubeconfig lies in `folder`. */
function of(user: Readonly<Record<string, unknown>>, folder = '/nowhere', last?: CredentialSource) {
  const text = kubeconfig({ server: cluster.server, user })
  return credentialOf({ text, path: join(folder, 'config'), user: 'u', cluster }, last)
}

t.test('a token is a token', async t => {
  t.strictSame(await of({ token: 'abc' }).load(false), { authorization: 'Bearer abc' })
  t.strictSame(await of({ token: ' abc\n' }).load(false), { authorization: 'Bearer abc' })
})

t.test('a token that no header can say is refused, and not repeated', async t => {
  for (const token of ['a b', 'a\r\nb', 'ü']) {
    t.throws(() => of({ token }), { message: 'the kubeconfig user holds no bearer token' }, token)
  }
})

t.test('a token file is read each time, from where the kubeconfig lies', async t => {
  const folder = t.testdir({ token: 'one\n', other: { token: 'absolute' } })
  const source = of({ tokenFile: 'token', token: 'never' }, folder)
  t.strictSame(await source.load(false), { authorization: 'Bearer one' })
  writeFileSync(join(folder, 'token'), 'two')
  t.strictSame(await source.load(false), { authorization: 'Bearer two' })
  writeFileSync(join(folder, 'token'), ' \n')
  await t.rejects(source.load(false), { message: /holds no bearer token/ })
  rmSync(join(folder, 'token'))
  await t.rejects(source.load(false), { code: 'ENOENT' })
  const absolute = of({ tokenFile: join(folder, 'other', 'token') })
  t.strictSame(await absolute.load(false), { authorization: 'Bearer absolute' })
})

t.test('the service account of a pod is a token file', async t => {
  const folder = t.testdir({ token: 'projected' })
  t.strictSame(await serviceAccount(join(folder, 'token')).load(false), {
    authorization: 'Bearer projected',
  })
})

t.test('a client certificate comes from data or files, relative ones too', async t => {
  const folder = t.testdir({ 'client.crt': 'CERT', 'client.key': 'KEY' })
  const data = (text: string): string => Buffer.from(text).toString('base64')
  t.strictSame(
    await of({
      'client-certificate-data': data('C'),
      'client-key-data': data('K'),
    }).load(false),
    { cert: 'C', key: 'K' },
  )
  const files = { 'client-certificate': 'client.crt', 'client-key': 'client.key' }
  t.strictSame(await of(files, folder).load(false), { cert: 'CERT', key: 'KEY' })
})

t.test('half a certificate, or nothing, is no credential', async t => {
  t.equal(await of({}).load(false), undefined)
  t.equal(await of({ token: '' }).load(false), undefined)
  t.equal(await of({ 'client-certificate-data': 'Qw==' }).load(false), undefined)
  const empty = { 'client-certificate-data': 'Qw==', 'client-key-data': '' }
  t.equal(await of(empty).load(false), undefined)
})

t.test('users that cannot be used say why, and nothing of their secret', async t => {
  const cases: ReadonlyArray<readonly [Readonly<Record<string, unknown>>, RegExp]> = [
    [{ token: 's3cret', as: 'root' }, /user "u" impersonates by itself/],
    [{ username: 'admin', password: 's3cret' }, /basic auth or an auth-provider/],
    [{ 'auth-provider': { name: 'gcp', config: { token: 's3cret' } } }, /auth-provider/],
  ]
  for (const [user, message] of cases) {
    t.throws(() => of(user), { message })
    try {
      of(user)
    } catch (error) {
      t.notMatch(inspect(error), 's3cret')
    }
  }
  const text = kubeconfig({ server: cluster.server })
  t.throws(() => credentialOf({ text, path: '/config', user: 'nobody', cluster }), {
    message: 'the kubeconfig has no user "nobody"',
  })
})

t.test('a user that is not there is not taken for another fault', async t => {
  const text = kubeconfig({ server: cluster.server }).replace('"user":{}', '"user":null')
  const at = { text, path: '/nowhere/config', cluster }
  for (const user of ['u', 'missing']) {
    t.throws(() => credentialOf({ ...at, user }), {
      message: `the kubeconfig has no user "${user}"`,
    })
  }
  for (const user of ['', undefined]) {
    t.throws(() => credentialOf({ ...at, user }), {
      message: 'the context of the kubeconfig names no user',
    })
  }
})

t.test('a source is kept while the kubeconfig says the same', async t => {
  const source = of({ token: 'abc' })
  t.equal(of({ token: 'abc' }, '/nowhere', source), source)
  t.not(of({ token: 'other' }, '/nowhere', source), source)
})

interface Plugin {
  readonly folder: string
  readonly user: Readonly<Record<string, unknown>>
  /** What `KUBERNETES_EXEC_INFO` and the added variable were, run by run. */
  readonly runs: () => ReadonlyArray<{
    readonly info: unknown
    readonly added: string
    readonly args: string
  }>
  /** What it does from now on; `{n}` is the number of the run. */
  readonly answer: (text: string, exit?: number) => void
}

/** A plugin that prints what it is told, and notes what it was asked. */
function plugin(t: Test, about: Readonly<Record<string, unknown>> = {}): Plugin {
  const folder = t.testdir({
    'plugin.sh': `#!/bin/sh
cd "$(dirname "$0")"
printf '{"info":%s,"added":"%s","args":"%s"}\\n' "$KUBERNETES_EXEC_INFO" "$ADDED" "$*" >> runs
echo "stderr s3cret" >&2
sed "s/{n}/$(wc -l < runs | tr -d ' ')/g" answer
exit "$(cat exit)"
`,
  })
  chmodSync(join(folder, 'plugin.sh'), 0o755)
  return {
    folder,
    user: {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: join(folder, 'plugin.sh'),
        args: ['--for', 'gateway'],
        env: [{ name: 'ADDED', value: 'yes' }],
        interactiveMode: 'Never',
        ...about,
      },
    },
    runs: () =>
      readFileSync(join(folder, 'runs'), 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as ReturnType<Plugin['runs']>[number]),
    answer: (text, exit = 0) => {
      writeFileSync(join(folder, 'answer'), text)
      writeFileSync(join(folder, 'exit'), String(exit))
    },
  }
}

const execCredential = (status: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status,
  })

t.test('an exec plugin is asked once, and told which cluster it is for', async t => {
  const { user, runs, answer } = plugin(t)
  answer(execCredential({ token: 'token-{n}' }))
  const source = of(user)
  t.strictSame(await source.load(false), { authorization: 'Bearer token-1' })
  t.strictSame(await source.load(false), { authorization: 'Bearer token-1' }, 'good without end')
  t.strictSame(runs(), [
    {
      info: {
        apiVersion: 'client.authentication.k8s.io/v1',
        kind: 'ExecCredential',
        spec: {
          interactive: false,
          cluster: {
            server: 'https://api.example:6443',
            'certificate-authority-data': 'Q0E=',
            'tls-server-name': 'api.internal',
          },
        },
      },
      added: 'yes',
      args: '--for gateway',
    },
  ])
  t.strictSame(await source.load(true), { authorization: 'Bearer token-2' }, 'refused: asked anew')
})

t.test('an answer is used up to a minute before its end', async t => {
  const { user, answer, runs } = plugin(t)
  const until = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toISOString()
  const source = of(user)
  answer(execCredential({ token: 'token-{n}', expirationTimestamp: until(3_600) }))
  await source.load(false)
  await source.load(false)
  t.equal(runs().length, 1)
  answer(execCredential({ token: 'token-{n}', expirationTimestamp: until(59) }))
  await source.load(true)
  t.strictSame(await source.load(false), { authorization: 'Bearer token-3' })
  t.equal(runs().length, 3)
})

t.test('a plugin may give a client certificate', async t => {
  const { user, answer } = plugin(t)
  answer(execCredential({ clientCertificateData: 'CERT', clientKeyData: 'KEY' }))
  t.strictSame(await of(user).load(false), { cert: 'CERT', key: 'KEY' })
})

t.test(
  'however a plugin fails, its output stays unsaid, and the next try is a new one',
  async t => {
    const { user, answer } = plugin(t)
    const source = of(user)
    const cases: ReadonlyArray<readonly [string, number, RegExp]> = [
      [execCredential({ token: 's3cret' }), 3, /failed: exit status or signal 3$/],
      ['s3cret is not JSON', 0, /failed: its answer is not JSON$/],
      ['"s3cret"', 0, /gave no credential/],
      ['null', 0, /./],
      ['{"s3cret":1}', 0, /gave no credential/],
      [execCredential({ token: 's3cret s3cret' }), 0, /holds no bearer token/],
      [execCredential({ token: 7 }), 0, /./],
      [execCredential({ clientCertificateData: 's3cret' }), 0, /gave no credential/],
      [execCredential({ clientCertificateData: '', clientKeyData: '' }), 0, /gave no credential/],
      ['s3cret'.repeat(1_000_000), 0, /failed/],
    ]
    for (const [text, exit, message] of cases) {
      answer(text, exit)
      const error: unknown = await source.load(false).catch((caught: unknown) => caught)
      t.match(error, { message }, text.slice(0, 40))
      t.notMatch(inspect(error, { depth: 9, showHidden: true }), 's3cret', text.slice(0, 40))
    }
    answer(execCredential({ token: 'good' }))
    t.strictSame(await source.load(false), { authorization: 'Bearer good' })
  },
)

t.test('a plugin that is not there is named', async t => {
  await t.rejects(of(plugin(t, { command: 'no-such-plugin-anywhere' }).user).load(false), {
    message: 'the exec plugin "no-such-plugin-anywhere" failed: exit status or signal ENOENT',
  })
})

t.test(
  'a relative command starts at the kubeconfig, not where the gateway was started',
  async t => {
    const { folder, user, answer } = plugin(t, { command: './plugin.sh' })
    answer(execCredential({ token: 'abc' }))
    t.not(dirname(join(folder, 'config')), process.cwd())
    t.strictSame(await of(user, folder).load(false), { authorization: 'Bearer abc' })
  },
)

t.test('what describes a source changes with what it would give', async t => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const users = [
    { token: 'a' },
    { token: 'b' },
    { tokenFile: 'a' },
    { 'client-certificate-data': 'YQ==', 'client-key-data': Buffer.from(pem).toString('base64') },
    { exec: { apiVersion: 'v1', command: 'a' } },
    { exec: { apiVersion: 'v1', command: 'a', args: ['b'] } },
  ]
  t.equal(new Set(users.map(user => of(user).described)).size, users.length)
})
