import t from 'tap'
import { facts } from '../../lib/channels.js'
import { refusalCodes } from '../../lib/refusal.js'
import { Grant } from '../../lib/grant.js'
import type { Identity } from '../../lib/identity.js'
import { createMetrics } from '../../lib/observe/metrics.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { context, exchange } from './fixtures.js'

const alice: Identity = { username: 'alice', groups: [], extra: {} }

/** The samples of our own metrics: neither Node's, nor the help. */
async function samples(happen: () => void): Promise<string[]> {
  const metrics = createMetrics()
  happen()
  const text = await metrics.text()
  metrics.close()
  return text.split('\n').filter(line => line.startsWith('gateway_'))
}

const reasons = (await samples(() => {})).filter(line => line.startsWith('gateway_refusals_total'))

const atRest = [
  ...reasons,
  ...['watch', 'log', 'exec', 'attach', 'portforward', 'proxy', 'pprof'].map(
    kind => `gateway_open_streams{kind="${kind}"} 0`,
  ),
  'gateway_token_cache_total{result="hit"} 0',
  'gateway_token_cache_total{result="miss"} 0',
  'gateway_token_cache_total{result="shared"} 0',
  'gateway_config_reloads_total{result="ok"} 0',
  'gateway_config_reloads_total{result="error"} 0',
  'gateway_privileged_mode 0',
  'gateway_client_impersonation_total{action="stripped"} 0',
  'gateway_client_impersonation_total{action="rejected"} 0',
  'gateway_client_impersonation_total{action="authorized"} 0',
  'gateway_client_impersonation_total{action="denied"} 0',
  'gateway_groups_left_out_total 0',
]

t.test('what can be counted is there, at nought, before it happens', async t => {
  t.same(await samples(() => {}), atRest)
  t.equal(reasons.length, refusalCodes.length)
  t.ok(reasons.every(line => line.endsWith('} 0')))
})

t.test('facts are counted under the names that users rely on', async t => {
  const issuer = 'https://issuer.example'
  const own = Grant.byCaller(alice, new Secret('x', 'token'), { impersonate: false })
  const counted = await samples(() => {
    for (const endedAt of [0.4, 3, 70_000]) {
      facts.exchange.publish(
        exchange({ context: context('GET', '/api/v1/pods'), grant: own, endedAt }),
      )
    }
    facts.exchange.publish(
      exchange({
        context: context('GET', '/api/v1/pods?watch=1'),
        grant: Grant.byGateway(alice),
        endedAt: 5_000,
      }),
    )
    facts.exchange.publish(
      exchange(
        { context: context('POST', '/version'), refusal: new Refusal('token_expired'), endedAt: 1 },
        { status: 401 },
      ),
    )
    facts.exchange.publish(
      exchange(
        {
          context: context('PUT', '/api/v1/pods/a'),
          grant: own,
          refusal: new Refusal('upstream_unreachable'),
          endedAt: 2,
        },
        { status: 502 },
      ),
    )
    facts.malformed.publish({
      id: 'x',
      address: '::1',
      refusal: new Refusal('request_framing'),
    })
    facts.token.publish({ result: 'hit' })
    facts.token.publish({ result: 'hit' })
    facts.token.publish({ result: 'miss' })
    facts.keysFetched.publish({ issuer, result: 'error' })
    facts.issuerReady.publish({ issuer, ready: false })
    facts.issuerReady.publish({ issuer, ready: true })
    facts.reload.publish({ result: 'ok' })
    facts.clientImpersonation.publish({ action: 'rejected' })
    facts.groupsLeftOut.publish({ count: 3 })
    facts.stream.publish({ kind: 'watch', change: 1 })
    facts.stream.publish({ kind: 'watch', change: 1 })
    facts.stream.publish({ kind: 'watch', change: -1 })
    facts.privileged.publish({ privileged: true })
  })
  const bounds = '0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 +Inf'.split(' ')
  const durations = (verb: string, counts: readonly number[], sum: number): string[] => [
    ...bounds.map(
      (le, at) =>
        `gateway_request_duration_seconds_bucket{le="${le}",verb="${verb}"} ${counts[at] ?? counts.at(-1)}`,
    ),
    `gateway_request_duration_seconds_sum{verb="${verb}"} ${sum}`,
    `gateway_request_duration_seconds_count{verb="${verb}"} ${counts.at(-1)}`,
  ]
  const changed = new Map([
    ['gateway_refusals_total{reason="token_expired"} 0', '1'],
    ['gateway_refusals_total{reason="upstream_unreachable"} 0', '1'],
    ['gateway_refusals_total{reason="request_framing"} 0', '1'],
    ['gateway_open_streams{kind="watch"} 0', '1'],
    ['gateway_token_cache_total{result="hit"} 0', '2'],
    ['gateway_token_cache_total{result="miss"} 0', '1'],
    ['gateway_config_reloads_total{result="ok"} 0', '1'],
    ['gateway_privileged_mode 0', '1'],
    ['gateway_client_impersonation_total{action="rejected"} 0', '1'],
    ['gateway_groups_left_out_total 0', '3'],
  ])
  const rest = atRest.map(line => {
    const value = changed.get(line)
    return value === undefined ? line : line.replace(/0$/, value)
  })
  const at = rest.findIndex(line => line.startsWith('gateway_config_reloads_total'))
  t.same(counted, [
    'gateway_requests_total{code="400",verb="other",decision="refused"} 1',
    'gateway_requests_total{code="200",verb="list",decision="own_token"} 3',
    'gateway_requests_total{code="200",verb="watch",decision="gateway_impersonating"} 1',
    'gateway_requests_total{code="401",verb="post",decision="refused"} 1',
    'gateway_requests_total{code="502",verb="update",decision="own_token"} 1',
    ...durations('list', [1, 1, ...Array<number>(13).fill(2), 3], 70.0034),
    ...durations('post', [1], 0.001),
    ...durations('update', [0, 1], 0.002),
    ...rest.slice(0, at),
    `gateway_jwks_fetches_total{issuer="${issuer}",result="ok"} 0`,
    `gateway_jwks_fetches_total{issuer="${issuer}",result="error"} 1`,
    `gateway_issuer_ready{issuer="${issuer}"} 1`,
    ...rest.slice(at),
  ])
})

t.test('an issuer that is no longer configured leaves no series behind', async t => {
  const of = (issuer: string, counted: readonly string[]): readonly string[] =>
    counted.filter(line => line.includes(`issuer="${issuer}"`))
  const counted = await samples(() => {
    for (const issuer of ['https://stays', 'https://goes', 'https://returns']) {
      facts.keysFetched.publish({ issuer, result: 'error' })
      facts.issuerReady.publish({ issuer, ready: true })
    }
    facts.issuerRemoved.publish({ issuer: 'https://goes' })
    facts.issuerRemoved.publish({ issuer: 'https://returns' })
    facts.keysFetched.publish({ issuer: 'https://returns', result: 'ok' })
  })
  t.same(of('https://stays', counted), [
    'gateway_jwks_fetches_total{issuer="https://stays",result="ok"} 0',
    'gateway_jwks_fetches_total{issuer="https://stays",result="error"} 1',
    'gateway_issuer_ready{issuer="https://stays"} 1',
  ])
  t.same(of('https://goes', counted), [])
  t.same(of('https://returns', counted), [
    'gateway_jwks_fetches_total{issuer="https://returns",result="ok"} 1',
    'gateway_jwks_fetches_total{issuer="https://returns",result="error"} 0',
  ])
})

t.test('neither clients nor the API server can make it remember without bound', async t => {
  const counted = await samples(() => {
    for (let n = 0; n < 1000; n++) {
      facts.exchange.publish(
        exchange(
          {
            context: { ...context('GET', '/'), info: { verb: `verb${n}`, longRunning: 'proxy' } },
          },
          { status: n },
        ),
      )
    }
  })
  const requests = counted.filter(line => line.startsWith('gateway_requests_total'))
  t.ok(requests.length < 70, String(requests.length))
  t.match(requests, [
    'gateway_requests_total{code="0",verb="other",decision="refused"} 1',
    /^gateway_requests_total\{code="other",verb="other",decision="refused"\} \d{3}$/,
  ])
  t.ok(requests.includes('gateway_requests_total{code="499",verb="other",decision="refused"} 1'))
})

t.test("Node's own metrics stand beside ours, and nothing is heard after close", async t => {
  const metrics = createMetrics()
  t.match(metrics.contentType, 'text/plain; version=0.0.4')
  const text = await metrics.text()
  t.match(text, /^process_cpu_seconds_total /m)
  t.match(text, /^nodejs_eventloop_lag_seconds /m)
  metrics.close()
  t.same(
    Object.values(facts).map(fact => fact.heard),
    Object.values(facts).map(() => false),
  )
})
