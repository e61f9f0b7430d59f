import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import t from 'tap'
import { clientKubeconfig } from '../../lib/login/kubeconfig.js'
import { createAuthority } from '../actors/certificates.js'
import { runProgram } from '../actors/gateway.js'
import { tempDir } from '../actors/files.js'

t.test('cluster, user and context have one name, and kubelogin brings the token', async t => {
  t.equal(
    clientKubeconfig({
      server: 'https://gateway.example.com:8443',
      name: 'work',
      issuerUrl: 'https://i.example/realm',
      clientId: 'k',
      scopes: ['email', 'groups'],
    }),
    `apiVersion: v1
kind: Config
clusters:
  - name: work
    cluster:
      server: https://gateway.example.com:8443
users:
  - name: work
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: kubectl
        args:
          - oidc-login
          - get-token
          - --oidc-issuer-url=https://i.example/realm
          - --oidc-client-id=k
          - --oidc-extra-scope=email
          - --oidc-extra-scope=groups
        interactiveMode: IfAvailable
        installHint: install kubelogin (https://github.com/int128/kubelogin) as kubectl-oidc_login
        provideClusterInfo: false
contexts:
  - name: work
    context:
      cluster: work
      user: work
current-context: work
`,
  )
})

t.test('the command prints one that clients read, with the authorities in it', async t => {
  const folder = tempDir(t)
  const [gateway, issuer] = [createAuthority('gateway').ca, createAuthority('issuer').ca]
  const config = join(folder, 'gateway.yaml')
  writeFileSync(join(folder, 'gateway-ca.crt'), `a remark\n${gateway}`)
  writeFileSync(join(folder, 'issuer-ca.crt'), issuer)
  writeFileSync(
    config,
    `oidc-issuer-url: https://i.example\noidc-client-id: k\noidc-ca-file: ${folder}/issuer-ca.crt\nkubeconfig: /elsewhere\n`,
  )
  const { code, stdout, stderr } = await runProgram([
    'kubeconfig',
    '--server=https://gateway.example.com',
    `--certificate-authority=${folder}/gateway-ca.crt`,
    `--config=${config}`,
  ])
  t.same([code, stderr], [0, ''])
  const read = new KubeConfig()
  read.loadFromString(stdout)
  const base64 = (text: string): string => Buffer.from(`${text.trim()}\n`).toString('base64')
  t.match(read.getCurrentCluster(), {
    server: 'https://gateway.example.com',
    caData: base64(gateway),
    skipTLSVerify: false,
  })
  t.same(read.getCurrentUser()?.exec.args, [
    'oidc-login',
    'get-token',
    '--oidc-issuer-url=https://i.example',
    '--oidc-client-id=k',
    `--certificate-authority-data=${base64(issuer)}`,
  ])
})

t.test('what is missing or cannot be read is a fault each, and status 2', async t => {
  const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']
  const table: ReadonlyArray<readonly [readonly string[], string]> = [
    [issuer, '--server: is required: where users reach the gateway\n'],
    [
      ['--server=http://gateway', '--certificate-authority=/nowhere', '--oidc-ca-file=/there'],
      '--server "http://gateway": must be an https URL such as https://gateway.example.com:8443\n' +
        '--certificate-authority "/nowhere": cannot be read: no such file\n' +
        '--oidc-ca-file "/there": cannot be read: no such file\n' +
        '--oidc-issuer-url: is required: the issuer whose tokens are accepted\n' +
        '--oidc-client-id: is required: the audience that tokens must carry\n',
    ],
  ]
  t.same(
    await Promise.all(table.map(([args]) => runProgram(['kubeconfig', ...args]))),
    table.map(([, stderr]) => ({ code: 2, stdout: '', stderr })),
  )
  const { code, stdout } = await runProgram(['kubeconfig', '--help'])
  t.equal(code, 0)
  t.match(stdout, /^Usage: impersonation-gateway kubeconfig /)
})
