import t from 'tap'
import type { AskedReview, Decide } from '../actors/api-server.js'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld, type World } from '../actors/world.js'
import { forbidden, refusal, unavailable, wholeAnswer, wholeHead } from '../hostile/whole-answer.js'

const flags = ['--client-impersonation=authorize', '--oidc-groups-prefix=oidc:']
const denied = forbidden('impersonating this user, group, uid or extra is not allowed')
const malformed = refusal(
  400,
  'BadRequest',
  'the impersonation headers must name exactly one user, in one spelling',
)
const unknown = unavailable('whether impersonation is allowed could not be found out')

const as = (user: string, ...rest: HeaderLines): HeaderLines => [
  ['Impersonate-User', user],
  ...rest,
]
const original = ({ issuer }: World): HeaderLines => [
  ['Impersonate-Extra-original-user.impersonation-gateway.io%2Fname', `${issuer.url}#alice`],
  ['Impersonate-Extra-original-user.impersonation-gateway.io%2Fgroups', 'oidc:dev'],
]
const sent = (world: World, names: HeaderLines): HeaderLines => [
  ['host', `127.0.0.1:${String(world.api.port)}`],
  ['connection', 'keep-alive'],
  ['X-Forwarded-For', '127.0.0.1'],
  ['Audit-ID', '<uuid>'],
  ...names,
  ['Authorization', 'Bearer gateway-token'],
]
const allowing =
  (...rights: readonly string[]): Decide =>
  ({ spec }) => ({ allowed: rights.includes(rightOf(spec)) })
const rightOf = (spec: AskedReview['spec']): string => {
  const { namespace, resource, subresource, name } = spec['resourceAttributes'] as Record<
    string,
    string
  >
  const where = namespace === undefined ? '' : `${namespace}/`
  return `${resource ?? ''}${subresource === undefined ? '' : `/${subresource}`} ${where}${name ?? ''}`
}

t.test('service-account mode: the API server is asked, and the one who asked is named', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: [...flags, '--extra-user-headers=team=x'],
  })
  const { api, issuer, gateway } = world
  const token = issuer.sign({ groups: ['dev'] })
  const asked: AskedReview[] = []
  const rights = [
    'users bøb',
    'groups a',
    'groups system:masters',
    'uids 7',
    'userextras/example.com/site eu',
    'serviceaccounts ci/deployer',
  ]
  api.decide(review => {
    asked.push(review)
    return allowing(...rights)(review)
  })
  const headers = as(
    'b\u00c3\u00b8b',
    ['Impersonate-Group', 'a'],
    ['impersonate-group', 'system:masters'],
    ['Impersonate-Uid', '7'],
    ['Impersonate-Extra-Example.com%2fSite', 'eu'],
  )
  const team = [['Impersonate-Extra-team', 'x']] as const
  t.equal((await world.ask({ token, headers })).response?.status, 200)
  t.strictSame(
    wholeHead(await api.request(0)),
    sent(world, [
      ['Impersonate-User', 'bøb'],
      ['Impersonate-Uid', '7'],
      ['Impersonate-Group', 'a'],
      ['Impersonate-Group', 'system:masters'],
      ['Impersonate-Extra-example.com%2Fsite', 'eu'],
      ...original(world),
      ...team,
    ]),
  )
  t.strictSame(asked.map(({ spec }) => rightOf(spec)).toSorted(), rights.slice(0, 5).toSorted())
  for (const { kind, spec, request } of asked) {
    t.equal(kind, 'SubjectAccessReview')
    t.strictSame(
      [spec['user'], spec['groups']],
      [`${issuer.url}#alice`, ['oidc:dev', 'system:authenticated']],
    )
    t.strictSame(request.values('authorization'), ['Bearer gateway-token'])
    t.strictSame(request.values('impersonate-user'), [])
  }

  const account = 'system:serviceaccount:ci:deployer'
  await world.ask({ token, headers: as(account) })
  t.strictSame(
    wholeHead(await api.request(1)),
    sent(world, [['Impersonate-User', account], ...original(world), ...team]),
  )

  await world.ask({ token, headers })
  t.equal(asked.length, 6, 'an answer is remembered')
  await world.ask({ token: issuer.sign({ sub: 'bob', groups: ['dev'] }), headers })
  t.equal(asked.length, 11, 'for the one whom it is about')

  const self = `${issuer.url}#alice`
  api.decide(() => (t.fail('asked about less than one has'), 500))
  await world.ask({ token, headers: as(self, ['Impersonate-Group', 'oidc:dev']) })
  t.strictSame(
    wholeHead(api.forwarded.at(-1)!),
    sent(world, [
      ['Impersonate-User', self],
      ['Impersonate-Group', 'oidc:dev'],
      ...original(world),
      ...team,
    ]),
  )

  const counted = (action: string): Promise<number | undefined> =>
    gateway.metric(`gateway_client_impersonation_total{action="${action}"}`)
  t.strictSame(await Promise.all(['authorized', 'denied', 'stripped'].map(counted)), [5, 0, 0])
  const line = await gateway.waitForLog(one => one['actingAs'] === account)
  t.match(line, { user: self, groups: 1, decision: 'gateway_impersonating_other', status: 200 })
  t.equal(
    await gateway.metric(
      'gateway_requests_total{code="200",verb="list",decision="gateway_impersonating_other"}',
    ),
    5,
  )
})

t.test(
  'service-account mode: whoever may not, or whose right is not known, gets nowhere',
  async t => {
    const world = await startedWorld(t, { mode: 'gateway', flags })
    const { api, gateway } = world
    const ask = async (headers: HeaderLines): Promise<unknown> =>
      wholeAnswer(await world.ask({ headers }))
    api.decide(allowing('users bob', 'groups a'))
    for (const headers of [
      as('eve'),
      as('bob', ['Impersonate-Group', 'a'], ['Impersonate-Group', 'b']),
      as('bob', ['Impersonate-Uid', '7']),
      as('bob', ['Impersonate-Extra-a', 'b']),
      as('system:serviceaccount:bob:bob'),
      as(`${world.issuer.url}#alice`, ['Impersonate-Group', 'system:masters']),
    ]) {
      t.strictSame(await ask(headers), denied, JSON.stringify(headers))
    }
    for (const headers of [
      [['Impersonate-Group', 'a']],
      [['Impersonate-Uid', '7']],
      [['Impersonate-Extra-a', 'b']],
      [...as('bob'), ...as('bob')],
      as('bob', ['Impersonate_User', 'bob']),
    ] satisfies HeaderLines[]) {
      t.strictSame(await ask(headers), malformed, JSON.stringify(headers))
    }
    t.strictSame(await ask(as('')), forbidden('the identity cannot be represented'))
    const groups = Array.from(
      { length: 257 },
      (_, n) => ['Impersonate-Group', `g${String(n)}`] as const,
    )
    t.strictSame(
      await ask(as('bob', ...groups)),
      refusal(
        431,
        'RequestHeaderFieldsTooLarge',
        'the identity has too many groups: 257, at most 256',
      ),
    )
    for (const status of [403, 500, {}, { allowed: 'yes' }]) {
      api.decide(() => status)
      t.strictSame(await ask(as('carol')), unknown, JSON.stringify(status))
    }
    t.equal(api.forwarded.length, 0, 'nothing of all this was forwarded')
    t.equal(await gateway.metric('gateway_client_impersonation_total{action="denied"}'), 13)
    await api.down()
    t.strictSame(await ask(as('carol')), unknown)
    await api.up()

    api.decide(() => (t.fail('nobody is asked for'), 500))
    const odd = [
      ['Impersonate_User', 'root'],
      ['Impersonate%2DGroup', 'system:masters'],
    ] as const
    const { response } = await world.ask({ headers: odd })
    t.equal(response?.status, 200)
    t.match(response?.headers.find(([name]) => name === 'Warning')?.[1], 'ignored')
    t.strictSame(
      wholeHead(api.forwarded.at(-1)!),
      sent(world, [['Impersonate-User', `${world.issuer.url}#alice`]]),
    )
  },
)

for (const impersonation of ['auto', 'always']) {
  t.test(
    `caller's token, ${impersonation}: what is asked goes along, and the API server decides`,
    async t => {
      const world = await startedWorld(t, {
        mode: 'caller',
        flags: [...flags, `--impersonation=${impersonation}`, '--extra-user-headers=team=x'],
      })
      const { api, issuer, gateway } = world
      const token = issuer.sign({ groups: ['dev'] })
      const before = api.requests.length
      const { response } = await world.ask({
        token,
        headers: as(
          'b\u00c3\u00b8b',
          ['impersonate-group', 'system:masters'],
          ['Impersonate-Extra-Scopes', 'a'],
        ),
      })
      t.equal(response?.status, 200)
      t.equal(api.requests.length, before + 1, 'the gateway itself asks nothing')
      t.strictSame(
        wholeHead(await api.request(0)),
        sent(world, [
          ['Authorization', `Bearer ${token}`],
          ['Impersonate-User', 'bøb'],
          ['Impersonate-Group', 'system:masters'],
          ['Impersonate-Extra-scopes', 'a'],
        ]).slice(0, -1),
      )
      const line = await gateway.waitForLog(one => one['actingAs'] === 'bøb')
      t.match(line, { user: `${issuer.url}#alice`, decision: 'own_token_impersonating_other' })

      const forwarded = api.forwarded.length
      t.strictSame(
        wholeAnswer(await world.ask({ headers: [['Impersonate-Group', 'a']] })),
        malformed,
      )
      t.equal(api.forwarded.length, forwarded)
      await world.ask({ headers: [['Impersonate_User', 'root']] })
      t.strictSame(
        api.forwarded.at(-1)!.values('impersonate-user'),
        impersonation === 'always' ? [`${issuer.url}#alice`] : [],
      )
      t.strictSame(api.forwarded.at(-1)!.values('impersonate_user'), [])
    },
  )
}
