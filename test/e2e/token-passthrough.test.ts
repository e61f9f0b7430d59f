import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { apiClient } from './api-client.js'
import { auditEvent } from './audit.js'
import { administratorsKubectl, kubectlAs } from './kubectl.js'
import { modes, startInFront, world, type GatewayInFront } from './world.js'

/** Tokens that the cluster itself makes, for a service account that may read pods. */
let robotsToken: (...flags: readonly string[]) => Promise<string>

t.before(async () => {
  const admin = administratorsKubectl(t)
  const must = async (...args: readonly string[]): Promise<string> => {
    const { status, out, err } = await admin.run(...args)
    if (status !== 0) throw new Error(err)
    return out.trim()
  }
  await must('create', 'serviceaccount', 'robot')
  const subject = '--serviceaccount=default:robot'
  await must('create', 'rolebinding', 'robot', '--clusterrole=viewer', subject)
  robotsToken = (...flags) => must('create', 'token', 'robot', ...flags)
})

const pods = '/api/v1/namespaces/default/pods'

/** What an answer to a list of pods is for this token. */
async function asked(t: Test, gateway: GatewayInFront, token: string): Promise<unknown> {
  const client = apiClient(gateway, { token })
  t.teardown(() => client.close())
  const { status, body } = await client.ask('GET', pods)
  const { kind, reason } = JSON.parse(body.toString()) as Record<string, unknown>
  return { status, kind, ...(reason !== undefined && { reason }) }
}
const listed = { status: 200, kind: 'PodList' }
const refused = { status: 401, kind: 'Status', reason: 'Unauthorized' }

for (const mode of modes()) {
  t.test(`a token of the cluster itself is passed on as it is (${mode} mode)`, async t => {
    const gateway = await startInFront(t, { mode, flags: ['--token-passthrough'] })
    const token = await robotsToken()
    const robot = kubectlAs(t, 'alice', gateway, { token })
    t.match((await robot.run('get', 'pods')).out, /^web +1\/1 +Running /m)
    t.match(
      (await robot.run('delete', 'pod', 'web')).err,
      'User "system:serviceaccount:default:robot" cannot delete resource "pods"',
    )
    const id = randomUUID()
    const client = apiClient(gateway, { token })
    t.teardown(() => client.close())
    await client.must('GET', pods, { headers: { 'Audit-ID': id } })
    const event = await auditEvent(gateway.apiServer, id)
    t.match(event, { user: { username: 'system:serviceaccount:default:robot' } })
    t.notHas(event, 'impersonatedUser')
    t.match(await gateway.process.waitForLog(line => line['auditID'] === id), {
      decision: 'token_passthrough',
      status: 200,
    })
    t.equal((await gateway.as('alice').ask('GET', pods)).status, 200, 'others come as ever')
  })

  t.test(`a token that nobody knows is refused (${mode} mode)`, async t => {
    const gateway = await startInFront(t, { mode, flags: ['--token-passthrough'] })
    const forged = (token: string): string => {
      const [head = '', , signature = ''] = token.split('.')
      const claims = { iss: 'https://kubernetes.default.svc', sub: 'admin', exp: 4e9 }
      return [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
    }
    for (const [what, token] of Object.entries({
      opaque: 'nobody-knows-this',
      'of the cluster, with other claims': forged(await robotsToken()),
      'of the cluster, for somebody else': await robotsToken('--audience=somebody-else'),
      'of the issuer, without its signature': world().tokens.alice.replace(/\.[^.]*$/, '.c2ln'),
    })) {
      t.same(await asked(t, gateway, token), refused, what)
    }
    t.same(await asked(t, gateway, await robotsToken()), listed)
  })
}

t.test('a token that is passed on is meant for the gateway, where that is asked for', async t => {
  const flags = ['--token-passthrough', '--token-passthrough-audiences=gateway']
  const gateway = await startInFront(t, { mode: 'gateway', flags })
  t.same(await asked(t, gateway, await robotsToken()), refused)
  const both = ['--audience=gateway', '--audience=https://kubernetes.default.svc']
  t.same(await asked(t, gateway, await robotsToken(...both)), listed)
})
