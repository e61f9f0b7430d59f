import { Agent, fetch, type RequestInit } from 'undici'
import t, { type Test } from 'tap'
import {
  startKubernetesApi,
  type KubernetesApi,
  type KubernetesApiOptions,
  type SeenRequest,
} from '../../lib/demo/kubernetes-api.js'

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

type Ask = (
  path: string,
  init?: RequestInit & { as?: readonly [string, string][] },
) => Promise<Answer>

async function start(
  t: Test,
  options: KubernetesApiOptions = {},
): Promise<{ api: KubernetesApi; agent: Agent; admin: Ask; gateway: Ask }> {
  const api = await startKubernetesApi(options)
  const agent = new Agent({ connect: { ca: api.ca } })
  t.teardown(async () => {
    await agent.close()
    await api.close()
  })
  const asker =
    (token: string): Ask =>
    async (path, { as = [], headers = [], ...init } = {}) => {
      const response = await fetch(api.url + path, {
        ...init,
        dispatcher: agent,
        headers: [['authorization', `Bearer ${token}`], ...(headers as [string, string][]), ...as],
      })
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    }
  return { api, agent, admin: asker(api.adminToken), gateway: asker(api.gatewayToken) }
}

const json: [string, string][] = [['content-type', 'application/json']]

function configMap(name: string, data: object, more: object = {}): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...more }, data })
}

t.test('a token that nobody has is 401, none at all may read the version only', async t => {
  const { api, agent } = await start(t)
  const ask = async (path: string, headers: Record<string, string>): Promise<unknown> => {
    const response = await fetch(api.url + path, { dispatcher: agent, headers })
    return { status: response.status, body: await response.json() }
  }
  t.same(await ask('/api/v1/pods', { authorization: 'Bearer nobody' }), {
    status: 401,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Unauthorized',
      reason: 'Unauthorized',
      code: 401,
    },
  })
  t.match(await ask('/version', {}), { status: 200, body: { major: '1' } })
  t.match(await ask('/api', {}), {
    status: 403,
    body: { message: 'forbidden: User "system:anonymous" cannot get path "/api"' },
  })
})

t.test('a caller takes only the names that it may impersonate', async t => {
  const { gateway, admin } = await start(t, {
    authenticate: token =>
      token === 'alice' ? { username: 'alice', groups: ['developers'] } : undefined,
  })
  const review = { method: 'POST', headers: json, body: '{}' }
  const whoami = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

  const taken = await gateway(whoami, {
    ...review,
    as: [
      ['impersonate-user', latin1('José ✓')],
      ['impersonate-group', 'developers'],
    ],
  })
  t.same(taken.body['status'], {
    userInfo: { username: 'José ✓', groups: ['developers', 'system:authenticated'] },
  })

  const { status, body } = await gateway(whoami, {
    ...review,
    as: [
      ['impersonate-user', 'alice'],
      ['impersonate-uid', '1'],
    ],
  })
  t.equal(status, 403)
  t.equal(
    body['message'],
    'uids.authentication.k8s.io "1" is forbidden: User "system:serviceaccount:gateway:gateway" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope',
  )
  const extra = await gateway(whoami, {
    ...review,
    as: [
      ['impersonate-user', 'alice'],
      ['impersonate-extra-example.com%2fkey', 'value'],
    ],
  })
  t.match(extra.body['message'], /"userextras\/example.com\/key" in API group "authentication/)

  const half = await gateway(whoami, { ...review, as: [['impersonate-group', 'developers']] })
  t.equal(half.status, 400, 'groups without a user')
  const account = await gateway(whoami, {
    ...review,
    as: [['impersonate-user', 'system:serviceaccount:kube-system:default']],
  })
  t.match(
    account.body['message'],
    /cannot impersonate resource "serviceaccounts" .* in the namespace "kube-system"/,
  )

  const all = await admin(whoami, {
    ...review,
    as: [
      ['impersonate-user', 'system:serviceaccount:kube-system:default'],
      ['impersonate-extra-scopes', 'a'],
      ['impersonate-uid', '7'],
    ],
  })
  t.same(all.body['status'], {
    userInfo: {
      username: 'system:serviceaccount:kube-system:default',
      uid: '7',
      groups: [
        'system:serviceaccounts',
        'system:serviceaccounts:kube-system',
        'system:authenticated',
      ],
      extra: { scopes: ['a'] },
    },
  })
})

t.test('a test sees each request as it came, and whom it was taken for', async t => {
  const seen: SeenRequest[] = []
  const { gateway, api } = await start(t, { seen: request => seen.push(request) })
  await gateway('/api/v1/pods?limit=1', {
    as: [
      ['impersonate-user', 'carol'],
      ['impersonate-group', 'viewers'],
    ],
  })
  const [request] = seen
  t.equal(seen.length, 1)
  t.equal(request?.method, 'GET')
  t.equal(request?.target, '/api/v1/pods?limit=1')
  t.equal(request?.user, 'carol')
  t.same(request?.groups, ['viewers', 'system:authenticated'])
  t.ok(request?.rawHeaders.includes(`Bearer ${api.gatewayToken}`))
})

t.test('objects are stored, patched, refused and removed as by an API server', async t => {
  const { admin } = await start(t)
  const maps = '/api/v1/namespaces/default/configmaps'
  const post = (body: string, query = ''): Promise<Answer> =>
    admin(maps + query, { method: 'POST', headers: json, body })

  t.equal((await post(configMap('one', { a: '1' }), '?dryRun=All')).status, 201)
  t.equal((await admin(`${maps}/one`)).status, 404, 'a dry run stores nothing')
  const created = await post(configMap('one', { a: '1' }))
  t.equal(created.status, 201)
  t.match(await post(configMap('one', {})), {
    status: 409,
    body: { reason: 'AlreadyExists', message: 'configmaps "one" already exists' },
  })
  t.match(await post(configMap('NO', {})), { status: 422, body: { reason: 'Invalid' } })
  t.match(await post('{'), { status: 400, body: { reason: 'BadRequest' } })
  t.match(
    await admin('/api/v1/namespaces/nowhere/configmaps', {
      method: 'POST',
      headers: json,
      body: configMap('one', {}),
    }),
    { status: 404, body: { message: 'namespaces "nowhere" not found' } },
  )
  t.match(
    await admin(`${maps}/one`, {
      method: 'PUT',
      headers: json,
      body: configMap('one', {}, { resourceVersion: '1' }),
    }),
    { status: 409, body: { reason: 'Conflict' } },
  )

  const patch = (type: string, body: unknown): Promise<Answer> =>
    admin(`${maps}/one`, {
      method: 'PATCH',
      headers: [['content-type', type]],
      body: JSON.stringify(body),
    })
  const merged = await patch('application/merge-patch+json', { data: { b: '2' } })
  t.same(merged.body['data'], { a: '1', b: '2' })
  const operated = await patch('application/json-patch+json', [{ op: 'remove', path: '/data/a' }])
  t.same(operated.body['data'], { b: '2' })
  t.equal((await patch('application/apply-patch+yaml', {})).status, 415)

  await post(configMap('two', {}, { labels: { app: 'x' } }))
  const names = async (query: string): Promise<unknown[]> => {
    const { body } = await admin(maps + query)
    return (body['items'] as { metadata: { name: string } }[]).map(item => item.metadata.name)
  }
  t.same(await names('?labelSelector=app%3Dx'), ['two'])
  t.same(await names('?fieldSelector=metadata.name%3Done'), ['one'])
  t.match(await admin(`${maps}/one`, { method: 'DELETE' }), {
    status: 200,
    body: { kind: 'Status', status: 'Success', details: { name: 'one' } },
  })
  await admin(maps, { method: 'DELETE' })
  t.same(await names(''), [])
})

t.test(
  'a watch tells what is there, then each change, and ends well when the API stops',
  async t => {
    const { api, agent, admin } = await start(t)
    const maps = '/api/v1/namespaces/demo/configmaps'
    const { body } = await admin(maps)
    const { resourceVersion } = body['metadata'] as { resourceVersion: string }
    await admin(maps, { method: 'POST', headers: json, body: configMap('early', {}) })
    const watching = await fetch(
      `${api.url}${maps}?watch=true&resourceVersion=${resourceVersion}&labelSelector=!hidden`,
      { dispatcher: agent, headers: { authorization: `Bearer ${api.adminToken}` } },
    )
    await admin(`${maps}/early`, {
      method: 'PATCH',
      headers: [['content-type', 'application/merge-patch+json']],
      body: '{"metadata":{"labels":{"hidden":"yes"}}}',
    })
    await api.close()
    const events = (await watching.text())
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { type: string; object: { metadata: { name: string } } })
    t.same(
      events.map(({ type, object }) => [type, object.metadata.name]),
      [
        ['ADDED', 'early'],
        ['DELETED', 'early'],
      ],
      'what no longer is selected is gone for the watcher',
    )
  },
)

t.test('a watch from a revision that is forgotten is told so', async t => {
  const { api, agent } = await start(t)
  const watching = await fetch(`${api.url}/api/v1/pods?watch=true&resourceVersion=1`, {
    dispatcher: agent,
    headers: { authorization: `Bearer ${api.adminToken}` },
  })
  t.match(JSON.parse(await watching.text()), {
    type: 'ERROR',
    object: { code: 410, reason: 'Expired' },
  })
})

t.test(
  'initial events end with a bookmark that says so, and the time limit ends the watch',
  async t => {
    const { api, agent } = await start(t)
    const query =
      'watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1'
    const watching = await fetch(`${api.url}/api/v1/namespaces?${query}`, {
      dispatcher: agent,
      headers: { authorization: `Bearer ${api.adminToken}` },
    })
    const events = (await watching.text())
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { type: string; object: { metadata: object } })
    t.same(
      events.map(event => event.type),
      ['ADDED', 'ADDED', 'ADDED', 'BOOKMARK'],
    )
    t.match(events.at(-1)?.object.metadata, {
      annotations: { 'k8s.io/initial-events-end': 'true' },
    })
  },
)

t.test('reviews answer who a token is, and what somebody may do', async t => {
  const { admin, gateway } = await start(t, {
    authenticate: token =>
      token === 'alice' ? { username: 'alice', groups: ['developers'] } : undefined,
  })
  const ask = (path: string, spec: object, by = admin): Promise<Answer> =>
    by(path, { method: 'POST', headers: json, body: JSON.stringify({ spec }) })

  const known = await ask('/apis/authentication.k8s.io/v1/tokenreviews', { token: 'alice' })
  t.same(known.body['status'], {
    authenticated: true,
    user: { username: 'alice', groups: ['developers', 'system:authenticated'] },
  })
  const unknown = await ask('/apis/authentication.k8s.io/v1/tokenreviews', { token: 'x' })
  t.same(unknown.body['status'], { user: {}, error: 'invalid bearer token' })

  const may = async (verb: string): Promise<unknown> => {
    const resourceAttributes = { verb, resource: 'configmaps', namespace: 'demo' }
    const spec = { user: 'bob', groups: ['viewers'], resourceAttributes }
    return (await ask('/apis/authorization.k8s.io/v1/subjectaccessreviews', spec)).body['status']
  }
  t.match(await may('list'), { allowed: true })
  t.same(await may('create'), { allowed: false })
  const refused = await ask('/apis/authorization.k8s.io/v1/subjectaccessreviews', {}, gateway)
  t.equal(refused.status, 403, 'reviews of others need RBAC of their own')
})

t.test('the client’s Audit-ID comes back', async t => {
  const { api, agent } = await start(t)
  const response = await fetch(`${api.url}/version`, {
    dispatcher: agent,
    headers: { 'audit-id': 'd0f1c0de-0000-4000-8000-000000000000' },
  })
  await response.text()
  t.equal(response.headers.get('audit-id'), 'd0f1c0de-0000-4000-8000-000000000000')
})
