import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { auditEvent } from './audit.js'
import { has } from './needs.js'
import { until } from './until.js'
import { modes, startInFront, type GatewayInFront } from './world.js'

const pods = '/api/v1/namespaces/default/pods'
const skip = !modes().includes('caller') && 'this run is about the account of the gateway'

t.test('never: the API server has the token, and is told nothing', { skip }, async t => {
  const gateway = await startInFront(t, { mode: 'caller', flags: ['--impersonation=never'] })
  const event = await listing(gateway)
  t.match(event, { user: { username: 'oidc:alice' }, responseStatus: { code: 200 } })
  t.notHas(event, 'impersonatedUser')
})

for (const [impersonation, why, options] of [
  ['always', 'is told to whom the token belongs', { skip }],
  [
    'auto',
    'that cannot say for whom it takes the caller is told',
    { skip: has('self-subject-review') ? 'this API server can say for whom' : skip },
  ],
] as const) {
  t.test(`${impersonation}: an API server ${why}, and decides`, options, async t => {
    const flags = [`--impersonation=${impersonation}`]
    const gateway = await startInFront(t, { mode: 'caller', flags })
    const answer = await gateway.as('alice').ask('GET', pods)
    t.equal(answer.status, 403)
    t.match(answer.json(), { message: /User "oidc:alice" cannot impersonate/ })

    await mayBeHerself(t, gateway)
    await until('RBAC has read that', async () => {
      return (await gateway.as('alice').ask('GET', pods)).status === 200
    })
    const alice = { username: 'oidc:alice' }
    t.match(await listing(gateway), {
      user: alice,
      impersonatedUser: {
        ...alice,
        groups: ['oidc:developers', 'oidc:ünïcode ✓', 'system:authenticated'],
      },
      responseStatus: { code: 200 },
    })
  })
}

/** What the API server says in its audit log of a list of pods for alice. */
async function listing(gateway: GatewayInFront): Promise<object> {
  const id = randomUUID()
  await gateway.as('alice').must('GET', pods, { headers: { 'Audit-ID': id } })
  return await auditEvent(gateway.apiServer, id)
}

async function mayBeHerself(t: Test, { behind }: GatewayInFront): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const metadata = { name: 'alice-may-be-herself' }
  const rule = (resource: string, resourceNames: readonly string[]): object => ({
    apiGroups: [''],
    resources: [resource],
    resourceNames,
    verbs: ['impersonate'],
  })
  t.teardown(async () => {
    for (const kind of ['clusterrolebindings', 'clusterroles'])
      await behind.must('DELETE', `${rbac}/${kind}/${metadata.name}`)
  })
  const rules = [
    rule('users', ['oidc:alice']),
    rule('groups', ['oidc:developers', 'oidc:ünïcode ✓']),
  ]
  await behind.must('POST', `${rbac}/clusterroles`, { body: { metadata, rules } })
  await behind.must('POST', `${rbac}/clusterrolebindings`, {
    body: {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'oidc:alice' }],
    },
  })
}
