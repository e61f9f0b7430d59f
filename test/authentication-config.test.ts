import { writeFileSync } from 'node:fs'
import t from 'tap'
import { tempDir } from './actors/files.js'
import { runProgram } from './actors/gateway.js'
import { startIssuer, type Issuer } from './actors/issuer.js'
import { startedWorld } from './actors/world.js'

/** One issuer as an entry of `jwt`; `rules` are lines below it. */
const entry = ({ url, ca }: Issuer, rules: string): string => `- issuer:
    url: ${url}
    audiences: [kubernetes]
    certificateAuthority: |
${ca.trimEnd().replace(/^/gm, '      ')}
${rules.replace(/^/gm, '  ')}
`
const document = (...entries: readonly string[]): string =>
  `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n${entries.join('')}`

const anonymous = 'anonymous: { enabled: true, conditions: [{ path: /livez }] }\n'

const named = (prefix: string): string =>
  `claimMappings: { username: { claim: sub, prefix: "${prefix}" }, groups: { claim: groups, prefix: "${prefix}" } }`

t.test('a token is decided by its own issuer, and by no other', async t => {
  const second = await startIssuer()
  t.teardown(() => second.close())
  const world = await startedWorld(t, {
    mode: 'gateway',
    configuration: first => document(entry(first, named('one:')), entry(second, named('two:'))),
  })
  const as = async (token: string): Promise<unknown> => {
    const { response } = await world.ask({ token })
    if (response?.status !== 200) return response?.status
    return world.api.requests.at(-1)?.headerLines.filter(([name]) => /^impersonate-/i.test(name))
  }
  t.same(await as(world.issuer.sign({ sub: 'alice', groups: ['dev'] })), [
    ['Impersonate-User', 'one:alice'],
    ['Impersonate-Group', 'one:dev'],
  ])
  while ((await as(second.sign({ sub: 'alice', groups: ['dev'] }))) === 503) {
    // Its keys are a moment later.
  }
  t.same(await as(second.sign({ sub: 'alice', groups: ['dev'] })), [
    ['Impersonate-User', 'two:alice'],
    ['Impersonate-Group', 'two:dev'],
  ])
  t.equal(
    await as(second.sign({ iss: world.issuer.url })),
    401,
    'signed by one in the name of the other',
  )
  t.equal(await as(world.issuer.sign({ iss: second.url })), 401, 'and the other way round')
  const third = await startIssuer()
  t.teardown(() => third.close())
  t.equal(await as(third.sign()), 401)

  const { body } = await world.gateway.admin('/readyz?verbose')
  t.match(body, /\[i\]authentication configuration: generation 1, sha256 [0-9a-f]{12}\n/)
  t.match(body, `[i]issuer ${world.issuer.url}: ready\n[i]issuer ${second.url}: ready\n`)
  t.equal(await world.gateway.metric(`gateway_issuer_ready{issuer="${second.url}"}`), 1)
})

t.test('uid, extra and credential id go upstream as they were mapped', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: ['--credential-id-extra'],
    configuration: issuer =>
      document(
        entry(
          issuer,
          `claimMappings:
  username: { expression: '"u:" + claims.sub' }
  uid: { claim: oid }
  extra: [{ key: example.org/team, valueExpression: claims.team }]`,
        ),
      ),
  })
  const token = world.issuer.sign({ sub: 'zoë', oid: '007', team: ['a', 'b'], jti: 'id-1' })
  t.equal((await world.ask({ token })).response?.status, 200)
  t.same(
    world.api.requests.at(-1)?.headerLines.filter(([name]) => /^impersonate-/i.test(name)),
    [
      ['Impersonate-User', Buffer.from('u:zoë').toString('latin1')],
      ['Impersonate-Uid', '007'],
      ['Impersonate-Extra-authentication.kubernetes.io%2Fcredential-id', 'JTI=id-1'],
      ['Impersonate-Extra-example.org%2Fteam', 'a'],
      ['Impersonate-Extra-example.org%2Fteam', 'b'],
    ],
  )
})

t.test('a wrong file ends the program with every fault of it', async t => {
  const directory = tempDir(t)
  const file = `${directory}/authentication.yaml`
  const kubeconfig = `${directory}/kubeconfig`
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'a', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'a', user: { token: 'x' } }],
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      'current-context': 'a',
    }),
  )
  const run = async (...flags: readonly string[]) => {
    const { code, stderr } = await runProgram(['serve', `--kubeconfig=${kubeconfig}`, ...flags])
    return [code, stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))]
  }
  writeFileSync(
    file,
    document(
      '- issuer: { url: "http://a", audiences: [] }\n  claimMappings: { username: { claim: sub } }\n',
    ),
  )
  t.same(await run(`--authentication-config=${file}`), [
    2,
    [
      `${file}:4: jwt[0].issuer.url "http://a": must be an https URL such as https://issuer.example.com`,
      `${file}:4: jwt[0].issuer.audiences: needs at least one: whom the tokens are meant for`,
      `${file}:5: jwt[0].claimMappings.username.prefix: is required with a claim; "" for none`,
    ],
  ])
  t.same(
    await run(
      `--authentication-config=${file}`,
      '--oidc-issuer-url=https://a',
      '--oidc-groups-claim=x',
    ),
    [
      2,
      [
        '--oidc-issuer-url: contradicts --authentication-config, which says it itself; take one out',
        '--oidc-groups-claim: contradicts --authentication-config, which says it itself; take one out',
      ],
    ],
  )
  t.same(await run('--authentication-config=/nowhere'), [
    2,
    ['--authentication-config "/nowhere": cannot be read: no such file'],
  ])
  writeFileSync(file, document().replace('jwt:\n', 'jwt: []\n'))
  t.same(
    await run(
      `--authentication-config=${file}`,
      '--unsafe-use-service-account-token',
      '--secure-port=0',
      '--admin-port=0',
    ),
    [2, [`${file}: jwt: must name at least one issuer with --unsafe-use-service-account-token`]],
  )
})

t.test('nobody is let through where the file says so, as nobody', async t => {
  for (const mode of ['gateway', 'caller'] as const) {
    const world = await startedWorld(t, {
      mode,
      configuration: issuer => document(entry(issuer, named('a:'))) + anonymous,
    })
    const answer = await world.ask({ path: '/livez', token: false })
    t.equal(answer.response?.status, 200, mode)
    const { headerLines = [] } = world.api.requests.at(-1) ?? {}
    t.same(
      headerLines.filter(([name]) => /^(?:impersonate|authorization)/i.test(name)),
      mode === 'caller'
        ? []
        : [
            ['Impersonate-User', 'system:anonymous'],
            ['Impersonate-Group', 'system:unauthenticated'],
            ['Authorization', 'Bearer gateway-token'],
          ],
      mode,
    )
    const before = world.api.requests.length
    t.equal((await world.ask({ path: '/api', token: false })).response?.status, 401)
    t.equal((await world.ask({ path: '/livez', token: 'no.such.token' })).response?.status, 401)
    t.equal(world.api.requests.length, before, 'neither has been heard of')
  }
})
