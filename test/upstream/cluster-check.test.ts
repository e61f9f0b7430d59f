import t from 'tap'
import { checkCluster } from '../../lib/upstream/cluster-check.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { startApiServer, type ApiServer, type Responder } from '../actors/api-server.js'
import { tempDir, writeKubeconfig, type Teardown } from '../actors/files.js'

async function check(
  t: Teardown,
  api: ApiServer,
  { ownCredential = false, ca = api.ca } = {},
): Promise<unknown> {
  const kubeconfig = writeKubeconfig(tempDir(t), { server: api.url, ca, token: 'gateway-token' })
  const cluster = await openCluster({ kubeconfig, useOwnCredential: ownCredential })
  try {
    const findings = await checkCluster({ cluster, ownCredential }, AbortSignal.timeout(60_000))
    return findings.map(({ outcome, about, says, change }) => [
      outcome,
      about.replace(api.url, '<url>'),
      says,
      ...(change ? [change] : []),
    ])
  } finally {
    await cluster.close()
  }
}

const ours = "the gateway's credential"

/** Answers by the last part of the path. */
const answering =
  (answers: Readonly<Record<string, readonly [status: number, body: object]>>): Responder =>
  async ({ target }, answer) => {
    const [status, body] = answers[target.slice(target.lastIndexOf('/') + 1)] ?? [404, {}]
    await answer.reply(status, { 'content-type': 'application/json' }, body)
  }

t.test('an API server that answers is reached; without a credential no more is asked', async t => {
  const api = await startApiServer()
  t.teardown(() => api.close())
  api.respondWith(answering({ version: [200, { gitVersion: 'v1.36.3' }] }), { reviews: true })
  t.same(await check(t, api), [['ok', 'API server <url>', 'reached; version "v1.36.3"']])
  t.same(
    api.requests.map(({ method, target, values }) => [method, target, values('authorization')]),
    [['GET', '/version', []]],
  )
  api.respondWith(answering({ version: [403, {}] }), { reviews: true })
  t.same(await check(t, api), [
    ['ok', 'API server <url>', 'reached; it does not tell its version to strangers (status 403)'],
  ])
})

t.test("the gateway's own credential is asked about where it is in use", async t => {
  const api = await startApiServer()
  t.teardown(() => api.close())
  const user = { username: 'system:serviceaccount:a:b', groups: ['system:authenticated', 'x'] }
  const reached = ['ok', 'API server <url>', 'reached; version "v1"']
  const version = [200, { gitVersion: 'v1' }] as const
  const withCredential = (selfsubjectreviews: readonly [number, object]): Promise<unknown> => {
    api.respondWith(answering({ version, selfsubjectreviews }), { reviews: true, at: 'body' })
    return check(t, api, { ownCredential: true })
  }

  t.same(await withCredential([201, { status: { userInfo: user } }]), [
    reached,
    ['ok', ours, 'comes as "system:serviceaccount:a:b" in system:authenticated, x'],
  ])
  t.same(
    api.requests.map(({ values }) => values('authorization')),
    [[], ['Bearer gateway-token']],
  )

  t.same(await withCredential([401, {}]), [
    reached,
    [
      'failed',
      ours,
      'status 401',
      'it is wrong or has expired: renew the token or certificate of the kubeconfig user',
    ],
  ])
  t.same(await withCredential([201, { status: { userInfo: { username: 'system:anonymous' } } }]), [
    reached,
    ['failed', ours, 'comes as "system:anonymous"', 'the credential is not known'],
  ])
  t.same(await withCredential([404, {}]), [
    reached,
    ['warning', ours, 'the API server has no SelfSubjectReview: older than Kubernetes 1.28'],
  ])
})

t.test('an API server that cannot be reached, or is not trusted, is failed', async t => {
  const api = await startApiServer()
  t.teardown(() => api.close())
  const other = await startApiServer()
  t.teardown(() => other.close())
  t.same(await check(t, api, { ca: other.ca }), [
    [
      'failed',
      'API server <url>',
      'its certificate is of an authority that is not trusted',
      'put the authority of its certificate into the kubeconfig (certificate-authority)',
    ],
  ])
  await api.down()
  t.same(await check(t, api), [
    [
      'failed',
      'API server <url>',
      'the connection is refused',
      'see whether this machine can reach it by the address in the kubeconfig',
    ],
  ])
})
