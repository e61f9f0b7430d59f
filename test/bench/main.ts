import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startLoad, startUpstream } from './child.js'
import { direct, gateway, haproxy, nginx, versionOf, type Contender } from './contenders.js'
import { cpuIsMeasured, cpuMicroseconds } from './cpu.js'
import { comparisons, summary, type Comparison, type Sample } from './report.js'
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
const connections = 32
const rounds = Number(flags.rounds ?? (flags.quick ? 3 : 9))
const requests = flags.quick ? 1_500 : 3_000
const newTokens = flags.quick ? 300 : 500
/** No round begins later than this. */
const lastRoundMs = flags.quick ? 20_000 : 70_000

const say = (text: string): void => void process.stdout.write(`${text}\n`)

function built(): URL {
  return new URL('../../dist/cmd/main.js', import.meta.url)
}

const ratios: readonly Comparison[] = [
  { label: 'gateway CPU / haproxy CPU', of: 'gateway', to: 'haproxy', by: 'cpu' },
  {
    label: 'gateway without access log CPU / haproxy CPU',
    of: 'gateway, warn',
    to: 'haproxy',
    by: 'cpu',
  },
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
    await enter(gateway(setting, { name: 'gateway', logLevel: 'info' }))
    await enter(gateway(setting, { name: 'gateway, warn', logLevel: 'warn' }))
    describeMachine()
    for (const [command, start] of Object.entries({ haproxy, nginx })) {
      const version = versionOf(command)
      if (version === undefined) say(`  skipped: ${command} is not installed`)
      else {
        say(`  ${command} ${version}`)
        await enter(start(setting))
      }
    }
    await compete(world, contenders, load)
  } finally {
    for (const each of open.toReversed()) await each.close()
  }
}

function describeMachine(): void {
  say(
    `${rounds} rounds of ${requests} requests over ${connections} connections, HTTP/1.1, TLS on both sides, answers of 2 KiB`,
  )
  say(`  Node ${process.versions.node}, ${availableParallelism()} CPUs`)
  say('  gateway: as in production, its access log into a file; gateway, warn: without access log')
  if (!cpuIsMeasured) say('  CPU time is left out: this system has no /proc/<pid>/stat')
}

async function compete(
  world: World,
  contenders: readonly Contender[],
  load: ReturnType<typeof startLoad>,
): Promise<void> {
  const measure = async (
    { name, port, pid }: Contender,
    round: number,
    tokens: readonly string[],
    count: number,
  ): Promise<Sample> => {
    const read = (): number => (pid === undefined ? 0 : cpuMicroseconds(pid))
    let [from, to] = [0, 0]
    const result = await load.run(
      { port, requests: count, connections, tokens },
      { before: () => (from = read()), after: () => (to = read()) },
    )
    return {
      contender: name,
      round,
      requests: count,
      ...result,
      ...(cpuIsMeasured && pid !== undefined && { cpuMicroseconds: to - from }),
    }
  }

  const oneToken = [world.newToken()]
  // Compilers warm up on what is not counted.
  for (const contender of contenders) await measure(contender, 0, oneToken, 2 * requests)

  const known: Sample[] = []
  const fresh: Sample[] = []
  const startedAt = performance.now()
  let round = 0
  while (round < rounds && performance.now() - startedAt < lastRoundMs) {
    round += 1
    const tokens = Array.from({ length: newTokens }, () => world.newToken())
    for (const contender of contenders) {
      known.push(await measure(contender, round, oneToken, requests))
    }
    for (const contender of contenders.filter(({ verifies }) => verifies)) {
      fresh.push(await measure(contender, round, tokens, newTokens))
    }
  }
  if (round < rounds) say(`  stopped after ${round} rounds: out of time`)
  say('')
  say(summary('One token, seen before (medians of the rounds)', known))
  say(comparisons(known, ratios))
  say(summary(`A new token with every request (${newTokens} a round)`, fresh))
  say(
    comparisons(
      fresh,
      ratios.filter(({ by, to }) => by === 'cpu' && to === 'haproxy'),
    ),
  )
  say('Ratios are medians of the ratios within each round; in brackets the least and the most.')
}

await main()
