import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startLoad, startUpstream } from './child.js'
import {
  bareNode,
  direct,
  gateway,
  haproxy,
  nginx,
  versionOf,
  type Contender,
} from './contenders.js'
import { cpuIsMeasured, cpuMicroseconds } from './cpu.js'
import { execEcho } from './exec-echo.js'
import { comparisons, summary, type Comparison, type Sample } from './report.js'
import type { Round } from './load.js'
import { newToken } from './new-token.js'
import { createWorld, type World } from './world.js'

/*
 * What a request costs: the built gateway against the API server itself and, where installed, HAProxy
 * and nginx. Contenders take turns in short rounds, and what is reported are ratios within a round: absolute
 * numbers of a machine that does other things besides mean nothing.
 */

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    program: { type: 'string', default: fileURLToPath(built()) },
  },
})
const concurrency = 32
const rounds = Number(flags.rounds ?? (flags.quick ? 3 : 9))
const requests = flags.quick ? 1_500 : 3_000
const newTokens = flags.quick ? 300 : 500
/** Before anything is counted: a gateway runs for weeks, compilers are through after seconds. */
const warmUps = flags.quick ? 4 : 8
/** No round begins later than this. */
const lastRoundMs = flags.quick ? 20_000 : 100_000

const say = (text: string): void => void process.stdout.write(`${text}\n`)

function built(): URL {
  return new URL('../../dist/cmd/main.js', import.meta.url)
}

const ratios: readonly Comparison[] = [
  { label: 'gateway CPU / haproxy CPU', of: 'gateway', to: 'haproxy', by: 'cpu' },
  { label: 'both without access log', of: 'gateway, quiet', to: 'haproxy, quiet', by: 'cpu' },
  { label: 'bare node CPU / haproxy CPU', of: 'bare node', to: 'haproxy, quiet', by: 'cpu' },
  { label: 'gateway CPU / bare node CPU', of: 'gateway', to: 'bare node', by: 'cpu' },
  { label: 'gateway CPU / nginx CPU', of: 'gateway', to: 'nginx', by: 'cpu' },
  { label: 'gateway throughput / direct', of: 'gateway', to: 'direct', by: 'throughput' },
  { label: 'haproxy throughput / direct', of: 'haproxy', to: 'direct', by: 'throughput' },
  { label: 'gateway p50 beyond direct', of: 'gateway', to: 'direct', by: 'p50' },
  { label: 'gateway p99 beyond direct', of: 'gateway', to: 'direct', by: 'p99' },
  { label: 'haproxy p50 beyond direct', of: 'haproxy', to: 'direct', by: 'p50' },
  { label: 'haproxy p99 beyond direct', of: 'haproxy', to: 'direct', by: 'p99' },
]

async function main(): Promise<void> {
  if (!existsSync(flags.program)) {
    throw new Error(`${flags.program} is missing: npm run build makes it`)
  }
  const open: Array<{ close(): Promise<void> }> = []
  try {
    const world = await createWorld()
    open.push(world)
    const upstream = await startUpstream(world.files.cert, world.files.key)
    open.push(upstream)
    const load = startLoad(world.files.ca)
    open.push(load)
    const setting = { world, upstreamPort: upstream.port, program: flags.program }

    const contenders: Contender[] = [direct(setting)]
    const enter = async (starting: Promise<Contender>): Promise<void> => {
      const contender = await starting
      contenders.push(contender)
      open.push(contender)
    }
    describeMachine()
    await enter(gateway(setting, { name: 'gateway', logLevel: 'info' }))
    await enter(gateway(setting, { name: 'gateway, quiet', logLevel: 'warn' }))
    await enter(bareNode(setting))
    if (isInstalled('haproxy')) {
      await enter(haproxy(setting, { name: 'haproxy', accessLog: true }))
      await enter(haproxy(setting, { name: 'haproxy, quiet', accessLog: false }))
    }
    if (isInstalled('nginx')) await enter(nginx(setting))
    await compete(world, contenders, load)
  } finally {
    for (const each of open.toReversed()) await each.close()
  }
  say(await execEcho(flags.program))
  say(await newToken())
}

function describeMachine(): void {
  say(
    `${rounds} rounds of ${requests} requests, ${concurrency} at a time, answers of 2 KiB, TLS 1.3 with one cipher on both sides`,
  )
  say(`  Node ${process.versions.node}, ${availableParallelism()} CPUs`)
  say('  gateway, haproxy: an access line a request, into a file; quiet: without')
  say('  bare node: what the gateway stands on (node:https, undici) and nothing else')
  if (!cpuIsMeasured) say('  CPU time is left out: this system has no /proc/<pid>/stat')
}

function isInstalled(command: string): boolean {
  const version = versionOf(command)
  say(version === undefined ? `  skipped: ${command} is not installed` : `  ${command} ${version}`)
  return version !== undefined
}

async function compete(
  world: World,
  contenders: readonly Contender[],
  load: ReturnType<typeof startLoad>,
): Promise<void> {
  const measure = async (
    { name, port, pid }: Contender,
    work: Pick<Round, 'requests' | 'tokens' | 'protocol'>,
  ): Promise<Sample> => {
    const read = (): number => (pid === undefined ? 0 : cpuMicroseconds(pid))
    let [from, to] = [0, 0]
    const result = await load.run(
      { port, concurrency, ...work },
      { before: () => (from = read()), after: () => (to = read()) },
    )
    return {
      contender: name,
      round,
      requests: work.requests,
      ...result,
      ...(cpuIsMeasured && pid !== undefined && { cpuMicroseconds: to - from }),
    }
  }
  let round = 0
  const oneToken = [world.newToken()]
  const known = { requests, tokens: oneToken, protocol: 'HTTP/1.1' } as const
  const multiplexed = { ...known, protocol: 'HTTP/2' } as const
  const verifying = contenders.filter(({ verifies }) => verifies)
  const multiplexing = contenders.filter(({ multiplexes }) => multiplexes)
  for (const contender of contenders) {
    await measure(contender, { ...known, requests: warmUps * requests })
    if (contender.multiplexes) {
      await measure(contender, { ...multiplexed, requests: (warmUps / 2) * requests })
    }
  }

  const samples = { known: [] as Sample[], multiplexed: [] as Sample[], fresh: [] as Sample[] }
  const startedAt = performance.now()
  while (round < rounds && performance.now() - startedAt < lastRoundMs) {
    round += 1
    const tokens = Array.from({ length: newTokens }, () => world.newToken())
    const fresh = { ...known, requests: newTokens, tokens }
    for (const each of contenders) samples.known.push(await measure(each, known))
    for (const each of multiplexing) samples.multiplexed.push(await measure(each, multiplexed))
    for (const each of verifying) samples.fresh.push(await measure(each, fresh))
  }
  if (round < rounds) say(`  stopped after ${round} rounds: out of time`)
  say('')
  const cpuRatios = ratios.filter(({ by, to }) => by === 'cpu' && to.startsWith('haproxy'))
  say(summary('One token, seen before; HTTP/1.1 (medians of the rounds)', samples.known))
  say(comparisons(samples.known, ratios))
  say(summary('The same over HTTP/2', samples.multiplexed))
  say(comparisons(samples.multiplexed, cpuRatios))
  say(summary(`A new token with every request (${newTokens} a round); HTTP/1.1`, samples.fresh))
  say(comparisons(samples.fresh, cpuRatios))
  say('Ratios are medians of the ratios within each round; in brackets the least and the most.')
}

await main()
