/*
 * T20: the gateway's own credential works for somebody who has none, or its refusal is told to somebody
 * who has. Precedents: Headlamp's `unsafeUseServiceAccountToken`; CVE-2023-48312 (capsule-proxy).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  startApiServer,
  statusBody,
  type RecordedRequest,
  type Responder,
} from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld } from '../actors/world.js'
import {
  badGateway,
  badToken,
  noToken,
  refusal,
  wholeAnswer,
  wholeHead,
  type Refused,
} from './whole-answer.js'

const notOurs = badGateway('the API server refused the credential of the gateway')
const upload = { method: 'POST', headers: [['Content-Length', '2']] as const, body: '{}' }

t.test("with the gateway's own credential", async t => {
  const directory = tempDir(t)
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, 'first-token\n')
  const api = await startApiServer()
  const kubeconfig = writeKubeconfig(directory, { server: api.url, ca: api.ca, tokenFile })
  const world = await startedWorld(t, {
    mode: 'gateway',
    api,
    flags: [`--kubeconfig=${kubeconfig}`],
  })
  const { issuer } = world
  const good = issuer.sign()
  const alice = `${issuer.url}#alice`

  await t.test(
    'nobody without a good credential of their own comes near the API server',
    async t => {
      const missing = noToken('no credential was presented')
      const notBearer = noToken('only a bearer token is accepted')
      const two = refusal(400, 'BadRequest', 'more than one credential was presented')
      const subprotocol = `base64url.bearer.authorization.k8s.io.${Buffer.from(good).toString('base64url')}`
      const attempts: ReadonlyArray<readonly [string, HeaderLines, Refused]> = [
        ['nothing', [], missing],
        ['an empty field', [['Authorization', '']], notBearer],
        ['an empty bearer token', [['Authorization', 'Bearer ']], notBearer],
        ['basic', [['Authorization', 'Basic YWxpY2U6c2VjcmV0']], notBearer],
        ['negotiate', [['Authorization', 'Negotiate YII=']], notBearer],
        ['undefined', [['Authorization', 'Bearer undefined']], badToken('the token is malformed')],
        ['null', [['Authorization', 'Bearer null']], badToken('the token is malformed')],
        [
          "the gateway's own token",
          [['Authorization', 'Bearer first-token']],
          badToken('the token is malformed'),
        ],
        ['a cookie', [['Cookie', `token=${good}; access_token=${good}`]], missing],
        [
          'another field',
          [
            ['X-Auth-Token', good],
            ['X-Forwarded-Access-Token', good],
          ],
          missing,
        ],
        ['a field of a proxy', [['Proxy-Authorization', `Bearer ${good}`]], missing],
        ['a name that only resembles', [['Authorization_', `Bearer ${good}`]], missing],
        ['a subprotocol without an upgrade', [['Sec-WebSocket-Protocol', subprotocol]], missing],
        ['an identity in the header', [['Impersonate-User', 'alice']], missing],
        ['an identity of a front proxy', [['X-Remote-User', 'alice']], missing],
        [
          'a good one and a bad one',
          [
            ['Authorization', `Bearer ${good}`],
            ['Authorization', 'Bearer x'],
          ],
          two,
        ],
        [
          'a bad one and a good one',
          [
            ['authorization', ''],
            ['Authorization', `Bearer ${good}`],
          ],
          two,
        ],
        [
          'an expired one',
          [['Authorization', `Bearer ${issuer.sign({ exp: 1 })}`]],
          badToken('the token has expired'),
        ],
      ]
      const paths = [
        '/api/v1/pods',
        '/',
        '/healthz',
        '/version',
        '/.well-known/openid-configuration',
      ]
      for (const [name, headers, expected] of attempts) {
        t.strictSame(wholeAnswer(await world.ask({ token: false, headers })), expected, name)
      }
      for (const path of [...paths, `/api/v1/pods?access_token=${good}`]) {
        for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
          const exchange = await world.ask({ token: false, method, path })
          t.strictSame(wholeAnswer(exchange), missing, `${method} ${path.slice(0, 40)}`)
        }
      }
      t.equal(api.connections.length, 0)
    },
  )

  await t.test('a refusal of it is no answer for the client', async t => {
    api.respondWith((request, answer) =>
      answer.reply(
        401,
        { 'WWW-Authenticate': 'Bearer realm="upstream"', 'Set-Cookie': 'a=b' },
        statusBody(401, 'Unauthorized', request.values('authorization').join()),
      ),
    )
    const before = api.forwarded.length
    t.strictSame(wholeAnswer(await world.ask()), notOurs)
    t.strictSame(
      api.forwarded.slice(before).map(sent),
      Array.from({ length: 2 }, () => `GET Bearer first-token ${alice}`),
      'tried once more',
    )
    t.strictSame(wholeAnswer(await world.ask(upload)), notOurs)
    t.equal(api.forwarded.length, before + 3)
  })
})

t.test('a credential that was replaced is read again, and the client notices nothing', async t => {
  const directory = tempDir(t)
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, 'first-token\n')
  const api = await startApiServer()
  const kubeconfig = writeKubeconfig(directory, { server: api.url, ca: api.ca, tokenFile })
  const world = await startedWorld(t, {
    mode: 'gateway',
    api,
    flags: [`--kubeconfig=${kubeconfig}`],
  })
  const late = deferred()
  const accept = only('second-token')
  api.respondWith(async (request, answer) => {
    if (api.forwarded.indexOf(request) < 2) await late.promise
    await accept(request, answer)
  })
  const lateRead = world.ask({ path: '/late' })
  await api.request(0)
  const lateUpload = world.ask({ ...upload, path: '/late' })
  await api.request(1)
  writeFileSync(tokenFile, 'second-token\n')
  const answers = await Promise.all(Array.from({ length: 10 }, () => world.ask()))
  late.resolve()
  answers.push(await lateRead)
  t.strictSame(
    answers.map(({ response }) => response?.status),
    answers.map(() => 200),
    'those refused together share one look at the file, and who is refused later needs none',
  )
  const last = api.forwarded.filter(({ method }) => method === 'GET').at(-1)!
  t.strictSame(wholeHead(last), [
    ['host', `127.0.0.1:${String(api.port)}`],
    ['connection', 'keep-alive'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['Audit-ID', '<uuid>'],
    ['Impersonate-User', `${world.issuer.url}#alice`],
    ['Authorization', 'Bearer second-token'],
  ])
  t.strictSame(wholeAnswer(await lateUpload), notOurs, 'what has a body')
  const uploads = api.forwarded.filter(({ method }) => method === 'POST')
  t.strictSame(
    uploads.map(sent),
    [`POST Bearer first-token ${world.issuer.url}#alice`],
    'is not said twice',
  )
})

t.test("with the caller's token it is the caller who is refused", async t => {
  const world = await startedWorld(t, { mode: 'caller', flags: ['--impersonation=never'] })
  const body = statusBody(401, 'Unauthorized')
  world.api.respondWith((_, answer) =>
    answer.reply(401, { 'WWW-Authenticate': 'Bearer realm="x"' }, body),
  )
  t.equal((await world.ask({ token: false })).response?.status, 401)
  t.equal(world.api.connections.length, 0)
  t.strictSame(wholeAnswer(await world.ask()), {
    status: 401,
    headers: {
      'www-authenticate': 'Bearer realm="x"',
      'content-type': 'application/json',
      'audit-id': '<uuid>',
    },
    body,
  })
  t.equal(world.api.forwarded.length, 1, 'and nothing is tried again')
})

const sent = (request: RecordedRequest): string =>
  [request.method, ...request.values('authorization'), ...request.values('impersonate-user')].join(
    ' ',
  )

function only(token: string): Responder {
  return (request, answer) =>
    request.values('authorization').join() === `Bearer ${token}`
      ? answer.reply(200, {}, { ok: true })
      : answer.reply(401, {}, statusBody(401, 'Unauthorized'))
}
