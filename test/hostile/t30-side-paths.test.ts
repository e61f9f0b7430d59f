/*
 * T30: paths that need no login, and ways to look like one of them (oauth2-proxy GHSA-5hvv-m4w4-gf6v by
 * User-Agent, GHSA-7rh7-c77v-6434, GHSA-pxq7-h93f-9jrg by path). The data port has none: what a cluster
 * calls /healthz is the cluster's. Health and metrics have a port of their own, and exact paths there.
 */
import t from 'tap'
import { rawRequest } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'
import { askOver, lastArrived, protocols } from './clients.js'
import { answered, keeping, status } from './status.js'

const ours = [
  '/livez',
  '/livez/',
  '/readyz?verbose',
  '/ready',
  '/healthz',
  '/metrics',
  '/.well-known/openid-configuration',
  '/_gateway/',
  '/_gateway/login',
  '/oauth2/callback',
  '/version',
  '/openid/v1/jwks',
]

t.test('the data port has no path and no header that needs no credential', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, issuer, gateway } = world
  const missing = status(401, 'Unauthorized', 'no credential was presented', [
    ['www-authenticate', 'Bearer realm="kubernetes"'],
    ...keeping,
  ])
  for (const path of ours)
    t.strictSame(answered(await world.ask({ token: false, path })), missing, path)
  for (const headers of [
    [['User-Agent', 'kube-probe/1.35']],
    [['User-Agent', 'GoogleHC/1.0']],
    [['X-Original-URL', '/healthz']],
    [['X-Forwarded-Uri', '/livez']],
    [['X-Forwarded-For', '127.0.0.1']],
    [['X-Auth-Request-Redirect', '/livez']],
    [['Cookie', '_gateway=x']],
    [['Sec-WebSocket-Protocol', `base64url.bearer.authorization.k8s.io.${issuer.sign()}`]],
  ] as const) {
    t.strictSame(answered(await world.ask({ token: false, headers })), missing, headers[0][0])
  }
  const options = await world.ask({
    token: false,
    method: 'OPTIONS',
    headers: [
      ['Origin', 'https://evil.example'],
      ['Access-Control-Request-Method', 'GET'],
    ],
  })
  t.strictSame(answered(options), missing, 'CORS has no way around it either')
  t.strictSame(api.connections, [])

  const token = issuer.sign()
  for (const path of ours) {
    for (const protocol of protocols) {
      api.respondWith((_, answer) => answer.reply(418, {}, { from: 'the cluster' }))
      const reply = await askOver(protocol, world, { token, path })
      t.strictSame(
        [reply.status, String(reply.body), api.forwarded.at(-1)?.target],
        [418, '{"from":"the cluster"}', path],
        `${path} is the cluster's`,
      )
      t.ok(lastArrived(world).some(([name]) => name === 'Impersonate-User'))
    }
  }

  const admin = async (line: string, more = ''): Promise<number | undefined> =>
    (
      await rawRequest({
        port: gateway.adminPort,
        bytes: `${line} HTTP/1.1\r\nHost: x\r\n${more}Connection: close\r\n\r\n`,
      })
    ).response?.status
  for (const path of ['/livez', '/readyz', '/ready', '/metrics', '/readyz?verbose', '/livez?x']) {
    t.equal(await admin(`GET ${path}`), 200, path)
  }
  for (const path of [
    '/',
    '/livez/',
    '/livez/x',
    '//livez',
    '/./livez',
    '/x/../livez',
    '/LIVEZ',
    '/livez%20',
    '/live%7a',
    '/livez;x',
    '/metrics/',
    '/healthz',
    '/api',
    '/debug/pprof/',
    'http://x/livez',
    '*',
  ]) {
    t.equal(await admin(`GET ${path}`), 404, path)
  }
  t.equal(
    await admin('GET /api/v1/secrets', `Authorization: Bearer ${token}\r\n`),
    404,
    'the admin port forwards nothing',
  )
  const reached = api.forwarded.length
  t.not(await admin('POST /livez'), 200)
  t.not(await admin('DELETE /metrics'), 200)
  t.not((await rawRequest({ port: gateway.adminPort, bytes: '\0\r\n\r\n' })).response?.status, 200)
  t.equal(api.forwarded.length, reached)
  t.equal((await gateway.admin('/livez')).status, 200)
})
