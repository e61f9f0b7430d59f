import t from 'tap'
import { startApiServer, type AskedReview, type Decide } from '../actors/api-server.js'
import { createAuthority } from '../actors/certificates.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld, type World } from '../actors/world.js'
import {
  badToken,
  forbidden,
  unavailable,
  wholeAnswer,
  wholeHead,
} from '../hostile/whole-answer.js'

const flags = ['--token-passthrough']
const deployer = {
  username: 'system:serviceaccount:ci:deployer',
  groups: ['system:serviceaccounts'],
}
const unknown = badToken('the API server does not accept the token')

/** Every header line of a request with this token and no field of its own. */
const asItIs = ({ api }: World, token: string): HeaderLines => [
  ['host', `127.0.0.1:${String(api.port)}`],
  ['connection', 'keep-alive'],
  ['X-Forwarded-For', '127.0.0.1'],
  ['Audit-ID', '<uuid>'],
  ['Authorization', `Bearer ${token}`],
]
const accepting =
  (...tokens: readonly string[]): Decide =>
  ({ spec }) =>
    tokens.includes(String(spec['token']))
      ? { authenticated: true, user: deployer }
      : { authenticated: false, error: 'invalid bearer token' }

t.test('service-account mode: what the API server accepts goes on as it is', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { api, issuer, gateway } = world
  const asked: AskedReview[] = []
  const others = issuer.sign({ iss: 'https://kubernetes.default.svc' })
  const decide = (...tokens: readonly string[]): void =>
    api.decide(review => {
      asked.push(review)
      return accepting(...tokens)(review)
    })
  decide(others, 'opaque-token')
  for (const token of [others, 'opaque-token', others]) {
    t.equal((await world.ask({ token })).response?.status, 200)
    t.strictSame(wholeHead(api.forwarded.at(-1)!), asItIs(world, token))
  }
  t.equal(asked.length, 2, 'each was asked about once')
  for (const { kind, request } of asked) {
    t.equal(kind, 'TokenReview')
    t.strictSame(request.values('authorization'), ['Bearer gateway-token'])
  }
  const line = await gateway.waitForLog(one => one['decision'] === 'token_passthrough')
  t.match(line, { user: deployer.username, status: 200 })

  const forwarded = api.forwarded.length
  t.strictSame(wholeAnswer(await world.ask({ token: 'unknown-token' })), unknown)
  decide('unknown-token')
  t.strictSame(wholeAnswer(await world.ask({ token: 'unknown-token' })), unknown, 'remembered')
  for (const claims of [{ exp: 1 }, { aud: 'other' }, { sub: 7 }]) {
    const ours = issuer.sign(claims)
    decide(ours)
    t.equal((await world.ask({ token: ours })).response?.status, 401, 'our issuer decides')
  }
  t.equal(asked.length, 3, 'and nobody else is asked')
  t.equal(api.forwarded.length, forwarded)

  api.decide(() => 500)
  t.strictSame(
    wholeAnswer(await world.ask({ token: 'another' })),
    unavailable('whose token this is could not be found out'),
  )
  t.equal(api.forwarded.length, forwarded)
  t.equal((await world.ask()).response?.status, 200, 'our own tokens need no review')
})

t.test(
  'service-account mode: a WebSocket’s token is one too, and is taken out of the protocols',
  async t => {
    const world = await startedWorld(t, { mode: 'gateway', flags })
    const { api } = world
    api.decide(accepting('opaque-token'))
    api.respondWith((_, answer) => answer.reply(403, {}, { kind: 'Status' }))
    const bearer = Buffer.from('opaque-token').toString('base64url')
    const { response } = await world.ask({
      token: false,
      path: '/api/v1/namespaces/a/pods/b/exec?command=sh',
      headers: [
        ['Connection', 'Upgrade'],
        ['Upgrade', 'websocket'],
        [
          'Sec-WebSocket-Protocol',
          `base64url.bearer.authorization.k8s.io.${bearer}, v5.channel.k8s.io`,
        ],
      ],
    })
    t.equal(response?.status, 403)
    const [request] = api.forwarded
    t.strictSame(request?.values('authorization'), ['Bearer opaque-token'])
    t.strictSame(request?.values('sec-websocket-protocol'), ['v5.channel.k8s.io'])
    t.strictSame(request?.values('impersonate-user'), [])
  },
)

t.test('service-account mode: audiences are asked for, and looked for in the answer', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: [...flags, '--token-passthrough-audiences=gateway,other'],
  })
  const { api } = world
  api.decide(({ spec }) => {
    t.strictSame(spec['audiences'], ['gateway', 'other'])
    const audiences = spec['token'] === 'good' ? ['gateway'] : undefined
    return { authenticated: true, user: deployer, audiences }
  })
  t.equal((await world.ask({ token: 'good' })).response?.status, 200)
  t.strictSame(
    wholeAnswer(await world.ask({ token: 'silent' })),
    badToken('the token is meant for somebody else'),
  )
  t.equal(api.forwarded.length, 1)
})

t.test('a client certificate of ours is not shown with a token that is not ours', async t => {
  const authority = createAuthority('api server')
  const api = await startApiServer({ authority, requestClientCert: true })
  const directory = tempDir(t)
  const { cert, key } = await authority.issue({ client: { commonName: 'gateway' } })
  const kubeconfig = writeKubeconfig(directory, {
    server: api.url,
    ca: api.ca,
    clientCert: { cert, key },
  })
  const world = await startedWorld(t, {
    mode: 'gateway',
    api,
    flags: [...flags, `--kubeconfig=${kubeconfig}`],
  })
  api.decide(accepting('opaque-token'))
  await world.ask({ token: 'opaque-token' })
  await world.ask()
  await world.ask({ token: 'opaque-token' })
  const shown = api.forwarded.map(({ connection, headerLines }) => [
    connection.certificate?.commonName,
    headerLines.filter(([name]) => /^(authorization|impersonate)/i.test(name)),
  ])
  t.strictSame(shown, [
    [undefined, [['Authorization', 'Bearer opaque-token']]],
    ['gateway', [['Impersonate-User', `${world.issuer.url}#alice`]]],
    [undefined, [['Authorization', 'Bearer opaque-token']]],
  ])
  const [review] = api.requests
  t.equal(review?.connection.certificate?.commonName, 'gateway', 'we ask as ourselves')
})

t.test("caller's token: nothing is asked, the API server judges it when it comes", async t => {
  const world = await startedWorld(t, {
    mode: 'caller',
    flags: [...flags, '--impersonation=always'],
  })
  const { api, issuer } = world
  api.decide(() => (t.fail('asked'), 500))
  const others = issuer.sign({ iss: 'https://kubernetes.default.svc' })
  for (const token of [others, 'opaque-token']) {
    t.equal((await world.ask({ token })).response?.status, 200)
    t.strictSame(wholeHead(api.forwarded.at(-1)!), asItIs(world, token))
  }
  t.equal(api.requests.length, 2)
  t.equal((await world.ask({ token: issuer.sign({ exp: 1 }) })).response?.status, 401)
  t.equal(api.requests.length, 2, 'a token of ours is never passed on')
})

t.test('whoever asks to be somebody else with such a token gets nowhere', async t => {
  for (const [policy, expected] of [
    ['strip', 200],
    ['authorize', 403],
  ] as const) {
    const world = await startedWorld(t, {
      mode: 'gateway',
      flags: [...flags, `--client-impersonation=${policy}`],
    })
    const { api } = world
    api.decide(accepting('opaque-token'))
    const headers = [
      ['Impersonate-User', 'root'],
      ['Impersonate-Group', 'system:masters'],
    ] as const
    const answer = await world.ask({ token: 'opaque-token', headers })
    t.equal(answer.response?.status, expected, policy)
    if (expected === 200) {
      t.strictSame(wholeHead(api.forwarded.at(-1)!), asItIs(world, 'opaque-token'))
      t.ok(answer.response?.headers.some(([name]) => name === 'Warning'))
    } else {
      t.strictSame(wholeAnswer(answer), forbidden('impersonation is not allowed'))
      t.equal(api.forwarded.length, 0)
    }
  }
})
