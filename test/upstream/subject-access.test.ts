import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openCluster, type Cluster } from '../../lib/upstream/cluster.js'
import { subjectAccess } from '../../lib/upstream/subject-access.js'
import { silence } from '../actors/api-server-answers.js'
import { startApiServer, statusBody, type ApiServer } from '../actors/api-server.js'
import { kubeconfig } from './kubeconfig.js'

const never = new AbortController().signal
const spec = {
  user: 'alice',
  groups: ['dev'],
  resourceAttributes: { verb: 'impersonate', group: '', resource: 'users', name: 'bøb' },
}

async function subject(t: Test): Promise<{ api: ApiServer; cluster: Cluster; folder: string }> {
  const api = await startApiServer({ tls: false })
  const folder = t.testdir({ token: 'own-1' })
  const file = join(folder, 'config')
  const user = { tokenFile: join(folder, 'token') }
  writeFileSync(file, kubeconfig({ server: api.url, user }))
  const cluster = await openCluster({ kubeconfig: file, useOwnCredential: true })
  t.teardown(async () => {
    await cluster.close()
    await api.close()
  })
  return { api, cluster, folder }
}

t.test('the gateway asks with its own credential, and as nobody else', async t => {
  const { api, cluster } = await subject(t)
  api.decide(() => ({ allowed: true }))
  t.equal(await subjectAccess(cluster, spec, never), true)
  const [request] = api.requests
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec,
  }
  t.strictSame(
    [request?.method, request?.target],
    ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews'],
  )
  t.strictSame(
    request?.headerLines.filter(([name]) => !['host', 'connection'].includes(name)),
    [
      ['authorization', 'Bearer own-1'],
      ['content-type', 'application/json'],
      ['accept', 'application/json'],
      ['content-length', String(Buffer.byteLength(JSON.stringify(body)))],
    ],
  )
  t.strictSame(JSON.parse(String(request?.body)), body)
})

t.test('only a plain yes is one', async t => {
  const { api, cluster } = await subject(t)
  const says = async (status: object | number): Promise<unknown> => {
    api.decide(() => status)
    return subjectAccess(cluster, spec, never).catch((error: unknown) => String(error))
  }
  t.equal(await says({ allowed: true, reason: 'x' }), true)
  t.equal(await says({ allowed: false }), false)
  t.equal(await says({ allowed: false, denied: true }), false)
  t.equal(await says({ allowed: true, denied: true }), false)
  t.equal(await says({ allowed: true, evaluationError: 'a rule is missing' }), true)
  const unclear = 'Error: the answer says neither yes nor no'
  for (const status of [{}, { allowed: 'true' }, { allowed: 1 }, { allowed: null }, []]) {
    t.equal(await says(status), unclear, JSON.stringify(status))
  }
  for (const status of [400, 403, 404, 409, 429, 500, 503]) {
    t.equal(await says(status), `Error: status ${status}`)
  }
  api.respondWith((_, answer) => answer.reply(201, {}, 'allowed'), { reviews: true })
  t.match(await subjectAccess(cluster, spec, never).catch(String), /SyntaxError/)
  api.respondWith((_, answer) => answer.reply(201, {}, 'x'.repeat(1024 * 1024 + 1)), {
    reviews: true,
  })
  t.match(await subjectAccess(cluster, spec, never).catch(String), /too large/)
})

t.test('a credential that was replaced is read anew', async t => {
  const { api, cluster, folder } = await subject(t)
  api.respondWith(
    (request, answer) =>
      request.values('authorization').join() === 'Bearer own-2'
        ? answer.reply(201, {}, { status: { allowed: true } })
        : answer.reply(401, {}, statusBody(401, 'Unauthorized')),
    { reviews: true },
  )
  writeFileSync(join(folder, 'token'), 'own-2')
  t.equal(await subjectAccess(cluster, spec, never), true)
  t.equal(api.requests.length, 2)
  writeFileSync(join(folder, 'token'), 'own-3')
  await cluster.refresh()
  await t.rejects(subjectAccess(cluster, spec, never), /status 401/)
})

t.test('it waits as long as its signal says', async t => {
  const { api, cluster } = await subject(t)
  api.respondWith(silence, { reviews: true })
  const controller = new AbortController()
  const asked = subjectAccess(cluster, spec, controller.signal)
  controller.abort(new Error('time is up'))
  await t.rejects(asked, /time is up/)
})
