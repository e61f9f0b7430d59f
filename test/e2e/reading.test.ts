import { KubeConfig, makeInformer, CoreV1Api, type V1ConfigMap } from '@kubernetes/client-node'
import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { create, inParallel } from './objects.js'
import { until } from './until.js'
import { inBothModes, type GatewayInFront } from './world.js'

inBothModes(t, needs(), (t, gateway) => {
  const kubectl = kubectlAs(t, 'alice', gateway)
  const alice = gateway.as('alice')

  t.test('get shows a table, and one object whole', async t => {
    t.match((await kubectl.run('get', 'pods')).out, /^web +1\/1 +Running +0 /m)
    const { out } = await kubectl.run('get', 'pod', 'web', '-o', 'yaml')
    t.match(out, /^ {2}nodeName: kwok$/m)
  })

  t.test('api-resources, api-versions and explain know what the API server knows', async t => {
    const known = (await kubectl.run('api-resources', '-o', 'name')).out.split('\n')
    t.ok(
      ['pods', 'deployments.apps', 'roles.rbac.authorization.k8s.io'].every(one =>
        known.includes(one),
      ),
    )
    t.match((await kubectl.run('api-versions')).out, /^apps\/v1$/m)
    const { out } = await kubectl.run('explain', 'pods.spec.containers.image')
    t.match(out, /FIELD: +image <string>/)
  })

  t.test('top is refused by what is not there, not by the gateway', async t => {
    t.same(await kubectl.run('top', 'pods'), {
      status: 1,
      out: '',
      err: 'error: Metrics API not available\n',
    })
  })

  t.test('--request-timeout goes with the request', async t => {
    t.equal((await kubectl.run('get', 'pods', '--request-timeout=30s')).status, 0)
  })

  for (const [kind, accept, options] of [
    [
      'aggregated discovery',
      'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
      needs('aggregated-discovery'),
    ],
    ['discovery', 'application/json', needs()],
  ] as const) {
    t.test(`${kind} is what the API server says`, options, async t => {
      for (const path of ['/api', '/apis']) {
        const headers = { Accept: accept }
        const [here, there] = await Promise.all([
          alice.must('GET', path, { headers }),
          gateway.behind.must('GET', path, { headers }),
        ])
        t.equal(here.headers['content-type'], there.headers['content-type'])
        t.equal(here.headers.etag, there.headers.etag)
        t.ok(here.body.equals(there.body), path)
      }
    })
  }

  t.test('OpenAPI v3 is what the API server says', needs('openapi-v3'), async t => {
    const [here, there] = await Promise.all([
      alice.must('GET', '/openapi/v3'),
      gateway.behind.must('GET', '/openapi/v3'),
    ])
    t.ok(here.body.equals(there.body), '/openapi/v3')
  })

  t.test('protobuf goes there and back unread', async t => {
    const path = '/api/v1/namespaces/default/configmaps'
    await alice.must('POST', path, {
      body: { metadata: { name: 'in-protobuf' }, data: { a: 'b' } },
    })
    const type = 'application/vnd.kubernetes.protobuf'
    const got = await alice.must('GET', `${path}/in-protobuf`, { headers: { Accept: type } })
    t.equal(got.headers['content-type'], type)
    t.equal(got.body.subarray(0, 4).toString('latin1'), 'k8s\0')
    const put = await alice.must('PUT', `${path}/in-protobuf`, {
      headers: { 'Content-Type': type, Accept: 'application/json' },
      body: got.body,
    })
    t.match(put.json(), { data: { a: 'b' } })
    await alice.must('DELETE', `${path}/in-protobuf`)
  })

  t.test('an informer keeps up with a thousand objects', async t => {
    const path = '/api/v1/namespaces/default/configmaps'
    await create(gateway.behind, path, 'watched', 1_000)
    const config = new KubeConfig()
    config.loadFromFile(kubectl.kubeconfigFile)
    const core = config.makeApiClient(CoreV1Api)
    const labelSelector = 'of=watched'
    const informer = makeInformer<V1ConfigMap>(
      config,
      path,
      () => core.listNamespacedConfigMap({ namespace: 'default', labelSelector }),
      labelSelector,
    )
    const seen = { add: 0, update: 0, delete: 0 }
    for (const kind of ['add', 'update', 'delete'] as const)
      informer.on(kind, () => (seen[kind] += 1))
    await informer.start()
    await until('all are listed', () => seen.add === 1_000)
    await inParallel(1_000, at =>
      gateway.behind.must('PATCH', `${path}/watched-${at}`, {
        headers: { 'Content-Type': 'application/merge-patch+json' },
        body: { data: { changed: 'yes' } },
      }),
    )
    await until('all changes are seen', () => seen.update === 1_000)
    await gateway.behind.must('DELETE', `${path}?labelSelector=${labelSelector}`)
    await until('all are seen to go', () => seen.delete === 1_000)
    await informer.stop()
    t.same(seen, { add: 1_000, update: 1_000, delete: 1_000 })
    await until('its watch is closed', async () => (await openWatches(gateway)) === 0)
  })

  t.test('get -w shows what happens, when it happens', async t => {
    const watching = kubectl.start({}, 'get', 'configmaps', '-w', '-l', 'of=watch')
    await until('the watch is open', async () => (await openWatches(gateway)) === 1)
    await create(gateway.behind, '/api/v1/namespaces/default/configmaps', 'watch', 1)
    t.match(await watching.until('watch-0 '), /^watch-0 +1 +\d+s$/m)
    await watching.stop()
    await until('its watch is closed', async () => (await openWatches(gateway)) === 0)
    await gateway.behind.must('DELETE', '/api/v1/namespaces/default/configmaps/watch-0')
  })
})

const openWatches = ({ process }: GatewayInFront): Promise<number | undefined> =>
  process.metric('gateway_open_streams{kind="watch"}')
