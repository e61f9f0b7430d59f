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
import { gatewayAccount } from './gateway-account.js'
import { seed, users } from './seed.js'
import { handOver, issuerFlags, rightsFlags, type User, type World } from './world.js'

/*
 * Runs the files beside this one against a real kube-apiserver: sets it up once, hands it over, and takes it
 * down. Words on the command line choose the files whose names contain them.
 */

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const say = (line: string): void => void process.stderr.write(`${line}\n`)

async function main(words: readonly string[]): Promise<number> {
  const startedAt = Date.now()
  let binaries: Binaries
  try {
    binaries = await findBinaries(say)
  } catch (error) {
    if (!(error instanceof NoBinaries)) throw error
    say(error.message)
    return 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'gateway-e2e-'))
  chmodSync(folder, 0o700)
  const closers: Array<() => unknown> = [() => rmSync(folder, { recursive: true, force: true })]
  // What was started ends with us, however we end.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  try {
    const { world, env } = await setUp(binaries, folder, closers)
    say(`ready after ${seconds(startedAt)} s`)
    const status = await run(words, env)
    for (const line of await versions(binaries, world)) process.stdout.write(`# ${line}\n`)
    process.stdout.write(`# duration ${seconds(startedAt)} s\n`)
    return status
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

async function setUp(binaries: Binaries, folder: string, closers: Array<() => unknown>) {
  const issuer = await startIssuer({ users })
  closers.push(() => issuer.close())
  const forwarded = await startEcho()
  closers.push(() => forwarded.close())
  const cluster = await startCluster({ binaries, folder, issuer, forwardedPort: forwarded.port })
  closers.push(() => cluster.close())
  await seed(cluster)
  const { kubectl } = await unpackKubectl()
  const other = await otherKubectl(kubectl)
  const { ca, admin, apiServer, trusting, nodeFolder, containerLog } = cluster
  const gatewayToken = await gatewayAccount(
    { teardown: end => closers.push(end) },
    { url: apiServer.url, ca, admin, kubectl },
    'impersonation-gateway',
    rightsFlags(issuerFlags(issuer)),
  )
  const world: World = {
    ca,
    admin,
    apiServer,
    trusting,
    nodeFolder,
    containerLog,
    issuer: { url: issuer.url, ca: issuer.ca, clientId: issuer.clientId },
    tokens: {
      alice: await issuer.tokenFor('alice' satisfies User),
      bob: await issuer.tokenFor('bob' satisfies User),
      carol: await issuer.tokenFor('carol' satisfies User),
    },
    gatewayToken,
    kubectl,
    ...(other !== undefined && { otherKubectl: other }),
  }
  return { world, env: handOver(world, folder) }
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

/** The one on `PATH`, if it is of another version. */
async function otherKubectl(kubectl: string): Promise<string | undefined> {
  const { path, onPath } = await findKubectl()
  if (!onPath) return undefined
  const [ours, theirs] = await Promise.all([kubectlVersion(kubectl), kubectlVersion(path)])
  return ours === theirs ? undefined : path
}

const kubectlVersion = (path: string): Promise<string> => versionOf(path, 'version', '--client')

async function run(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const files = readdirSync(here)
    .filter(name => name.endsWith('.test.ts'))
    .filter(name => words.length === 0 || words.some(word => name.includes(word)))
    .toSorted()
    .map(name => join(here, name))
  if (files.length === 0) {
    say(`no file has any of these in its name: ${words.join(' ')}`)
    return 1
  }
  const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
  // One at a time: they share two processors with a control plane.
  const flags = ['--jobs=1', '--timeout=600']
  const child = spawn(process.execPath, [tap, ...flags, ...files], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [status] = (await once(child, 'close')) as [number | null]
  return status ?? 1
}

async function versions(binaries: Binaries, world: World): Promise<readonly string[]> {
  return [
    await versionOf(binaries['kube-apiserver']),
    await versionOf(binaries.etcd),
    await versionOf(binaries.kwok),
    `kubectl ${await kubectlVersion(world.kubectl)}`,
    ...(world.otherKubectl === undefined
      ? []
      : [`kubectl ${await kubectlVersion(world.otherKubectl)}, from PATH`]),
    `Node ${process.version}`,
  ]
}

const seconds = (since: number): string => ((Date.now() - since) / 1_000).toFixed(0)

process.exitCode = await main(process.argv.slice(2))
