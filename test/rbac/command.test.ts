import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { tempDir } from '../actors/files.js'
import { runProgram } from '../actors/gateway.js'
import { root } from '../actors/program.js'

const issuer = ['--oidc-issuer-url=https://issuer.example.com', '--oidc-client-id=kubernetes']
const own = [...issuer, '--unsafe-use-service-account-token']
const rbac = (...args: string[]) => runProgram(['rbac', ...args])

t.test('prints the rights of the example, as they stand in it', async t => {
  const printed = await rbac(
    `--config=${join(root, 'examples/service-account-mode/config.yaml')}`,
    '--group=oidc:developers',
    '--group=oidc:viewers',
  )
  const stdout = readFileSync(join(root, 'examples/service-account-mode/rbac.yaml'), 'utf8')
  t.same(printed, { code: 0, stdout, stderr: '' })
})

t.test("in caller's-token mode nothing is needed, and it says so", async t => {
  t.same(await rbac(...issuer, '--namespace', 'a', '--service-account=b.c'), {
    code: 0,

    stdout: `# Nothing is needed: requests go on with their callers' own tokens, and the gateway has no credential.
# This service account has no rights, and its token is not mounted.

apiVersion: v1
kind: ServiceAccount
metadata:
  name: b.c
  namespace: a
automountServiceAccountToken: false
`,
    stderr: '',
  })
})

t.test('an AuthenticationConfiguration says which extra and which groups there can be', async t => {
  const file = join(tempDir(t), 'authentication.yaml')
  writeFileSync(
    file,
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: https://issuer.example.com, audiences: [kubernetes] }
    claimMappings:
      username: { claim: sub, prefix: 'oidc:' }
      extra:
        - { key: example.com/team, valueExpression: claims.team }
`,
  )
  const { code, stdout } = await rbac(
    `--authentication-config=${file}`,
    '--unsafe-use-service-account-token',
  )
  t.equal(code, 0)
  const [, role] = parseAllDocuments(stdout).map(document => document.toJS())
  t.same(
    role.rules.map(({ resources }: { readonly resources: unknown }) => resources),
    [['users'], ['userextras/example.com/team']],
  )
})

t.test('who comes without a credential is a user and a group that the role names', async t => {
  const file = join(tempDir(t), 'authentication.yaml')
  const rules = async (anonymous: string): Promise<unknown> => {
    writeFileSync(
      file,
      `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: https://issuer.example.com, audiences: [kubernetes] }
    claimMappings: { username: { claim: sub, prefix: 'oidc:' } }
${anonymous}
`,
    )
    const { code, stdout } = await rbac(
      `--authentication-config=${file}`,
      '--unsafe-use-service-account-token',
      '--user=oidc:alice',
    )
    t.equal(code, 0)
    const [, role] = parseAllDocuments(stdout).map(document => document.toJS())
    return role.rules
  }
  const rule = (resource: string, ...resourceNames: readonly string[]): object => ({
    apiGroups: [''],
    resources: [resource],
    verbs: ['impersonate'],
    resourceNames,
  })
  t.strictSame(await rules('anonymous: { enabled: true, conditions: [{ path: /livez }] }'), [
    rule('users', 'oidc:alice', 'system:anonymous'),
    rule('groups', 'system:unauthenticated'),
  ])
  t.strictSame(await rules('anonymous: { enabled: false }'), [rule('users', 'oidc:alice')])
  t.strictSame(await rules(''), [rule('users', 'oidc:alice')])
})

t.test('where no token has groups, none beside those of nobody is ever sent', async t => {
  const file = join(tempDir(t), 'authentication.yaml')
  writeFileSync(
    file,
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: https://issuer.example.com, audiences: [kubernetes] }
    claimMappings: { username: { claim: sub, prefix: 'oidc:' } }
anonymous: { enabled: true, conditions: [{ path: /livez }] }
`,
  )
  const flags = [`--authentication-config=${file}`, '--unsafe-use-service-account-token']
  for (const given of [flags, [...flags, '--allowed-groups=dev']]) {
    // oxlint-disable-next-line no-await-in-loop
    t.same(await rbac(...given, '--group=dev'), {
      code: 2,

      stdout: '',
      stderr: '--group "dev": is never sent: no token has groups\n',
    })
  }
})

t.test('names are told as they are, whatever YAML makes of them', async t => {
  const groups = ['yes', '0x1f', '12:30:45', '~', 'ünïcode ✓', "it's", 'a: b', '- x', '#', '1_0']
  const { stdout } = await rbac(
    ...own,
    '--oidc-groups-claim=groups',
    ...groups.map(group => `--group=${group}`),
  )
  t.match(documents(stdout)[1], {
    kind: 'ClusterRole',
    rules: [{}, { resources: ['groups'], resourceNames: groups.toSorted() }],
  })
})

t.test('extra that the gateway writes needs a right on each of its keys', async t => {
  const { stdout } = await rbac(
    ...own,
    '--extra-user-headers=team=a,team=b,Site=c',
    '--extra-user-header-client-ip',
  )
  t.same((documents(stdout)[1] as { rules?: unknown[] }).rules?.[1], {
    verbs: ['impersonate'],
    apiGroups: ['authentication.k8s.io'],
    resources: ['userextras/remote-client-ip', 'userextras/site', 'userextras/team'],
  })
})

t.test('who may be asked for as somebody else is asked about, and the asker is named', async t => {
  const { stdout } = await rbac(...own, '--client-impersonation=authorize', '--group=dev')
  const { rules = [] } = documents(stdout)[1] as { rules?: unknown[] }
  t.same(
    rules.map(rule => (rule as { resources: string[] }).resources),
    [
      ['users'],
      ['groups'],
      ['uids'],
      ['groups', 'name', 'uid'].map(
        key => `userextras/original-user.impersonation-gateway.io/${key}`,
      ),
      ['subjectaccessreviews'],
    ],
  )
})

t.test('constrained, for a namespace and an account of its own', async t => {
  const { code, stdout, stderr } = await rbac(
    ...own,
    '--mode=constrained',
    '--namespace=a',
    '--service-account=b',
    '--allow-reserved-users=system:serviceaccount:ci:deployer',
  )
  t.same([code, stderr], [0, ''])
  t.match(documents(stdout), [
    { kind: 'ServiceAccount', metadata: { name: 'b', namespace: 'a' } },
    { kind: 'ClusterRole', metadata: { name: 'b' } },
    {
      kind: 'ClusterRoleBinding',
      roleRef: { kind: 'ClusterRole', name: 'b' },
      subjects: [{ kind: 'ServiceAccount', name: 'b', namespace: 'a' }],
    },
    {
      kind: 'Role',
      metadata: { name: 'b', namespace: 'ci' },
      rules: [{ resources: ['serviceaccounts'], resourceNames: ['deployer'] }],
    },
    {
      kind: 'RoleBinding',
      metadata: { name: 'b', namespace: 'ci' },
      roleRef: { kind: 'Role', name: 'b' },
      subjects: [{ kind: 'ServiceAccount', name: 'b', namespace: 'a' }],
    },
  ])
})

t.test('a legacy role that can say system:masters is printed with a warning', async t => {
  const warning =
    'this role can say system:masters, and serve warns of it at start and every hour; name the groups (--group=… for each, or --allowed-groups), or on Kubernetes 1.36 or newer use --mode=constrained'
  const open = await rbac(...own, '--oidc-groups-claim=groups')
  t.same([open.code, open.stderr], [0, `${warning}\n`])
  t.match(open.stdout, `\n# Attention: ${warning}\n`)
  for (const flag of ['--group=a', '--mode=constrained', '--allowed-groups=a,b']) {
    const closed = await rbac(...own, '--oidc-groups-claim=groups', flag)
    t.same([closed.code, closed.stderr], [0, ''])
    t.notMatch(closed.stdout, 'system:masters')
  }
})

t.test(
  '--allowed-groups that names each group closes the role, as far as they are sent',
  async t => {
    const printed = async (...flags: string[]) =>
      (
        documents((await rbac(...own, '--oidc-groups-claim=groups', ...flags)).stdout)[1] as {
          readonly rules: readonly unknown[]
        }
      ).rules.slice(1)
    const groups = (...names: string[]) => [
      { verbs: ['impersonate'], apiGroups: [''], resources: ['groups'], resourceNames: names },
    ]
    const allowed = '--allowed-groups=oidc:b,oidc:a,oidc:tmp,system:masters'
    t.same(
      await printed('--oidc-groups-prefix=oidc:', allowed, '--denied-groups=oidc:t*'),
      groups('oidc:a', 'oidc:b'),
    )
    t.same(await printed(allowed, '--group=oidc:a'), groups('oidc:a'))
    t.same(await printed('--allowed-groups=a,b*'), [
      { verbs: ['impersonate'], apiGroups: [''], resources: ['groups'] },
    ])
    const other = await rbac(...own, '--oidc-groups-claim=groups', allowed, '--group=oidc:c')
    t.same(
      [other.code, other.stderr],
      [2, '--group "oidc:c": is never sent: --allowed-groups does not let it\n'],
    )
  },
)

t.test(
  'tokens of no configured issuer are shown to the API server, which needs a right',
  async t => {
    const { code, stdout } = await rbac(...own, '--token-passthrough')
    t.equal(code, 0)
    t.same((documents(stdout)[1] as { readonly rules: readonly unknown[] }).rules.slice(1), [
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
    ])
  },
)

t.test('everything that is wrong is told at once', async t => {
  const { code, stdout, stderr } = await rbac(
    ...own,
    '--mode=other',
    '--user=',
    '--namespace=a.b',
    '--service-account=A',
    '--service-account',
    '--oidc-nothing=1',
  )
  t.same([code, stdout], [2, ''])
  t.same(stderr.trimEnd().split('\n'), [
    '--service-account: needs a value, as --service-account=<…>',
    '--mode "other": must be one of legacy, constrained',
    '--user "": must not be empty',
    '--service-account "A": is no name in Kubernetes: lower-case letters, digits and "-"',
    '--namespace "a.b": is no name in Kubernetes: lower-case letters, digits and "-"',
    'unknown flag "--oidc-nothing"; --help lists them',
  ])
  const sets = await rbac(...own, '--group=a', '--user=system:admin', '--user=*', '--extra-key=a')
  t.same([sets.code, sets.stdout], [2, ''])
  t.same(sets.stderr.trimEnd().split('\n'), [
    '--group "a": is not needed: callers have no groups, since --oidc-groups-claim is not given',
    '--extra-key "a": is not needed: clients may ask for nothing without --client-impersonation=authorize',
    '--user "system:admin": is never sent: names that begin with "system:" need --allow-reserved-users',
    '--user "*": would stand for every name; leave it out',
  ])
})

t.test('--help tells its own flags', async t => {
  const { code, stdout } = await rbac('--help')
  t.equal(code, 0)
  t.match(stdout, /^Usage: impersonation-gateway rbac \[flags\]\n/)
})

/** As kubectl reads it: YAML 1.1. */
const documents = (text: string): unknown[] => {
  const parsed = parseAllDocuments(text, { version: '1.1' })
  return Array.isArray(parsed) ? parsed.map(document => document.toJS() as unknown) : []
}
