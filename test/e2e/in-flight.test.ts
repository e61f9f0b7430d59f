import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { until } from './until.js'
import { modes, startInFront } from './world.js'

const watch = '/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=5'

for (const mode of modes()) {
  t.test(`a third watch of one user is told to come later (${mode} mode)`, async t => {
    const gateway = await startInFront(t, { mode, flags: ['--max-in-flight-per-user=2'] })
    const alice = kubectlAs(t, 'alice', gateway)
    const watching = [1, 2].map(() => alice.start({}, 'get', 'pods', '-w'))
    await until('both are open', async () => {
      return (await gateway.process.metric('gateway_open_streams{kind="watch"}')) === 2
    })
    const answer = await gateway.as('alice').ask('GET', watch)
    t.equal(answer.status, 429)
    t.equal(answer.headers['retry-after'], '1')
    t.match(answer.json(), {
      kind: 'Status',
      reason: 'TooManyRequests',
      message: 'the user has too many requests in flight: 3, at most 2',
    })
    t.equal((await alice.run('get', 'pods')).status, 0, 'what is no stream has its own places')
    const bobs = kubectlAs(t, 'bob', gateway).start({}, 'get', 'pods', '-w')
    await until('another user has his own', async () => {
      return (await gateway.process.metric('gateway_open_streams{kind="watch"}')) === 3
    })
    await bobs.stop()

    const refused = 'gateway_refusals_total{reason="too_many_in_flight"}'
    const before = (await gateway.process.metric(refused)) ?? 0
    const third = alice.start({}, 'get', 'pods', '-w')
    await until('kubectl was told so', async () => {
      return ((await gateway.process.metric(refused)) ?? 0) > before
    })
    for (const one of watching) await one.stop()
    await until('kubectl comes again by itself', async () => {
      return (await gateway.process.metric('gateway_open_streams{kind="watch"}')) === 1
    })
    await third.stop()
  })
}
