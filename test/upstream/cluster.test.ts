import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { facts, type Notice } from '../../lib/channels.js'
import { ClusterFault } from '../../lib/upstream/cluster-target.js'
import {
  openCluster,
  type Cluster,
  type ClusterOptions,
  type Whose,
} from '../../lib/upstream/cluster.js'
import { startApiServer, type ApiServer, type ApiServerOptions } from '../actors/api-server.js'
import { createAuthority } from '../actors/certificates.js'
import { kubeconfig } from './kubeconfig.js'

const authority = createAuthority('api server')

async function server(t: Test, options: ApiServerOptions = {}): Promise<ApiServer> {
  const api = await startApiServer({ authority, ...options })
  t.teardown(() => api.close())
  return api
}

let serial = 0

/** A cluster of this kubeconfig, looked at when a test says so. */
async function opened(
  t: Test,
  text: string,
  options: Partial<ClusterOptions> = {},
): Promise<{
  readonly cluster: Cluster
  readonly path: string
  readonly rewrite: (text: string) => Promise<void>
}> {
  const folder = existsSync(t.testdirName) ? t.testdirName : t.testdir()
  const path = join(folder, `config-${(serial += 1)}`)
  writeFileSync(path, text)
  const cluster = await openCluster({
    kubeconfig: path,
    useOwnCredential: true,
    intervalMs: 3_600_000,
    settleMs: 1,
    ...options,
  })
  t.teardown(() => cluster.close())
  return {
    cluster,
    path,
    rewrite: async next => {
      writeFileSync(path, next)
      await cluster.refresh()
    },
  }
}

/** What the gateway would write into `Authorization`. */
const own = ({ credential }: Cluster): string | undefined => credential?.authorization?.reveal()

/** The pool itself, which its type hides from the product. */
const poolOf = (cluster: Cluster, use: 'request' | 'stream', whose: Whose): Dispatcher =>
  cluster.dispatcher(use, whose) as unknown as Dispatcher

async function get(
  cluster: Cluster,
  use: 'request' | 'stream' = 'request',
  whose: Whose = 'gateway',
): Promise<number> {
  const { statusCode, body } = await poolOf(cluster, use, whose).request({
    path: `${cluster.basePath}/api`,
    method: 'GET',
  })
  await body.dump()
  return statusCode
}

const heard = (t: Test): { reloads: string[]; notices: Notice[] } => {
  const reloads: string[] = []
  const notices: Notice[] = []
  t.teardown(facts.reload.subscribe(({ result }) => reloads.push(result)))
  t.teardown(facts.notice.subscribe(notice => notices.push(notice)))
  return { reloads, notices }
}

t.test('address, path, CA and name come from the kubeconfig', async t => {
  const api = await server(t)
  const { cluster } = await opened(
    t,
    kubeconfig({ server: `${api.url}/clusters/a/`, ca: api.ca, user: { token: 'abc' } }),
  )
  t.strictSame(
    [cluster.url, cluster.basePath, own(cluster)],
    [api.url, '/clusters/a', 'Bearer abc'],
  )
  t.equal(await get(cluster), 200)
  t.equal(await get(cluster, 'stream'), 200)
  t.strictSame(
    api.requests.map(({ target, connection }) => [target, connection.id]),
    [
      ['/clusters/a/api', 0],
      ['/clusters/a/api', 1],
    ],
    'streams have connections of their own',
  )
})

t.test('an API server that the CA does not vouch for is not spoken to', async t => {
  const api = await server(t)
  const other = createAuthority('another')
  for (const about of [
    { ca: other.ca },
    {},
    { ca: api.ca, cluster: { 'tls-server-name': 'elsewhere.example' } },
  ]) {
    const { cluster } = await opened(
      t,
      kubeconfig({ server: api.url, user: { token: 'abc' }, ...about }),
    )
    await t.rejects(get(cluster))
  }
  t.equal(api.requests.length, 0)
  const insecure = { 'insecure-skip-tls-verify': true }
  const { cluster } = await opened(
    t,
    kubeconfig({ server: api.url, cluster: insecure, user: { token: 'abc' } }),
  )
  t.equal(await get(cluster), 200, 'unless the kubeconfig says so')
})

t.test('the CA may be a file beside the kubeconfig, and is live when it changes', async t => {
  const api = await server(t)
  const folder = t.testdir({ 'ca.crt': createAuthority('another').ca })
  const path = join(folder, 'config')
  const file = { 'certificate-authority': 'ca.crt' }
  writeFileSync(path, kubeconfig({ server: api.url, cluster: file, user: { token: 'a' } }))
  const cluster = await openCluster({
    kubeconfig: path,
    useOwnCredential: true,
    intervalMs: 3_600_000,
    settleMs: 1,
  })
  t.teardown(() => cluster.close())
  await t.rejects(get(cluster))
  writeFileSync(join(folder, 'ca.crt'), api.ca)
  await cluster.refresh()
  t.equal(await get(cluster), 200)
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  const pool = cluster.dispatcher('request', 'gateway')
  for (const half of ['', api.ca.slice(0, 200), api.ca + broken]) {
    writeFileSync(join(folder, 'ca.crt'), half)
    await cluster.refresh()
    t.equal(cluster.dispatcher('request', 'gateway'), pool, 'a broken one keeps the last good')
  }
  t.equal(await get(cluster), 200)
})

t.test('what cannot be used is a fault of one line that says what to change', async t => {
  const good = { server: 'https://127.0.0.1:1', user: { token: 'a' } }
  const cases: ReadonlyArray<readonly [string, RegExp, Partial<ClusterOptions>?]> = [
    [
      kubeconfig(good),
      /has no context "other"; it has "here", "nobody", "nowhere"$/,
      { context: 'other' },
    ],
    [kubeconfig(good), /has no cluster "missing"$/, { context: 'nowhere' }],
    [kubeconfig(good), /has no user "missing"$/, { context: 'nobody' }],
    [kubeconfig({ ...good, cluster: { 'proxy-url': 'http://proxy:1' } }), /has a proxy-url/],
    [kubeconfig({ ...good, server: 'http://192.0.2.1' }), /must be https/],
    [kubeconfig({ ...good, server: 'http://127.0.0.1.example' }), /must be https/],
    [kubeconfig({ ...good, server: 'ftp://127.0.0.1' }), /must be https/],
    [kubeconfig({ ...good, server: 'api.example' }), /is not a URL/],
    [kubeconfig({ ...good, server: 'https://a@b.example' }), /is not a URL/],
    [kubeconfig({ ...good, server: 'https://b.example/?x' }), /is not a URL/],
    [
      kubeconfig({ ...good, cluster: { 'certificate-authority': 'none' } }),
      /the CA of cluster "c" cannot be read/,
    ],
    [kubeconfig({ ...good, ca: 'garbage' }), /the CA of cluster "c" holds no certificate/],
    [kubeconfig({ ...good, user: {} }), /the kubeconfig user has no credential/],
    [kubeconfig({ ...good, user: { username: 'a', password: 'b' } }), /basic auth/],
    [kubeconfig({ ...good, user: { token: 'a', as: 'root' } }), /impersonates by itself/],
    [kubeconfig({ ...good, user: { tokenFile: 'none' } }), /ENOENT/],
    [
      kubeconfig({ ...good, user: { exec: { apiVersion: 'v1', command: '/none' } } }),
      /exec plugin/,
    ],
    ['{', /is not a kubeconfig/],
    ['', /is not a kubeconfig|has no context/],
    ['[]', /is not a kubeconfig|has no context/],
  ]
  for (const [text, message, options] of cases) {
    const error: unknown = await opened(t, text, options).catch((caught: unknown) => caught)
    t.type(error, ClusterFault, String(message))
    t.match(error, { message, faults: [message] })
    t.notMatch((error as Error).message, '\n')
  }
  await t.rejects(opened(t, '', { kubeconfig: '/no/such/file' }), {
    name: 'ClusterFault',
    message: /--kubeconfig cannot be read/,
  })
})

t.test('a kubeconfig that cannot be read is not quoted: its tokens stay unsaid', async t => {
  const { notices } = heard(t)
  const broken = 'users:\n- user:\n    token: s3cret\n  bad: "s3cret\n- {s3cret: [s3cret\n'
  const error: unknown = await opened(t, broken).catch((caught: unknown) => caught)
  t.match(error, { name: 'ClusterFault', message: /is not a kubeconfig: .+/ })
  t.notMatch(inspect(error, { depth: 9 }), 's3cret')
  const { rewrite } = await opened(
    t,
    kubeconfig({ server: 'https://127.0.0.1:1', user: { token: 's3cret' } }),
  )
  await rewrite(broken)
  t.match(notices, [{ level: 'error' }])
  t.notMatch(JSON.stringify(notices), 's3cret')
})

t.test('plain HTTP is for loopback, in every spelling of it', async t => {
  for (const host of ['127.0.0.1:1', '127.9.9.9', 'localhost:1', '[::1]:1']) {
    const { cluster } = await opened(
      t,
      kubeconfig({ server: `http://${host}`, user: { token: 'a' } }),
    )
    t.equal(cluster.url, `http://${host}`)
  }
})

t.test('in a cluster, the environment says where the API server is', async t => {
  const none = openCluster({ useOwnCredential: false, env: {} })
  await t.rejects(none, { name: 'ClusterFault', message: /give --kubeconfig/ })
  await t.rejects(openCluster({ useOwnCredential: false, env: { KUBERNETES_SERVICE_HOST: 'a' } }), {
    message: /give --kubeconfig/,
  })
  const mounted = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
  if (existsSync(mounted)) {
    const cluster = await openCluster({ useOwnCredential: false, env })
    t.teardown(() => cluster.close())
    t.equal(cluster.url, 'https://[fd00::1]')
  } else {
    await t.rejects(openCluster({ useOwnCredential: false, env }), {
      name: 'ClusterFault',
      message: /the cluster CA cannot be read/,
    })
  }
})

t.test("without leave the kubeconfig user's credential is never read", async t => {
  const client = await authority.issue({ client: { commonName: 'gateway' } })
  const data = (pem: string): string => Buffer.from(pem).toString('base64')
  const marker = join(t.testdir(), 'marker')
  const users: ReadonlyArray<Readonly<Record<string, unknown>>> = [
    { token: 'abc' },
    { token: 'no header can say\r\nthis' },
    { tokenFile: '/no/such/file' },
    { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'touch', args: [marker] } },
    { 'client-certificate-data': data(client.cert), 'client-key-data': data(client.key) },
    { 'client-certificate': '/no/such/file', 'client-key': '/no/such/file' },
    { token: 'abc', as: 'root' },
  ]
  for (const user of users) {
    const api = await server(t, { requestClientCert: true })
    const text = kubeconfig({ server: api.url, ca: api.ca, user })
    const { cluster } = await opened(t, text, { useOwnCredential: false })
    t.equal(cluster.credential, undefined)
    await get(cluster)
    await cluster.refresh()
    await cluster.renew(undefined)
    t.equal(cluster.credential, undefined)
    await get(cluster)
    t.strictSame(api.requests[0]?.values('authorization'), [])
    t.ok(api.connections.every(({ certificate }) => certificate === undefined))
  }
  t.equal(existsSync(marker), false)
})

t.test('a token that rotates is another credential; a broken one keeps the last good', async t => {
  const { reloads, notices } = heard(t)
  const folder = t.testdir({ token: 'one' })
  const user = { tokenFile: join(folder, 'token') }
  const path = join(folder, 'config')
  writeFileSync(path, kubeconfig({ server: 'https://127.0.0.1:1', user }))
  const cluster = await openCluster({
    kubeconfig: path,
    useOwnCredential: true,
    intervalMs: 3_600_000,
    settleMs: 1,
  })
  t.teardown(() => cluster.close())
  const { credential } = cluster
  const pool = cluster.dispatcher('request', 'gateway')
  await cluster.refresh()
  t.equal(cluster.credential, credential, 'the same as long as nothing changes')
  t.strictSame(reloads, [])
  writeFileSync(user.tokenFile, 'two')
  await cluster.refresh()
  t.not(cluster.credential, credential)
  t.equal(own(cluster), 'Bearer two')
  t.equal(cluster.dispatcher('request', 'gateway'), pool, 'connections go on')
  writeFileSync(user.tokenFile, '')
  await cluster.refresh()
  await cluster.refresh()
  t.equal(own(cluster), 'Bearer two')
  t.strictSame(reloads, ['ok', 'error'], 'a failure counts once')
  writeFileSync(user.tokenFile, 'three')
  await cluster.refresh()
  t.equal(own(cluster), 'Bearer three')
  t.strictSame(reloads, ['ok', 'error', 'ok'])
  t.strictSame(
    notices.map(({ level }) => level),
    ['info', 'error', 'info'],
  )
  t.notMatch(JSON.stringify(notices), /two|three/)
})

t.test('it looks by itself', async t => {
  const folder = t.testdir({ token: 'one' })
  const user = { tokenFile: join(folder, 'token') }
  const { cluster } = await opened(t, kubeconfig({ server: 'https://127.0.0.1:1', user }), {
    intervalMs: 5,
  })
  const renewed = new Promise<void>(resolve => {
    t.teardown(facts.reload.subscribe(({ result }) => result === 'ok' && resolve()))
  })
  // The timer keeps no process alive; the test must.
  const alive = setInterval(() => undefined, 1_000)
  writeFileSync(user.tokenFile, 'two')
  await renewed
  clearInterval(alive)
  t.equal(own(cluster), 'Bearer two')
})

t.test('a kubeconfig that changes moves new requests; one that breaks moves nothing', async t => {
  const [first, second] = [await server(t), await server(t)]
  const at = (api: ApiServer): string =>
    kubeconfig({ server: api.url, ca: api.ca, user: { token: 'a' } })
  const { cluster, rewrite } = await opened(t, at(first))
  await get(cluster)
  for (const broken of [
    '',
    '{',
    kubeconfig({ server: 'http://192.0.2.1', user: { token: 'b' } }),
  ]) {
    await rewrite(broken)
    t.strictSame([cluster.url, own(cluster)], [first.url, 'Bearer a'])
  }
  await rewrite(at(second))
  t.equal(cluster.url, second.url)
  t.equal(await get(cluster), 200)
  t.strictSame([first.requests.length, second.requests.length], [1, 1])
  t.equal(await first.connections[0]?.gone, 'fin', 'the old connection is given up')
})

t.test('a request under way survives the change, and close ends it', async t => {
  const [first, second] = [await server(t), await server(t)]
  first.respondWith((_, answer) => answer.raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'))
  const at = (api: ApiServer): string =>
    kubeconfig({ server: api.url, ca: api.ca, user: { token: 'a' } })
  const { cluster, rewrite } = await opened(t, at(first))
  const { body } = await poolOf(cluster, 'stream', 'gateway').request({
    path: '/',
    method: 'GET',
  })
  await rewrite(at(second))
  t.equal(first.connections[0]?.closed, 'open')
  const text = body.text()
  await Promise.all([cluster.close(), t.rejects(text)])
  t.ok(await first.connections[0]?.gone)
})

t.test('a client certificate is presented, and a new one on new connections', async t => {
  const api = await server(t, { requestClientCert: true })
  const folder = t.testdir()
  const present = async (commonName: string): Promise<void> => {
    const { cert, key } = await authority.issue({ client: { commonName } })
    writeFileSync(join(folder, 'crt'), cert)
    writeFileSync(join(folder, 'key'), key)
  }
  await present('gateway-1')
  const user = { 'client-certificate': join(folder, 'crt'), 'client-key': join(folder, 'key') }
  const { cluster } = await opened(t, kubeconfig({ server: api.url, ca: api.ca, user }))
  const { credential } = cluster
  t.strictSame(credential, { authorization: undefined })
  await get(cluster)
  await get(cluster)
  await present('gateway-2')
  await cluster.refresh()
  t.not(cluster.credential, credential, 'another credential, although no header shows it')
  await get(cluster)
  const presented = (): unknown[] => [
    ...new Set(api.connections.map(({ certificate }) => certificate?.commonName)),
  ]
  t.strictSame(presented(), ['gateway-1', 'gateway-2'])
  const { key } = await authority.issue({ client: { commonName: 'gateway-3' } })
  for (const halfway of [key, 'garbage', '']) {
    writeFileSync(join(folder, 'key'), halfway)
    await cluster.refresh()
    t.equal(await get(cluster), 200, 'a pair that does not belong together moves nothing')
  }
  t.strictSame(presented(), ['gateway-1', 'gateway-2'])
})

t.test(
  "a client certificate of ours stays off connections for the caller's credential",
  async t => {
    const api = await server(t, { requestClientCert: true })
    const { cert, key } = await authority.issue({ client: { commonName: 'gateway' } })
    const data = (pem: string): string => Buffer.from(pem).toString('base64')
    const user = { 'client-certificate-data': data(cert), 'client-key-data': data(key) }
    const { cluster } = await opened(t, kubeconfig({ server: api.url, ca: api.ca, user }))
    await get(cluster, 'request', 'caller')
    await get(cluster, 'stream', 'caller')
    t.strictSame(
      api.connections.map(({ certificate }) => certificate),
      [undefined, undefined],
    )
    t.hasOwnProps(cluster.connection('gateway'), ['cert', 'key'])
    t.notHas(cluster.connection('caller'), { cert })
    t.notHas(cluster.connection('caller'), { key })
    await get(cluster)
    t.equal(api.connections.at(-1)?.certificate?.commonName, 'gateway')
  },
)

t.test('where our credential is a token, all share their connections', async t => {
  const api = await server(t)
  const { cluster } = await opened(
    t,
    kubeconfig({ server: api.url, ca: api.ca, user: { token: 'abc' } }),
  )
  t.equal(cluster.dispatcher('request', 'caller'), cluster.dispatcher('request', 'gateway'))
  t.equal(cluster.connection('caller'), cluster.connection('gateway'))
})

t.test(
  'a refused credential is read anew once for all, and not more often than every 5 s',
  async t => {
    const clock = { now: 0 }
    const folder = t.testdir({ count: '' })
    const script = `printf x >> "${folder}/count"; printf '{"status":{"token":"t%s"}}' "$(wc -c < "${folder}/count" | tr -d ' ')"`
    const user = {
      exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] },
    }
    const { cluster } = await opened(t, kubeconfig({ server: 'https://127.0.0.1:1', user }), {
      now: () => clock.now,
    })
    const first = cluster.credential
    t.equal(own(cluster), 'Bearer t1')
    t.strictSame(
      await Promise.all([cluster.renew(first), cluster.renew(first), cluster.renew(first)]),
      [true, true, true],
    )
    t.equal(own(cluster), 'Bearer t2', 'one run for three who asked')
    t.equal(await cluster.renew(first), true, 'another has brought a new one meanwhile')
    t.equal(own(cluster), 'Bearer t2')
    clock.now = 4_999
    t.equal(await cluster.renew(cluster.credential), false)
    t.equal(own(cluster), 'Bearer t2')
    clock.now = 5_000
    t.equal(await cluster.renew(cluster.credential), true)
    t.equal(own(cluster), 'Bearer t3')
  },
)

t.test('what is half written is not taken, however good it looks', async t => {
  const folder = t.testdir({ token: 'one' })
  const user = { tokenFile: join(folder, 'token') }
  const { cluster } = await opened(t, kubeconfig({ server: 'https://127.0.0.1:1', user }), {
    settleMs: 500,
  })
  const { reloads } = heard(t)
  writeFileSync(user.tokenFile, 'two-ha')
  const looked = cluster.refresh()
  await new Promise(resolve => setTimeout(resolve, 50))
  writeFileSync(user.tokenFile, 'two-halves')
  await looked
  t.equal(own(cluster), 'Bearer two-halves')
  t.strictSame(reloads, ['ok'])
})

/** Reads as something else every time. */
const restless = '/proc/sys/kernel/random/uuid'

t.test(
  'a credential that does not stop changing is not taken up, and said to be so',
  { skip: !existsSync(restless) && 'this system has no such file' },
  async t => {
    const api = await server(t)
    const errors: unknown[] = []
    t.teardown(facts.notice.subscribe(({ fields }: Notice) => errors.push(fields?.['error'])))
    const { cluster } = await opened(
      t,
      kubeconfig({ server: api.url, ca: api.ca, user: { tokenFile: restless } }),
    )
    const { credential } = cluster
    await cluster.refresh()
    t.equal(cluster.credential, credential)
    t.strictSame(errors, ['what it is read from does not stop changing'])
  },
)
