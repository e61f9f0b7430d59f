import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startIssuer } from '../../lib/demo/issuer.js'
import { findKubectl, unpackKubectl } from '../../lib/demo/kubectl.js'
import { findBinaries, NoBinaries, versionOf, type Binaries } from './binaries.js'
import { startCluster } from './cluster.js'
import { closingLine, readCounts, type Counts } from './counts.js'
import { accountOfAll, gatewayAccount } from './gateway-account.js'
import { seed, users } from './seed.js'
import { handOver, issuerFlags, rightsFlags, type User, type World } from './world.js'

/*
 * Runs the files beside this one against a real kube-apiserver: sets it up, hands it over, and takes it down, once
 * for each way in which the gateway's account can impersonate. Words on the command line choose the files whose
 * names contain them; `E2E_IMPERSONATION=legacy` or `=constrained` chooses the way.
 */

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const say = (line: string): void => void process.stderr.write(`${line}\n`)

async function main(words: readonly string[]): Promise<number> {
  const startedAt = Date.now()
  const files = filesNamed(words)
  const way = process.env['E2E_IMPERSONATION']
  const ways = (['legacy', 'constrained'] as const).filter(one => one === (way ?? one))
  if (files.length === 0) say(`no file has any of these in its name: ${words.join(' ')}`)
  if (ways.length === 0) say(`E2E_IMPERSONATION ${String(way)}: must be legacy or constrained`)
  if (files.length === 0 || ways.length === 0) return 1
  let binaries: Binaries
  try {
    binaries = await findBinaries(say)
  } catch (error) {
    if (!(error instanceof NoBinaries)) throw error
    say(error.message)
    return 1
  }
  // What was started ends with us, however we end.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  const minor = await minorOf(binaries)
  // Kubernetes 1.36 brought it without a feature gate.
  const constrainable = minor >= 36
  const runs: Run[] = []
  for (const impersonation of ways) {
    if (impersonation === 'legacy' || constrainable) {
      runs.push(await inCluster(files, binaries, { impersonation, constrainable }))
    } else {
      say('skipped: constrained impersonation, since this kube-apiserver is older')
    }
  }
  for (const line of await versions(binaries)) process.stdout.write(`# ${line}\n`)
  process.stdout.write(`# duration ${seconds(startedAt)} s\n`)
  process.stdout.write(`${closingLine(runs.map(({ counts }) => counts))}\n`)
  return runs.length > 0 && runs.every(({ status }) => status === 0) ? 0 : 1
}

const filesNamed = (words: readonly string[]): readonly string[] =>
  readdirSync(here)
    .filter(name => name.endsWith('.test.ts'))
    .filter(name => words.length === 0 || words.some(word => name.includes(word)))
    .toSorted()
    .map(name => join(here, name))

interface Run {
  readonly status: number
  readonly counts: Counts
}

type Way = Pick<World, 'impersonation' | 'constrainable'>

/** All of it in a cluster that nothing was done in yet. */
async function inCluster(files: readonly string[], binaries: Binaries, way: Way): Promise<Run> {
  const startedAt = Date.now()
  const folder = mkdtempSync(join(tmpdir(), 'gateway-e2e-'))
  chmodSync(folder, 0o700)
  const closers: Array<() => unknown> = [() => rmSync(folder, { recursive: true, force: true })]
  try {
    const env = await setUp(binaries, folder, closers, way)
    say(`${way.impersonation} impersonation: ready after ${seconds(startedAt)} s`)
    return await run(files, env)
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

/** Which 1.x of Kubernetes the API server is. */
async function minorOf(binaries: Binaries): Promise<number> {
  const [, minor] = /v1\.(\d+)/.exec(await versionOf(binaries['kube-apiserver'])) ?? []
  return Number(minor)
}

async function setUp(
  binaries: Binaries,
  folder: string,
  closers: Array<() => unknown>,
  way: Way,
): Promise<Readonly<Record<string, string>>> {
  const issuer = await startIssuer({ users })
  closers.push(() => issuer.close())
  const forwarded = await startEcho()
  closers.push(() => forwarded.close())
  const cluster = await startCluster({ binaries, folder, issuer, forwardedPort: forwarded.port })
  closers.push(() => cluster.close())
  await seed(cluster)
  const { kubectl, otherKubectl } = await kubectls()
  const { ca, admin, apiServer, trusting, nodeFolder, containerLog } = cluster
  const gatewayToken = await gatewayAccount(
    { teardown: end => closers.push(end) },
    { url: apiServer.url, ca, admin, kubectl },
    accountOfAll,
    rightsFlags(issuerFlags(issuer), way.impersonation),
  )
  const world: World = {
    ca,
    admin,
    apiServer,
    trusting,
    kubeApiServer: {
      program: binaries['kube-apiserver'],
      minor: await minorOf(binaries),
      flags: cluster.apiServerFlags,
    },
    nodes: cluster.nodes,
    nodeFolder,
    containerLog,
    issuer: { url: issuer.url, ca: issuer.ca, clientId: issuer.clientId },
    tokens: {
      alice: await issuer.tokenFor('alice' satisfies User),
      bob: await issuer.tokenFor('bob' satisfies User),
      carol: await issuer.tokenFor('carol' satisfies User),
    },
    ...way,
    gatewayToken,
    kubectl,
    ...(otherKubectl !== undefined && { otherKubectl }),
  }
  return handOver(world, folder)
}

/** Gives back what it is sent; what is left when the sender has ended, too. */
async function startEcho(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

/** The one of the tests; and the one on `PATH`, if it is of another version. */
async function kubectls(): Promise<Pick<World, 'kubectl' | 'otherKubectl'>> {
  const { kubectl } = await unpackKubectl()
  const { path, onPath } = await findKubectl()
  const [ours, theirs] = await Promise.all([kubectlVersion(kubectl), kubectlVersion(path)])
  return onPath && ours !== theirs ? { kubectl, otherKubectl: path } : { kubectl }
}

const kubectlVersion = (path: string): Promise<string> => versionOf(path, 'version', '--client')

async function run(files: readonly string[], env: Readonly<Record<string, string>>): Promise<Run> {
  const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
  // One at a time: they share two processors with a control plane.
  const flags = ['--jobs=1', '--timeout=600']
  const child = spawn(process.execPath, [tap, ...flags, ...files], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pieces: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => {
    pieces.push(piece)
    process.stdout.write(piece)
  })
  const [status] = (await once(child, 'close')) as [number | null]
  return { status: status ?? 1, counts: readCounts(Buffer.concat(pieces).toString()) }
}

async function versions(binaries: Binaries): Promise<readonly string[]> {
  const { kubectl, otherKubectl } = await kubectls()
  return [
    await versionOf(binaries['kube-apiserver']),
    await versionOf(binaries.etcd),
    binaries.nodes === undefined ? 'no nodes' : await versionOf(binaries.nodes.kwok),
    `kubectl ${await kubectlVersion(kubectl)}`,
    ...(otherKubectl === undefined
      ? []
      : [`kubectl ${await kubectlVersion(otherKubectl)}, from PATH`]),
    `Node ${process.version}`,
  ]
}

const seconds = (since: number): string => ((Date.now() - since) / 1_000).toFixed(0)

process.exitCode = await main(process.argv.slice(2))
