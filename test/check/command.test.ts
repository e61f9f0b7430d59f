import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { startApiServer } from '../actors/api-server.js'
import { runProgram, type Ended } from '../actors/gateway.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import { startIssuer } from '../actors/issuer.js'
import type { HeldRule } from '../actors/rights.js'

const check = (...args: string[]): Promise<Ended> => runProgram(['check', ...args])

/** The findings in the text, without what else there is. */
const findings = ({ stdout }: Ended): readonly string[] =>
  stdout.split('\n').filter(line => /^# (ok|warning|failed) /.test(line))

t.test('every fault is a line on standard error, and the status 2', async t => {
  const folder = tempDir(t)
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, 'oidc-isuer-url: https://i.example\nmax-groups: 0\n')
  t.same(await check(`--config=${file}`, '--kubeconfig=/nowhere', '--connect', '--output=xml'), {
    code: 2,
    stdout: '',
    stderr:
      '--output "xml": must be one of text, json\n' +
      `${file}:1: unknown key "oidc-isuer-url"; did you mean oidc-issuer-url?\n` +
      '--oidc-issuer-url: is required: the issuer whose tokens are accepted\n' +
      '--oidc-client-id: is required: the audience that tokens must carry\n' +
      '--kubeconfig "/nowhere": cannot be read: no such file\n' +
      `${file}:2: max-groups "0": must be a whole number of at least 1\n`,
  })
  const kubeconfig = writeKubeconfig(folder, { server: 'https://127.0.0.1:1' })
  const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']
  t.same(await check(...issuer, `--kubeconfig=${kubeconfig}`, '--context=other'), {
    code: 2,
    stdout: '',
    stderr: `--kubeconfig ${kubeconfig} has no context "other"; it has "test"\n`,
  })
})

t.test('service-account mode without a credential is a fault, and a plugin is not run', async t => {
  const folder = tempDir(t)
  const kubeconfig = writeKubeconfig(folder, { server: 'https://127.0.0.1:1' })
  const args = [
    '--oidc-issuer-url=https://i.example',
    '--oidc-client-id=k',
    `--kubeconfig=${kubeconfig}`,
    '--unsafe-use-service-account-token',
  ]
  const config = parse(readFileSync(kubeconfig, 'utf8'))
  const checked = (user: unknown): Promise<Ended> => {
    config.users[0].user = user
    writeFileSync(kubeconfig, stringify(config))
    return check(...args)
  }
  const none =
    'the kubeconfig user has no credential: --unsafe-use-service-account-token needs a token, ' +
    'tokenFile, exec or client certificate'
  for (const [user, fault] of [
    [{}, none],
    [{ tokenFile: '/nowhere' }, "ENOENT: no such file or directory, open '/nowhere'"],
  ] as const) {
    t.same(await checked(user), { code: 2, stdout: '', stderr: `${fault}\n` })
  }
  const ran = join(folder, 'ran')
  const apiVersion = 'client.authentication.k8s.io/v1'
  const exec = { apiVersion, command: 'touch', args: [ran], interactiveMode: 'Never' }
  t.same([(await checked({ exec })).code, existsSync(ran)], [0, false])
})

t.test('settings and findings are told, with no secret in them, and nobody is asked', async t => {
  const kubeconfig = writeKubeconfig(tempDir(t), {
    server: 'https://127.0.0.1:1',
    token: 'secret-token',
  })
  const args = [
    '--oidc-issuer-url=https://127.0.0.1:1',
    '--oidc-client-id=k',
    `--kubeconfig=${kubeconfig}`,
    '--unsafe-use-service-account-token',
  ]
  const text = await check(...args)
  t.same([text.code, text.stderr], [0, ''])
  t.match(parse(text.stdout), {
    'oidc-client-id': 'k',
    'oidc-username-prefix': 'https://127.0.0.1:1#',
    kubeconfig,
    'unsafe-use-service-account-token': true,
  })
  t.same(
    findings(text).map(line => line.split(':', 1)[0]),
    [
      '# warning --oidc-groups-claim',
      '# warning --unsafe-use-service-account-token',
      '# warning --tls-cert-file',
      '# ok      issuer https',
    ],
  )
  const json = await check(...args, '-o', 'json')
  t.same([json.code, json.stderr], [0, ''])
  const told = JSON.parse(json.stdout)
  t.equal(told.ok, true)
  t.same(
    told.settings.find(({ name }: { readonly name: string }) => name === 'oidc-client-id'),
    { name: 'oidc-client-id', value: 'k', from: 'command line' },
  )
  t.same(told.findings[0], {
    outcome: 'warning',
    about: '--oidc-groups-claim',
    says: 'not given: nobody has groups',
    change: 'most issuers call it groups',
  })
  t.notMatch(text.stdout + json.stdout, /secret-token/)
})

t.test(
  'with --connect issuer and API server are asked, and one that fails is status 1',
  async t => {
    const [issuer, api] = await Promise.all([startIssuer(), startApiServer()])
    t.teardown(() => Promise.all([issuer.close(), api.close()]))
    const folder = tempDir(t)
    const caFile = join(folder, 'ca.crt')
    writeFileSync(caFile, issuer.ca)
    const kubeconfig = writeKubeconfig(folder, { server: api.url, ca: api.ca, token: 'x' })
    const args = [
      `--oidc-issuer-url=${issuer.url}`,
      '--oidc-client-id=k',
      `--oidc-ca-file=${caFile}`,
      `--kubeconfig=${kubeconfig}`,
      '--connect',
    ]
    const asked = (ended: Ended): readonly string[] =>
      findings(ended).filter(line => !line.startsWith('# warning'))
    const good = await check(...args)
    t.same([good.code, good.stderr], [0, ''])
    t.match(asked(good), [
      `# ok      issuer ${issuer.url}: audiences "k"; user name by claim "sub" behind "${issuer.url}#"; no groups`,
      `# ok      issuer ${issuer.url}: reached; its keys are at ${issuer.keysUrl}`,
      `# ok      issuer ${issuer.url}: 1 of 1 keys fit: "one"`,
      new RegExp(`^# ok {6}API server ${api.url}: reached; `),
    ])
    await issuer.down()
    const bad = await check(...args)
    t.same([bad.code, bad.stderr], [1, ''])
    t.match(asked(bad).slice(1), [
      /^# failed {2}issuer .*: the connection is refused; see whether this machine can reach it by/,
      /^# ok {6}API server /,
    ])
  },
)

t.test(
  'the issuers of an AuthenticationConfiguration are told and asked, each by itself',
  async t => {
    const [one, two, api] = await Promise.all([startIssuer(), startIssuer(), startApiServer()])
    t.teardown(() => Promise.all([one.close(), two.close(), api.close()]))
    const folder = tempDir(t)
    const kubeconfig = writeKubeconfig(folder, { server: api.url, ca: api.ca })
    const file = join(folder, 'authentication.yaml')
    const jwt = [one, two].map(({ url, ca }) => ({
      issuer: { url, audiences: ['k'], certificateAuthority: ca },
      claimMappings: { username: { claim: 'sub', prefix: 'x:' } },
    }))
    const write = (over: object): void =>
      writeFileSync(
        file,
        JSON.stringify({
          apiVersion: 'apiserver.config.k8s.io/v1',
          kind: 'AuthenticationConfiguration',
          jwt,
          ...over,
        }),
      )
    const args = [`--authentication-config=${file}`, `--kubeconfig=${kubeconfig}`]
    write({})
    await two.down()
    const told = await check(...args, '--connect')
    t.same([told.code, told.stderr], [1, ''])
    const about = (url: string): readonly string[] =>
      findings(told)
        .filter(line => line.includes(` ${url}: `))
        .map(line => line.slice(2).split(' ', 1)[0] ?? '')
    t.same(
      [about(`issuer ${one.url}`), about(`issuer ${two.url}`)],
      [
        ['ok', 'ok', 'ok'],
        ['ok', 'failed'],
      ],
    )
    t.match(parse(told.stdout), { 'authentication-config': file })

    write({ jwt: [{ ...jwt[0], claimMappings: { username: { claim: 'sub' } } }], nonsense: 1 })
    const wrong = await check(...args)
    t.same([wrong.code, wrong.stdout], [2, ''])
    t.match(wrong.stderr, /nonsense/)
  },
)

t.test('with --connect the rights of the own credential are told as serve judges them', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  const folder = tempDir(t)
  const caFile = join(folder, 'ca.crt')
  writeFileSync(caFile, issuer.ca)
  const impersonate = (...resources: string[]): HeldRule => ({
    verbs: ['impersonate'],
    apiGroups: [''],
    resources,
  })
  const secrets: HeldRule = { verbs: ['get'], apiGroups: [''], resources: ['secrets'] }
  const api = await startApiServer()
  t.teardown(() => api.close())
  const kubeconfig = writeKubeconfig(folder, { server: api.url, ca: api.ca, token: 'x' })
  const told = async (rules: readonly HeldRule[], ...more: string[]) => {
    api.grant({ rules })
    const ended = await check(
      `--oidc-issuer-url=${issuer.url}`,
      '--oidc-client-id=k',
      '--oidc-groups-claim=groups',
      `--oidc-ca-file=${caFile}`,
      `--kubeconfig=${kubeconfig}`,
      '--unsafe-use-service-account-token',
      '--connect',
      ...more,
    )
    const ours = findings(ended).filter(line => line.includes("the gateway's credential: "))
    return [ended.code, ...ours.slice(1).map(line => line.replace(/;.*/, ''))]
  }
  const about = "the gateway's credential"
  t.same(await told([impersonate('users', 'groups')]), [
    0,
    `# warning ${about}: can say system:masters (impersonate on groups)`,
  ])
  t.same(await told([impersonate('users', 'groups'), secrets]), [
    1,
    `# failed  ${about}: has a right too much: get on secrets`,
    `# warning ${about}: can say system:masters (impersonate on groups)`,
  ])
  t.same(
    await told([impersonate('users', 'groups'), secrets], '--allow-overprivileged-credential'),
    [
      0,
      `# warning ${about}: has a right too much: get on secrets`,
      `# warning ${about}: can say system:masters (impersonate on groups)`,
    ],
  )
  t.same(await told([impersonate('users')]), [
    1,
    `# failed  ${about}: lacks a right: impersonate on groups`,
  ])
})

t.test('--help says what it takes', async t => {
  const { code, stdout, stderr } = await check('--help', '--nonsense')
  t.same([code, stderr], [0, ''])
  t.match(stdout, /^Usage: impersonation-gateway check /)
})
