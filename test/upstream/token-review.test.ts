import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Secret } from '../../lib/secret.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { tokenReview } from '../../lib/upstream/token-review.js'
import { startApiServer } from '../actors/api-server.js'
import { kubeconfig } from './kubeconfig.js'

const never = new AbortController().signal
const token = new Secret('foreign-token', 'token')

t.test('the gateway asks with its own credential whose another token is', async t => {
  const api = await startApiServer({ tls: false })
  const file = join(t.testdir(), 'config')
  writeFileSync(file, kubeconfig({ server: api.url, user: { token: 'own' } }))
  const cluster = await openCluster({ kubeconfig: file, useOwnCredential: true })
  t.teardown(async () => {
    await cluster.close()
    await api.close()
  })
  const says = async (
    status: object | number,
    audiences: readonly string[] = [],
  ): Promise<unknown> => {
    api.decide(() => status)
    return tokenReview(cluster, token, audiences, never).catch((error: unknown) => String(error))
  }
  const user = { username: 'a', uid: '7', groups: ['b'], extra: { c: ['d'] } }
  t.strictSame(await says({ authenticated: true, user, audiences: ['x'] }, ['x', 'y']), {
    authenticated: true,
    identity: { username: 'a', uid: '7', groups: ['b'], extra: {} },
    audiences: ['x'],
  })
  const [request] = api.requests
  t.equal(request?.target, '/apis/authentication.k8s.io/v1/tokenreviews')
  t.strictSame(request?.values('authorization'), ['Bearer own'])
  t.strictSame(request?.values('impersonate-user'), [])
  t.strictSame(JSON.parse(String(request?.body)), {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: 'foreign-token', audiences: ['x', 'y'] },
  })
  t.strictSame(await says({ authenticated: true, user: { username: 'a' } }), {
    authenticated: true,
    identity: { username: 'a', groups: [], extra: {} },
    audiences: [],
  })
  t.strictSame(JSON.parse(String(api.requests[1]?.body)).spec, { token: 'foreign-token' })
  t.strictSame(await says({ authenticated: false, error: 'no' }), { authenticated: false })
  t.strictSame(await says({ user: {}, error: 'no' }), { authenticated: false }, 'as kube says no')
  for (const status of [
    { authenticated: 'true', user },
    { authenticated: 1, user },
    { authenticated: true },
    { authenticated: true, user: { username: '' } },
    { authenticated: true, user: { username: 'a', groups: 'b' } },
    { authenticated: true, user, audiences: 'x' },
    403,
    500,
  ]) {
    t.match(await says(status), /^Error: (the answer|status)/, JSON.stringify(status))
  }
})
