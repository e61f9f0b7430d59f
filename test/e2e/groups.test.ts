import { randomUUID } from 'node:crypto'
import t from 'tap'
import { auditEvent } from './audit.js'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { modes, startInFront, type GatewayInFront, type User } from './world.js'

/** The groups in which the API server has this user. */
async function seen(gateway: GatewayInFront, user: User): Promise<readonly string[] | undefined> {
  const id = randomUUID()
  await gateway.as(user).must('GET', '/version', { headers: { 'Audit-ID': id } })
  const event = (await auditEvent(gateway.apiServer, id)) as {
    readonly impersonatedUser?: { readonly groups: readonly string[] }
  }
  return event.impersonatedUser?.groups
}

t.test('allowed groups are whom one is in, and the others give no right', async t => {
  const flags = ['--allowed-groups=oidc:developers,oidc:testers', '--max-groups=1']
  const gateway = await startInFront(t, { mode: 'gateway', flags })
  t.equal(await gateway.process.metric('gateway_credential_rights{verdict="least"}'), 1)
  t.same(await seen(gateway, 'alice'), ['oidc:developers', 'system:authenticated'])
  t.equal((await kubectlAs(t, 'alice', gateway).run('get', 'pods')).status, 0)
  t.equal(await gateway.process.metric('gateway_groups_left_out_total'), 1)
  t.match(await kubectlAs(t, 'bob', gateway).run('get', 'pods'), {
    status: 1,
    err: /User "oidc:bob" cannot list resource "pods"/,
  })
})

t.test('denied groups are left out, and what is left is counted', async t => {
  const flags = ['--denied-groups=oidc:view*', '--max-groups=1']
  const gateway = await startInFront(t, { mode: 'gateway', flags })
  const bob = kubectlAs(t, 'bob', gateway)
  t.same(await seen(gateway, 'bob'), ['system:authenticated'])
  t.match((await bob.run('get', 'pods')).err, 'User "oidc:bob" cannot list resource "pods"')
  const answer = await gateway.as('alice').ask('GET', '/api/v1/namespaces/default/pods')
  t.equal(answer.status, 431)
  t.match(answer.json(), {
    kind: 'Status',
    reason: 'RequestHeaderFieldsTooLarge',
    message: 'the identity has too many groups: 2, at most 1',
  })
})

if (modes().includes('caller')) {
  const when = needs('self-subject-review')
  const title = "caller's token: who has a group less is another, whom RBAC must let him be"
  t.test(title, when, async t => {
    const flags = ['--denied-groups=oidc:ü*']
    const gateway = await startInFront(t, { mode: 'caller', flags })
    t.equal((await kubectlAs(t, 'bob', gateway).run('get', 'pods')).status, 0)
    const answer = await gateway.as('alice').ask('GET', '/api/v1/namespaces/default/pods')
    t.equal(answer.status, 403)
    t.match(answer.json(), { message: /User "oidc:alice" cannot impersonate/ })
  })
}
