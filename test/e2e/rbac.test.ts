import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import { runProgram } from '../actors/gateway.js'
import { apiClient, type ApiClient } from './api-client.js'
import { auditEvent } from './audit.js'
import { applied, gatewayAccount, printedRights, tokenOf, type Where } from './gateway-account.js'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { issuerFlags, startInFront, world } from './world.js'

const where = (): Where => {
  const { apiServer, ca, admin, kubectl } = world()
  return { url: apiServer.url, ca, admin, kubectl }
}
const own = (): readonly string[] => [
  ...issuerFlags(world().issuer),
  '--unsafe-use-service-account-token',
]
const groups = ['oidc:developers', 'oidc:viewers', 'oidc:ünïcode ✓']
const closed = groups.map(group => `--group=${group}`)
const skip = !world().constrainable && 'this kube-apiserver has no constrained impersonation'
const modes = { legacy: ['--mode=legacy', ...closed], constrained: ['--mode=constrained'] } as const

/** A client that has nothing but this token. */
function client(t: Test, token: string): ApiClient {
  const { apiServer, ca } = world()
  const made = apiClient({ url: apiServer.url, ca }, { token })
  t.teardown(() => made.close())
  return made
}

/** The flags of a gateway with this token, beyond those of everyone. */
function withToken(t: Test, token: string): string {
  const { apiServer, ca } = world()
  return `--kubeconfig=${writeKubeconfig(tempDir(t), { server: apiServer.url, ca, token })}`
}

/** `serve`, as far as it comes: for a credential that it refuses. */
async function refused(t: Test, kubeconfig: string): Promise<readonly string[]> {
  const ca = join(tempDir(t), 'issuer.crt')
  writeFileSync(ca, world().issuer.ca)
  const { code, stderr } = await runProgram(
    [
      'serve',
      '--bind-address=127.0.0.1',
      '--secure-port=0',
      '--admin-port=0',
      `--oidc-ca-file=${ca}`,
      ...own(),
      kubeconfig,
    ],
    { from: 'dist' },
  )
  t.equal(code, 2)
  return stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))
}

for (const [mode, flags] of Object.entries(modes)) {
  const when = mode === 'constrained' && skip !== false ? { skip } : needs('nodes')
  t.test(`${mode}: what rbac prints is applied, and is all that a gateway needs`, when, async t => {
    const name = `rights-${mode}`
    const printed = await printedRights([
      ...own(),
      ...flags,
      '--namespace=default',
      `--service-account=${name}`,
    ])
    t.match(await applied(t, where(), printed), 'created')
    t.same(
      (await applied(t, where(), printed)).trimEnd().split('\n'),
      [
        `serviceaccount/${name} unchanged`,
        `clusterrole.rbac.authorization.k8s.io/${name} unchanged`,
        `clusterrolebinding.rbac.authorization.k8s.io/${name} unchanged`,
      ],
      'and again',
    )
    const token = await tokenOf(where(), name)
    const gateway = await startInFront(t, { mode: 'gateway', flags: [withToken(t, token)] })
    t.equal(await gateway.process.metric('gateway_credential_rights{verdict="least"}'), 1)
    t.match(await gateway.process.waitForLog(line => 'incomplete' in line), {
      level: 'info',
      incomplete: false,
    })

    const alice = kubectlAs(t, 'alice', gateway)
    t.match((await alice.run('auth', 'whoami')).out, /^Username +oidc:alice$/m)
    t.equal((await alice.run('get', 'pods,nodes,namespaces')).status, 0)
    const created = await alice.run('create', 'configmap', name, '--from-literal=a=b')
    t.same(created, { status: 0, out: `configmap/${name} created\n`, err: '' })
    t.equal((await alice.run('label', 'configmap', name, 'x=y')).status, 0)
    t.equal((await alice.run('delete', 'configmap', name)).status, 0)
    t.equal((await alice.run('get', '--raw', '/version')).status, 0)
    t.equal((await alice.run('logs', 'web')).status, 0)
    for (const webSockets of ['true', 'false']) {
      const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets }
      t.same(
        await alice.runWith({ env, input: 'hi' }, 'exec', '-i', 'shell', '--', 'cat'),
        { status: 0, out: 'hi', err: '' },
        `exec, WebSocket ${webSockets}`,
      )
    }
    const watch = alice.start({}, 'get', 'pods', '-w')
    await watch.until('web')
    await watch.stop()
    t.match((await kubectlAs(t, 'bob', gateway).run('create', 'configmap', 'x')).err, 'forbidden')

    const id = randomUUID()
    await gateway.as('alice').must('GET', '/api/v1/pods', { headers: { 'Audit-ID': id } })
    const event = (await auditEvent(gateway.apiServer, id)) as {
      readonly authenticationMetadata?: { readonly impersonationConstraint?: string }
    }
    t.match(event, { impersonatedUser: { username: 'oidc:alice' } })
    t.equal(
      event.authenticationMetadata?.impersonationConstraint,
      mode === 'constrained' ? 'impersonate:user-info' : undefined,
    )
  })
}

t.test('holding cluster-admin it does not start', async t => {
  const { apiServer, ca, admin } = world()
  const path = writeKubeconfig(tempDir(t), { server: apiServer.url, ca, clientCert: admin })
  const [first = ''] = await refused(t, `--kubeconfig=${path}`)
  t.comment(first)
  t.equal(
    first,
    'the credential of the gateway has a right too much: everything (*) on everything (*)',
  )
})

t.test('a legacy role that names no group serves, and says that it is open', async t => {
  const token = await gatewayAccount(t, where(), 'rights-open', own())
  const gateway = await startInFront(t, { mode: 'gateway', flags: [withToken(t, token)] })
  t.equal(await gateway.process.metric('gateway_credential_rights{verdict="open"}'), 1)
  t.match(await gateway.process.waitForLog(line => 'open' in line), {
    level: 'warn',
    msg: /system:masters/,
    open: 'impersonate on groups',
  })
  t.equal((await kubectlAs(t, 'alice', gateway).run('get', 'pods')).status, 0)
  const headers = { 'Impersonate-User': 'x', 'Impersonate-Group': 'system:masters' }
  const secrets = await client(t, token).ask('GET', '/api/v1/secrets', { headers })
  t.equal(secrets.status, 200, 'as it can indeed')
})

t.test('a role that names system:masters is refused, beside whatever else', async t => {
  const token = await gatewayAccount(t, where(), 'rights-masters', own())
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'rights-masters-by-name' },
  }
  const { apiVersion } = role
  const rule = {
    verbs: ['impersonate'],
    apiGroups: [''],
    resources: ['groups'],
    resourceNames: ['system:masters'],
  }
  await applied(t, where(), JSON.stringify({ ...role, rules: [rule] }))
  await applied(
    t,
    where(),
    JSON.stringify({
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: role.metadata,
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: role.metadata.name,
      },
      subjects: [{ kind: 'ServiceAccount', name: 'rights-masters', namespace: 'default' }],
    }),
  )
  const itself = client(t, token)
  const listed = async (): Promise<boolean> =>
    (
      await itself.must('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
        body: { spec: { namespace: 'default' } },
      })
    ).body.includes('system:masters')
  while (!(await listed()));
  const [first] = await refused(t, withToken(t, token))
  t.equal(
    first,
    'the credential of the gateway has a right too much: impersonate on groups, named "system:masters"',
  )
})

t.test('a right beside the needed ones is refused by its name', async t => {
  const token = await gatewayAccount(t, where(), 'rights-more', [...own(), ...closed])
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'rights-more-view' },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:node-proxier',
    },
    subjects: [{ kind: 'ServiceAccount', name: 'rights-more', namespace: 'default' }],
  }
  await applied(t, where(), JSON.stringify(role))
  const itself = client(t, token)
  while ((await itself.ask('GET', '/api/v1/services')).status !== 200);
  const lines = await refused(t, withToken(t, token))
  t.ok(
    lines.includes('the credential of the gateway has a right too much: list, watch on services'),
    lines.join('\n'),
  )
})

t.test('a role that lacks a rule is told so, and the API server refuses what needs it', async t => {
  const flags = own().filter(flag => !flag.startsWith('--oidc-groups'))
  const token = await gatewayAccount(t, where(), 'rights-fewer', flags)
  const gateway = await startInFront(t, { mode: 'gateway', flags: [withToken(t, token)] })
  const warning = await gateway.process.waitForLog(line => 'missing' in line)
  t.match(warning, { level: 'warn', missing: ['impersonate on groups'] })
  const answer = await gateway.as('alice').ask('GET', '/api/v1/namespaces/default/pods')
  t.equal(answer.status, 403)
  t.match(answer.json(), { message: /cannot impersonate/ })
})

t.test('a stolen token of the constrained role can do nothing by itself', { skip }, async t => {
  const token = await gatewayAccount(t, where(), 'rights-stolen', [...own(), '--mode=constrained'])
  const { apiServer, ca } = world()
  const thief = kubectlAs(t, 'alice', { url: apiServer.url, ca }, { token })
  const said = await thief.run('auth', 'can-i', '--list', '--no-headers')
  t.equal(said.status, 0)
  const rows = said.out.trimEnd().split('\n')
  for (const row of rows) t.comment(row)
  const [resources, paths] = [/^\S/, /^\s/].map(kind => rows.filter(row => kind.test(row)))
  t.same(resources?.map(row => row.replace(/ .*\[([^ \]]*).*/, ' $1')).toSorted(), [
    '*.* impersonate-on:user-info:create',
    'groups.authentication.k8s.io impersonate:user-info',
    'selfsubjectaccessreviews.authorization.k8s.io create',
    'selfsubjectreviews.authentication.k8s.io create',
    'selfsubjectrulesreviews.authorization.k8s.io create',
    'users.authentication.k8s.io impersonate:user-info',
  ])
  t.same(
    paths?.filter(row => !/\[(get|impersonate-on:user-info:\w+)\]$/.test(row)),
    [],
    'what everybody may read, and nothing to do by itself',
  )

  const itself = client(t, token)
  const status = async (path: string, headers = {}): Promise<number> =>
    (await itself.ask('GET', path, { headers })).status
  for (const path of ['/api/v1/secrets', '/api/v1/pods', '/api/v1/nodes', '/metrics']) {
    t.equal(await status(path), 403, path)
  }
  const as = (user: string, ...names: string[]): object => ({
    'Impersonate-User': user,
    ...(names.length > 0 && { 'Impersonate-Group': names }),
  })
  for (const headers of [
    as('x', 'system:masters'),
    as('system:serviceaccount:kube-system:clusterrole-aggregation-controller'),
    as('system:node:kwok'),
    as('system:node:kwok', 'system:nodes'),
  ]) {
    t.equal(await status('/api/v1/namespaces/default/pods', headers), 403, JSON.stringify(headers))
  }
  t.equal(
    await status('/api/v1/namespaces/default/pods', as('oidc:alice', 'oidc:developers')),
    200,
    'what it is for',
  )
})

t.test('constrained: an extra key that is no domain/path is refused', { skip }, async t => {
  const flags = [...own(), '--mode=constrained']
  const { code, stderr } = await runProgram(['rbac', ...flags, '--extra-user-header-client-ip'], {
    from: 'dist',
  })
  t.equal(code, 2)
  t.match(stderr, /^--mode "constrained": cannot be constrained: .*"remote-client-ip"/)

  const token = await gatewayAccount(t, where(), 'rights-extra', flags)
  const rule = (key: string): object => ({
    verbs: ['impersonate:user-info'],
    apiGroups: ['authentication.k8s.io'],
    resources: [`userextras/${key}`],
  })
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'rights-extra-keys' },
  }
  await applied(
    t,
    where(),
    JSON.stringify({ ...role, rules: [rule('remote-client-ip'), rule('example.com/ip')] }),
  )
  await applied(
    t,
    where(),
    JSON.stringify({
      ...role,
      kind: 'ClusterRoleBinding',
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'rights-extra-keys',
      },
      subjects: [{ kind: 'ServiceAccount', name: 'rights-extra', namespace: 'default' }],
    }),
  )
  const itself = client(t, token)
  const asked = (key: string) =>
    itself.ask('GET', '/api/v1/namespaces/default/pods', {
      headers: {
        'Impersonate-User': 'oidc:alice',
        'Impersonate-Group': 'oidc:developers',
        [`Impersonate-Extra-${key}`]: '127.0.0.1',
      },
    })
  while ((await asked('example.com%2Fip')).status !== 200);
  const refusal = await asked('remote-client-ip')
  t.equal(refusal.status, 403)
  t.match(refusal.json(), { message: /impersonating an invalid key in extra is not allowed/ })
})
