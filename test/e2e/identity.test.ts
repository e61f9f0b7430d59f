import { randomUUID } from 'node:crypto'
import t from 'tap'
import { apiClient } from './api-client.js'
import { auditEvent } from './audit.js'
import { accountOfAll } from './gateway-account.js'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { inBothModes, world } from './world.js'

inBothModes(t, needs(), (t, gateway, mode) => {
  const title = 'auth whoami: the API server takes the caller for whom the gateway says'
  t.test(title, needs('self-subject-review'), async t => {
    t.same(await kubectlAs(t, 'alice', gateway).run('auth', 'whoami'), {
      status: 0,
      out: 'ATTRIBUTE   VALUE\nUsername    oidc:alice\nGroups      [oidc:developers oidc:ünïcode ✓ system:authenticated]\n',
      err: '',
    })
  })

  t.test('RBAC allows and denies by the mapped names', async t => {
    const bob = kubectlAs(t, 'bob', gateway)
    t.equal((await bob.run('get', 'pods')).status, 0)
    t.same(await bob.run('create', 'configmap', 'not-his'), {
      status: 1,
      out: '',
      err: 'error: failed to create configmap: configmaps is forbidden: User "oidc:bob" cannot create resource "configmaps" in API group "" in the namespace "default"\n',
    })
    const rules = (await bob.run('auth', 'can-i', '--list', '--no-headers')).out
    t.match(rules, /^configmaps +\[\] +\[\] +\[get list watch\]$/m)
    t.same(await bob.run('auth', 'can-i', 'delete', 'pods'), { status: 1, out: 'no\n', err: '' })

    const carol = kubectlAs(t, 'carol', gateway)
    t.match(await carol.run('get', 'pods'), {
      status: 1,
      err: 'Error from server (Forbidden): pods is forbidden: User "oidc:carol" cannot list resource "pods" in API group "" in the namespace "default"\n',
    })
  })

  t.test('--as changes nothing, and says so', async t => {
    const bob = kubectlAs(t, 'bob', gateway)
    for (const as of [['--as=oidc:alice'], ['--as=admin', '--as-group=system:masters']]) {
      const { status, err } = await bob.run(...as, 'create', 'configmap', 'not-his')
      t.equal(status, 1)
      t.match(
        err,
        /^Warning: impersonation-gateway ignored the Impersonate-\* headers of this request$/m,
      )
      t.match(err, 'configmaps is forbidden: User "oidc:bob" cannot create')
    }
  })

  t.test('the audit log of the API server has the caller, his groups, and our id', async t => {
    const id = randomUUID()
    const path = '/api/v1/namespaces/default/pods'
    const answer = await gateway.as('alice').must('GET', path, { headers: { 'Audit-ID': id } })
    t.equal(answer.headers['audit-id'], id)
    const caller = {
      username: 'oidc:alice',
      groups: ['oidc:developers', 'oidc:ünïcode ✓', 'system:authenticated'],
    }
    const itself = { username: `system:serviceaccount:default:${accountOfAll}` }
    const event = await auditEvent(gateway.apiServer, id)
    t.match(event, {
      verb: 'list',
      requestURI: path,
      responseStatus: { code: 200 },
      ...(mode === 'gateway' ? { user: itself, impersonatedUser: caller } : { user: caller }),
    })
    if (mode === 'caller') t.notHas(event, 'impersonatedUser')
    const line = await gateway.process.waitForLog(one => one['auditID'] === id)
    t.match(line, { user: 'oidc:alice', groups: 2, status: 200 })
  })

  t.test('an id that is none is replaced, everywhere by the same', async t => {
    const headers = { 'Audit-ID': 'not-a-uuid' }
    const answer = await gateway.as('alice').must('GET', '/version', { headers })
    const id = String(answer.headers['audit-id'])
    t.match(id, /^[0-9a-f]{8}-/)
    t.match(await auditEvent(gateway.apiServer, id), { requestURI: '/version' })
  })

  t.test('who has no token, or another one, is told so as kubectl understands it', async t => {
    const { ca, url } = gateway
    const other = apiClient({ url, ca }, { token: world().gatewayToken })
    t.teardown(() => other.close())
    const answer = await other.ask('GET', '/api')
    t.equal(answer.status, 401)
    t.match(answer.json(), { kind: 'Status', reason: 'Unauthorized', code: 401 })
  })
})

t.test('what the gateway may is to impersonate, and nothing else', async t => {
  const { ca, apiServer, gatewayToken } = world()
  const itself = apiClient({ url: apiServer.url, ca }, { token: gatewayToken })
  t.teardown(() => itself.close())
  t.equal((await itself.ask('GET', '/api/v1/namespaces/default/pods')).status, 403)
})
