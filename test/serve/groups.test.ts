import t from 'tap'
import { startedWorld } from '../actors/world.js'
import { asUser, refusal, wholeAnswer, wholeHead } from '../hostile/whole-answer.js'

const flags = [
  '--oidc-groups-prefix=oidc:',
  '--allowed-groups=oidc:team-*,oidc:ops',
  '--denied-groups=oidc:team-secret',
  '--max-groups=3',
]
const crowd = Array.from({ length: 300 }, (_, n) => `list-${String(n)}`)
const groups = [...crowd, 'team-a', 'ops', 'team-secret', 'team-b']

t.test('service-account mode: only chosen groups are sent, and they alone are counted', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { issuer, api, gateway } = world
  t.equal((await world.ask({ token: issuer.sign({ groups }) })).response?.status, 200)
  t.strictSame(
    wholeHead(await api.request(0)),
    asUser(world, `${issuer.url}#alice`, 'oidc:team-a', 'oidc:ops', 'oidc:team-b'),
  )
  t.equal(await gateway.metric('gateway_groups_left_out_total'), 301)

  const token = issuer.sign({ groups: [...groups, 'team-c'] })
  t.strictSame(
    wholeAnswer(await world.ask({ token })),
    refusal(431, 'RequestHeaderFieldsTooLarge', 'the identity has too many groups: 4, at most 3'),
  )
  t.equal(api.forwarded.length, 1)
})

t.test(
  "caller's token: who has a group less is another, and has to be allowed to be it",
  async t => {
    const world = await startedWorld(t, { mode: 'caller', flags: flags.slice(1) })
    const { issuer, api } = world
    const ask = async (claims: readonly string[]): Promise<readonly string[]> => {
      const token = issuer.sign({ groups: claims })
      t.equal((await world.ask({ token })).response?.status, 200)
      const last = api.forwarded.at(-1)!
      t.strictSame(last.values('authorization'), [`Bearer ${token}`])
      return [...last.values('impersonate-user'), ...last.values('impersonate-group')]
    }
    t.strictSame(await ask(['oidc:ops']), [], 'nothing was taken from him')
    t.strictSame(await ask(['oidc:ops', 'cluster-admins']), [`${issuer.url}#alice`, 'oidc:ops'])
  },
)
