import { randomUUID } from 'node:crypto'
import t from 'tap'
import { auditEvent } from './audit.js'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { startInFront } from './world.js'

const when = needs('self-subject-review', 'nodes')
t.test('auto: an API server that sees the same caller is not told who it is', when, async t => {
  const gateway = await startInFront(t, { mode: 'caller' })
  const id = randomUUID()
  const headers = { 'Audit-ID': id }
  await gateway.as('alice').must('GET', '/api/v1/namespaces/default/pods', { headers })
  const event = await auditEvent(gateway.apiServer, id)
  t.match(event, { user: { username: 'oidc:alice' }, responseStatus: { code: 200 } })
  t.notHas(event, 'impersonatedUser')

  const alice = kubectlAs(t, 'alice', gateway)
  t.match((await alice.run('auth', 'whoami')).out, /^Username +oidc:alice$/m)
  for (const webSockets of ['true', 'false']) {
    const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets }
    t.same(await alice.runWith({ env, input: 'hi' }, 'exec', '-i', 'shell', '--', 'cat'), {
      status: 0,
      out: 'hi',
      err: '',
    })
  }
  t.match(
    (await kubectlAs(t, 'carol', gateway).run('get', 'pods')).err,
    'User "oidc:carol" cannot list resource "pods"',
  )
})

const can = needs('self-subject-review')
t.test('auto: one that sees another caller decides if he may be the mapped one', can, async t => {
  const flags = ['--oidc-username-prefix=other:', '--oidc-groups-prefix=other:']
  const gateway = await startInFront(t, { mode: 'caller', flags })
  const alice = kubectlAs(t, 'alice', gateway)
  const answer = await gateway.as('alice').ask('GET', '/api/v1/namespaces/default/pods')
  t.equal(answer.status, 403)
  t.match(answer.json(), {
    kind: 'Status',
    reason: 'Forbidden',
    message: /"other:alice" is forbidden: User "oidc:alice" cannot impersonate/,
  })

  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const metadata = { name: 'alice-may-be-another' }
  const rules = [{ apiGroups: [''], resources: ['users', 'groups'], verbs: ['impersonate'] }]
  t.teardown(async () => {
    for (const kind of ['clusterrolebindings', 'clusterroles'])
      await gateway.behind.must('DELETE', `${rbac}/${kind}/${metadata.name}`)
  })
  await gateway.behind.must('POST', `${rbac}/clusterroles`, { body: { metadata, rules } })
  await gateway.behind.must('POST', `${rbac}/clusterrolebindings`, {
    body: {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'oidc:alice' }],
    },
  })
  let said = await alice.run('auth', 'whoami')
  // RBAC reads its rules from a cache of its own.
  for (let left = 40; said.status !== 0 && left > 0; left -= 1)
    said = await alice.run('auth', 'whoami')
  t.same(said, {
    status: 0,
    out: 'ATTRIBUTE   VALUE\nUsername    other:alice\nGroups      [other:developers other:ünïcode ✓ system:authenticated]\n',
    err: '',
  })
})
