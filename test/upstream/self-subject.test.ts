import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { Secret } from '../../lib/secret.js'
import { openCluster, type Cluster } from '../../lib/upstream/cluster.js'
import { selfSubject } from '../../lib/upstream/self-subject.js'
import { silence } from '../actors/api-server-answers.js'
import {
  startApiServer,
  type ApiServer,
  type RecordedRequest,
  type Responder,
} from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { kubeconfig } from './kubeconfig.js'

const token = new Secret('s3cret.s3cret.s3cret', 'bearer token')
const never = new AbortController().signal

async function subject(t: Test, path = ''): Promise<{ api: ApiServer; cluster: Cluster }> {
  const api = await startApiServer({ tls: false })
  const file = join(t.testdir(), 'config')
  writeFileSync(file, kubeconfig({ server: api.url + path }))
  const cluster = await openCluster({ kubeconfig: file, useOwnCredential: false })
  t.teardown(async () => {
    await cluster.close()
    await api.close()
  })
  return { api, cluster }
}

const review = (userInfo: unknown): object => ({
  kind: 'SelfSubjectReview',
  apiVersion: 'authentication.k8s.io/v1',
  status: { userInfo },
})

t.test('the API server is asked with the token of the caller, and nothing else', async t => {
  const { api, cluster } = await subject(t, '/clusters/a')
  const alice = { username: 'alice', uid: '7', groups: ['dev'], extra: { a: ['b'] } }
  api.respondWith((_, answer) => answer.reply(201, {}, review(alice)))
  t.strictSame(await selfSubject(cluster, token, never), { username: 'alice', groups: ['dev'] })
  const [request] = api.requests
  t.strictSame(
    [request?.method, request?.target],
    ['POST', '/clusters/a/apis/authentication.k8s.io/v1/selfsubjectreviews'],
  )
  t.strictSame(
    request?.headerLines.filter(([name]) => !['host', 'connection'].includes(name)),
    [
      ['authorization', 'Bearer s3cret.s3cret.s3cret'],
      ['content-type', 'application/json'],
      ['accept', 'application/json'],
      ['content-length', '68'],
    ],
  )
  t.strictSame(JSON.parse(String(request?.body)), {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  })
})

t.test('a user without groups has none', async t => {
  const { api, cluster } = await subject(t)
  api.respondWith((_, answer) => answer.reply(200, {}, review({ username: 'alice' })), {
    reviews: true,
  })
  t.strictSame(await selfSubject(cluster, token, never), { username: 'alice', groups: [] })
})

t.test('what does not name a user is no answer, and the token stays unsaid', async t => {
  const { api, cluster } = await subject(t)
  const cases: ReadonlyArray<readonly [number, string | object, RegExp]> = [
    [404, {}, /status 404/],
    [401, {}, /status 401/],
    [202, review({ username: 'alice' }), /status 202/],
    [302, '', /status 302/],
    [500, review({ username: 'alice' }), /status 500/],
    [201, 'no JSON', /JSON/],
    [201, '', /JSON/],
    [201, 'null', /names no user/],
    [201, '[]', /names no user/],
    [201, {}, /names no user/],
    [201, { status: { userInfo: null } }, /names no user/],
    [201, review({}), /names no user/],
    [201, review({ username: '' }), /names no user/],
    [201, review({ username: 7 }), /names no user/],
    [201, review({ username: 'alice', groups: 'dev' }), /names no user/],
    [201, review({ username: 'alice', groups: ['dev', 7] }), /names no user/],
    [201, `{"a":"${'x'.repeat(1_100_000)}"}`, /too large/],
  ]
  for (const [status, body, message] of cases) {
    api.respondWith((_, answer) => answer.reply(status, { Location: '/elsewhere' }, body), {
      reviews: true,
    })
    const error: unknown = await selfSubject(cluster, token, never).catch(
      (caught: unknown) => caught,
    )
    t.match(error, { message }, `${status} ${JSON.stringify(body).slice(0, 60)}`)
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), 's3cret')
  }
  t.ok(
    api.requests.every(({ target }) => target.endsWith('selfsubjectreviews')),
    'none is followed',
  )
})

t.test('it waits as long as its signal says', async t => {
  const { api, cluster } = await subject(t)
  const reached = deferred<RecordedRequest>()
  const hold: Responder = (request, answer) => {
    reached.resolve(request)
    return silence(request, answer)
  }
  api.respondWith(hold, { reviews: true })
  const controller = new AbortController()
  const asked = selfSubject(cluster, token, controller.signal)
  const request = await reached.promise
  controller.abort()
  await t.rejects(asked, { name: 'AbortError' })
  t.not(await request.gone, 'answered')
})
