import { renameSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { hastyFiles } from './actors/hasty-files.js'
import { startIssuer, type Issuer } from './actors/issuer.js'
import { startedWorld, type World } from './actors/world.js'

const document = (...entries: ReadonlyArray<readonly [Issuer, object]>): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: entries.map(([{ url, ca }, rules]) => ({
      issuer: { url, audiences: ['kubernetes'], certificateAuthority: ca },
      claimMappings: { username: { claim: 'sub', prefix: '' } },
      ...rules,
    })),
  })

/** In one step, as mounted ConfigMaps change: nobody reads half of it. */
function rewrite({ configurationFile: file }: World, content: string): void {
  writeFileSync(`${file}.next`, content)
  renameSync(`${file}.next`, file)
}

/** What `/readyz?verbose` says is live. */
async function live({ gateway }: World): Promise<string | undefined> {
  const { body } = await gateway.admin('/readyz?verbose')
  return /generation \d+, sha256 [0-9a-f]{12}/.exec(body)?.[0]
}

async function untilGeneration(world: World, generation: number): Promise<void> {
  while (!(await live(world))?.startsWith(`generation ${String(generation)},`)) await pause(20)
}

const reloads = ({ gateway }: World, result: 'ok' | 'error') =>
  gateway.metric(`gateway_config_reloads_total{result="${result}"}`)

t.test('a bad file changes nothing, and says why', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    configuration: issuer => document([issuer, {}]),
    process: { nodeArgs: hastyFiles },
  })
  const { issuer, gateway, configurationFile: file } = world
  const before = await live(world)
  const token = issuer.sign({ sub: 'alice' })
  t.equal((await world.ask({ token })).response?.status, 200)

  const good = document([issuer, {}])
  rewrite(world, good.replace('"audiences":["kubernetes"]', '"audiences":[]'))
  const complaint = await gateway.waitForLog(({ level }) => level === 'error')
  t.match(complaint, {
    msg: 'file cannot be used, the last good one stays in force',
    file,
    error: `${file}:1: jwt[0].issuer.audiences: needs at least one: whom the tokens are meant for`,
  })
  t.equal(await reloads(world, 'error'), 1)
  t.equal(await live(world), before)
  t.equal((await world.ask({ token })).response?.status, 200, 'known before')
  t.equal((await world.ask({ token: issuer.sign({ sub: 'bob' }) })).response?.status, 200, 'new')

  rewrite(world, document())
  await gateway.waitForLog(({ error }) =>
    String(error).includes('must name at least one issuer with --unsafe-use-service-account-token'),
  )
  t.equal(await reloads(world, 'error'), 2, 'nor one that is good only without a credential')
  t.equal(await live(world), before)

  rewrite(world, `${good}\n`)
  await untilGeneration(world, 2)
  t.not((await live(world))?.split(' ').at(-1), before?.split(' ').at(-1), 'another hash')
  t.equal(await reloads(world, 'ok'), 1)
  t.equal((await gateway.admin('/readyz')).status, 200)
})

t.test('a stricter rule holds for tokens that are known already', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    configuration: issuer => document([issuer, {}]),
    process: { nodeArgs: hastyFiles },
  })
  const { issuer } = world
  const staff = issuer.sign({ sub: 'alice', hd: 'example.com' })
  const stranger = issuer.sign({ sub: 'mallory', hd: 'example.net' })
  const statuses = async () => [
    (await world.ask({ token: staff })).response?.status,
    (await world.ask({ token: stranger })).response?.status,
  ]
  t.same(await statuses(), [200, 200])
  t.same(await statuses(), [200, 200], 'remembered')
  const fetches = issuer.keyFetches
  rewrite(
    world,
    document([issuer, { claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }] }]),
  )
  await untilGeneration(world, 2)
  const forwarded = world.api.requests.length
  t.same(await statuses(), [200, 401])
  t.equal(world.api.requests.length, forwarded + 1)
  t.equal(issuer.keyFetches, fetches, 'the keys stay')

  rewrite(
    world,
    document([issuer, { claimMappings: { username: { expression: '"sso:" + claims.sub' } } }]),
  )
  await untilGeneration(world, 3)
  t.same(await statuses(), [200, 200])
  t.same(
    world.api.requests.slice(-2).map(request => request.values('impersonate-user').join()),
    ['sso:alice', 'sso:mallory'],
    'and another name is the name from then on',
  )
})

t.test('an issuer that is taken out is nobody from then on', async t => {
  const second = await startIssuer()
  t.teardown(() => second.close())
  const world = await startedWorld(t, {
    mode: 'gateway',
    configuration: first => document([first, {}], [second, {}]),
    process: { nodeArgs: hastyFiles },
  })
  const { issuer: first, gateway } = world
  const ready = ({ url }: Issuer) => gateway.metric(`gateway_issuer_ready{issuer="${url}"}`)
  while ((await ready(second)) !== 1) await pause(20)
  const [kept, lost] = [first.sign(), second.sign()]
  const statuses = async () => [
    (await world.ask({ token: kept })).response?.status,
    (await world.ask({ token: lost })).response?.status,
  ]
  t.same(await statuses(), [200, 200])

  rewrite(world, document([first, {}]))
  await untilGeneration(world, 2)
  const forwarded = world.api.requests.length
  t.same(await statuses(), [200, 401])
  t.equal(world.api.requests.length, forwarded + 1)
  t.same([await ready(first), await ready(second)], [1, undefined])
  t.notMatch((await gateway.admin('/readyz?verbose')).body, second.url)

  rewrite(world, document([first, {}], [second, {}]))
  await untilGeneration(world, 3)
  while ((await ready(second)) !== 1) await pause(20)
  t.same(await statuses(), [200, 200], 'and who comes back is known again')
})

t.test('whoever may come without a credential is said by the file as it stands', async t => {
  const rest = { anonymous: { enabled: true, conditions: [{ path: '/livez' }] } }
  const withAnonymous = (issuer: Issuer): string =>
    JSON.stringify({ ...(JSON.parse(document([issuer, {}])) as object), ...rest })
  const world = await startedWorld(t, {
    mode: 'gateway',
    configuration: withAnonymous,
    process: { nodeArgs: hastyFiles },
  })
  const anonymous = async () => (await world.ask({ path: '/livez', token: false })).response?.status
  t.equal(await anonymous(), 200)
  rewrite(world, document([world.issuer, {}]))
  await untilGeneration(world, 2)
  t.equal(await anonymous(), 401)
  rewrite(world, withAnonymous(world.issuer))
  await untilGeneration(world, 3)
  t.equal(await anonymous(), 200)
})
