import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { modes, startInFront } from './world.js'

t.test('allowed groups are whom one is in, and the others give no right', async t => {
  const flags = ['--allowed-groups=oidc:developers,oidc:testers', '--max-groups=1']
  const gateway = await startInFront(t, { mode: 'gateway', flags })
  t.equal(await gateway.process.metric('gateway_credential_rights{verdict="least"}'), 1)
  const alice = kubectlAs(t, 'alice', gateway)
  t.match(
    (await alice.run('auth', 'whoami')).out,
    /^Groups +\[oidc:developers system:authenticated\]$/m,
  )
  t.equal((await alice.run('get', 'pods')).status, 0)
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
  t.match((await bob.run('auth', 'whoami')).out, /^Groups +\[system:authenticated\]$/m)
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
  t.test("caller's token: who has a group less is another, whom RBAC must let him be", async t => {
    const flags = ['--denied-groups=oidc:ü*']
    const gateway = await startInFront(t, { mode: 'caller', flags })
    t.equal((await kubectlAs(t, 'bob', gateway).run('get', 'pods')).status, 0)
    const answer = await gateway.as('alice').ask('GET', '/api/v1/namespaces/default/pods')
    t.equal(answer.status, 403)
    t.match(answer.json(), { message: /User "oidc:alice" cannot impersonate/ })
  })
}
