import t from 'tap'
import { startedWorld } from '../actors/world.js'
import { asUser, wholeHead } from '../hostile/whole-answer.js'

const flags = [
  '--extra-user-headers=team=plätform,Example.com/Site=eu,team=b',
  '--extra-user-header-client-ip',
  '--trusted-proxies=127.0.0.1',
]
const extra = [
  ['Impersonate-Extra-team', 'plätform'],
  ['Impersonate-Extra-team', 'b'],
  ['Impersonate-Extra-example.com%2Fsite', 'eu'],
  ['Impersonate-Extra-remote-client-ip', '203.0.113.9'],
] as const
const headers = [
  ['X-Forwarded-For', '10.9.9.9, 203.0.113.9'],
  ['Impersonate-Extra-Remote-Client-Ip', '10.9.9.9'],
  ['Impersonate-Extra-Team', 'forged'],
] as const

t.test("service-account mode: they stand beside the user, and are the gateway's alone", async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { issuer, api } = world
  t.equal((await world.ask({ headers })).response?.status, 200)
  const plain = asUser(world, `${issuer.url}#alice`)
  t.strictSame(wholeHead(await api.request(0)), [
    ...plain
      .slice(0, -1)
      .map(([name, value]) =>
        name === 'X-Forwarded-For' ? ([name, '203.0.113.9'] as const) : ([name, value] as const),
      ),
    ...extra,
    ...plain.slice(-1),
  ])
})

t.test("caller's token: they go where a user goes, and not without", async t => {
  const world = await startedWorld(t, { mode: 'caller', flags })
  const { issuer, api } = world
  const extras = (n: number): unknown =>
    wholeHead(api.forwarded[n]!).filter(([name]) => name.startsWith('Impersonate-'))
  const token = issuer.sign()
  await world.ask({ headers, token })
  t.strictSame(extras(0), [], 'the API server sees the same caller')
  api.know(() => ({ username: 'somebody else' }))
  await world.ask({ headers, token: issuer.sign({ jti: 'another' }) })
  t.strictSame(extras(1), [['Impersonate-User', `${issuer.url}#alice`], ...extra])
})
