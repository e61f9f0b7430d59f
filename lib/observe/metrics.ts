import { STATUS_CODES } from 'node:http'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { facts, type Exchange, type StreamKind } from '../channels.js'
import { refusalCodes } from '../refusal.js'
import { inBatches } from './batch.js'

export interface Metrics {
  readonly contentType: string
  /** What `/metrics` answers, in Prometheus' text format. */
  text(): Promise<string>
  /** Stops listening and forgets everything. */
  close(): void
}

/**
 * Counts what happens in this process, from now on. No client can make it remember without bound:
 * every label whose value a client or the API server could choose is cut to a closed set.
 */
export function createMetrics(): Metrics {
  const registers = [new Registry()]
  const [registry] = registers as [Registry]

  const requests = new Counter({
    name: 'gateway_requests_total',
    help: 'Requests that are over, by status sent (0: the client left before), verb and decision.',
    labelNames: ['code', 'verb', 'decision'],
    registers,
    collect: () => counted.handOver(),
  })
  const duration = new Histogram({
    name: 'gateway_request_duration_seconds',
    help: 'Time from head to end of a request, long-running ones left out.',
    labelNames: ['verb'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  const refusals = new Counter({
    name: 'gateway_refusals_total',
    help: 'Requests that the gateway itself answered with a refusal, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const streams = new Gauge({
    name: 'gateway_open_streams',
    help: 'Long-running requests under way, by kind.',
    labelNames: ['kind'],
    registers,
  })
  const tokens = new Counter({
    name: 'gateway_token_cache_total',
    help: 'Tokens looked up: known (hit), verified (miss), or verified for another request (shared).',
    labelNames: ['result'],
    registers,
    collect: () => looked.handOver(),
  })
  const fetches = new Counter({
    name: 'gateway_jwks_fetches_total',
    help: 'Fetches of signing keys, by issuer and result.',
    labelNames: ['issuer', 'result'],
    registers,
  })
  const ready = new Gauge({
    name: 'gateway_issuer_ready',
    help: 'Whether tokens of the issuer can be verified.',
    labelNames: ['issuer'],
    registers,
  })
  const reloads = new Counter({
    name: 'gateway_config_reloads_total',
    help: 'Files that changed and were taken up (ok) or could not be (error).',
    labelNames: ['result'],
    registers,
  })
  const privileged = new Gauge({
    name: 'gateway_privileged_mode',
    help: 'Whether requests are forwarded with a credential that may impersonate anybody.',
    registers,
  })
  const rights = new Gauge({
    name: 'gateway_credential_rights',
    help: 'What the last examination of the own credential came to: 1 for the verdict that holds.',
    labelNames: ['verdict'],
    registers,
  })
  const impersonation = new Counter({
    name: 'gateway_client_impersonation_total',
    help: 'Requests with Impersonate-* of the client, by what happened to them.',
    labelNames: ['action'],
    registers,
  })
  const leftOut = new Counter({
    name: 'gateway_groups_left_out_total',
    help: 'Groups left out of verified tokens by --allowed-groups and --denied-groups.',
    registers,
  })
  collectDefaultMetrics({ register: registry })

  for (const result of ['hit', 'miss', 'shared']) tokens.inc({ result }, 0)
  for (const result of ['ok', 'error']) reloads.inc({ result }, 0)
  for (const action of ['stripped', 'rejected', 'authorized', 'denied'])
    impersonation.inc({ action }, 0)
  for (const reason of refusalCodes) refusals.inc({ reason }, 0)
  for (const kind of Object.keys(kinds)) streams.set({ kind }, 0)

  const counted = tally((key, count) => {
    const [code = '', verb = '', decision = ''] = key.split(' ')
    requests.inc({ code, verb, decision }, count)
  })
  const looked = tally((result, count) => tokens.inc({ result }, count))
  const timed = remembered((verb: string) => duration.labels({ verb }))

  const count = ({ context, grant, refusal, outcome, endedAt }: Exchange): void => {
    const verb = verbs.has(context.info.verb) ? context.info.verb : 'other'
    counted.count(`${codeOf(outcome.status)} ${verb} ${grant?.decision ?? 'refused'}`)
    if (refusal) refusals.inc({ reason: refusal.code })
    if (context.info.longRunning === undefined) {
      timed(verb).observe((endedAt - context.receivedAt) / 1000)
    }
  }
  const exchanges = inBatches<Exchange>(all => {
    for (const exchange of all) count(exchange)
  })
  const seen = new Set<string>()
  const fetched = ({ issuer, result }: { issuer: string; result: string }): void => {
    if (!seen.has(issuer)) {
      seen.add(issuer)
      for (const each of ['ok', 'error']) fetches.inc({ issuer, result: each }, 0)
    }
    fetches.inc({ issuer, result })
  }

  /** What is no longer configured has no series: they would be of nobody, and as many as there ever were. */
  const forget = ({ issuer }: { issuer: string }): void => {
    seen.delete(issuer)
    ready.remove({ issuer })
    for (const result of ['ok', 'error']) fetches.remove({ issuer, result })
  }

  const subscriptions = [
    facts.exchange.subscribe(exchange => exchanges.add(exchange)),
    facts.malformed.subscribe(({ refusal }) => {
      counted.count(`${codeOf(refusal.status)} other refused`)
      refusals.inc({ reason: refusal.code })
    }),
    facts.token.subscribe(({ result }) => looked.count(result)),
    facts.keysFetched.subscribe(fetched),
    facts.issuerReady.subscribe(fact => ready.set({ issuer: fact.issuer }, fact.ready ? 1 : 0)),
    facts.issuerRemoved.subscribe(forget),
    facts.reload.subscribe(({ result }) => reloads.inc({ result })),
    facts.clientImpersonation.subscribe(({ action }) => impersonation.inc({ action })),
    facts.groupsLeftOut.subscribe(({ count }) => leftOut.inc(count)),
    facts.stream.subscribe(({ kind, change }) => streams.inc({ kind }, change)),
    facts.privileged.subscribe(fact => privileged.set(fact.privileged ? 1 : 0)),
    facts.credentialRights.subscribe(fact => {
      for (const verdict of ['least', 'missing', 'open', 'excess', 'unknown']) {
        rights.set({ verdict }, verdict === fact.verdict ? 1 : 0)
      }
    }),
  ]
  return {
    contentType: registry.contentType,
    text: () => {
      exchanges.pass()
      return registry.metrics()
    },
    close: () => {
      for (const unsubscribe of subscriptions) unsubscribe()
      exchanges.pass()
      registry.clear()
    },
  }
}

/** The verbs of resources, and the methods of other paths. */
const verbs: ReadonlySet<string> = new Set(
  'get list watch create update patch delete deletecollection proxy head post put options'.split(
    ' ',
  ),
)

/** An API server may answer with any three digits; those with a name keep them. */
function codeOf(status: number): string {
  return status === 0 || status === 499 || status in STATUS_CODES ? String(status) : 'other'
}

const kinds: Readonly<Record<StreamKind, true>> = {
  watch: true,
  log: true,
  exec: true,
  attach: true,
  portforward: true,
  proxy: true,
  pprof: true,
}

/**
 * Counts by a key out of a closed set, and hands the counts over when somebody looks: a counter finds its
 * series by its labels each time, which costs many times what counting does.
 */
function tally(add: (key: string, count: number) => void): {
  count(key: string): void
  handOver(): void
} {
  const counts = new Map<string, { n: number }>()
  return {
    count(key) {
      const known = counts.get(key)
      if (known === undefined) counts.set(key, { n: 1 })
      else known.n += 1
    },
    handOver() {
      for (const [key, known] of counts) {
        if (known.n > 0) add(key, known.n)
        known.n = 0
      }
    },
  }
}

function remembered<T>(find: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>()
  return key => {
    let found = known.get(key)
    if (found === undefined) {
      found = find(key)
      known.set(key, found)
    }
    return found
  }
}
