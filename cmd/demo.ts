import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { facts } from '../lib/channels.js'
import { introduction } from '../lib/demo/introduction.js'
import { findKubectl, NoKubectl } from '../lib/demo/kubectl.js'
import { setScene } from '../lib/demo/scene.js'
import { exchangeLine } from '../lib/demo/exchange-line.js'
import { loadServe } from '../lib/settings/load.js'
import { startGateway } from './serve.js'

const help = `Usage: impersonation-gateway demo [flags]

Runs an OpenID Connect issuer, a Kubernetes API and the gateway between them in one process, all on
127.0.0.1, writes a kubeconfig, and says what to try. The Kubernetes API is an in-memory stand-in.

  --port <port>        where the gateway listens; by default 8443, or a free one when that is taken
  --dir <folder>       where the kubeconfig and the other files go, and stay; by default a folder
                       among the system's temporary ones, which is removed in the end
  --kubeconfig <file>  uses the cluster of this kubeconfig instead of the stand-in: the gateway then
                       forwards with that file's credential, which must be allowed to impersonate
  --context <name>     the context in that kubeconfig; by default its current one
  --help               says this
`

/** `demo`: runs until SIGINT or SIGTERM. Resolves with the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const asked = read(args)
  if ('faults' in asked) {
    for (const line of asked.faults) process.stderr.write(`${line}\n`)
    return 2
  }
  if (asked.help) {
    process.stdout.write(help)
    return 0
  }

  const temporary = asked.folder === undefined
  const folder = asked.folder ?? (await mkdtemp(join(tmpdir(), 'impersonation-gateway-demo-')))
  const closers: Array<() => unknown> = []
  if (temporary) closers.push(() => rm(folder, { recursive: true, force: true }))
  const ended = endOfDemo()
  try {
    const { port, takenPort } = await portFor(asked.port)
    const scene = await setScene({ folder, port, ...(asked.cluster && { cluster: asked.cluster }) })
    closers.push(() => scene.close())
    const loaded = loadServe(scene.serveFlags)
    if (!('settings' in loaded)) {
      const faults = 'faults' in loaded ? loaded.faults : []
      for (const line of faults) process.stderr.write(`${line}\n`)
      return 2
    }
    const gateway = await startGateway(loaded.settings)
    closers.push(() => gateway.close())
    const { cluster } = asked
    process.stdout.write(
      introduction({
        gateway: `https://127.0.0.1:${gateway.port}`,
        issuer: scene.issuer.url,
        admin: `http://${gateway.adminAddress}:${gateway.adminPort}`,
        cluster: scene.api
          ? { kind: 'stand-in', url: scene.api.url }
          : { kind: 'real', kubeconfig: '', ...cluster },
        ...(takenPort !== undefined && { takenPort }),
        kubeconfigFile: scene.kubeconfigFile,
        kubectl: await kubectlHere(),
        serveFlags: scene.serveFlags,
        ...(temporary && { temporaryFolder: folder }),
      }),
    )
    closers.push(
      facts.exchange.subscribe(exchange => {
        process.stdout.write(`  ${exchangeLine(exchange, new Date())}\n`)
      }),
    )
    await ended
    process.stdout.write('\n')
    return 0
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

interface Asked {
  readonly help: boolean
  readonly port?: number
  readonly folder?: string
  readonly cluster?: { readonly kubeconfig: string; readonly context?: string }
}

function read(args: readonly string[]): Asked | { readonly faults: readonly string[] } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        dir: { type: 'string' },
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const faults: string[] = []
    const port = values.port === undefined ? undefined : Number(values.port)
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
      faults.push(`--port: must be a port from 0 to 65535, not ${JSON.stringify(values.port)}`)
    }
    if (values.context !== undefined && values.kubeconfig === undefined) {
      faults.push('--context: needs --kubeconfig')
    }
    if (faults.length > 0) return { faults }
    const { kubeconfig, context } = values
    return {
      help: values.help,
      ...(port !== undefined && { port }),
      ...(values.dir !== undefined && { folder: resolve(values.dir) }),
      ...(kubeconfig !== undefined && {
        cluster: { kubeconfig: resolve(kubeconfig), ...(context !== undefined && { context }) },
      }),
    }
  } catch (error) {
    return {
      faults: [
        `${error instanceof Error ? error.message : String(error)} (--help lists the flags)`,
      ],
    }
  }
}

/**
 * The port that was asked for; or the usual one, or a free one when somebody has that.
 * @throws what the system says when the port that was asked for cannot be had
 */
async function portFor(asked: number | undefined): Promise<{ port: number; takenPort?: number }> {
  if (asked !== undefined) return { port: await freePort(asked) }
  const usual = 8443
  try {
    return { port: await freePort(usual) }
  } catch {
    return { port: await freePort(0), takenPort: usual }
  }
}

/** The kubeconfig names the port, so it must be known before the gateway listens. */
function freePort(port: number): Promise<number> {
  return new Promise((found, taken) => {
    const server = createServer()
    server.once('error', taken)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => found(typeof address === 'object' && address ? address.port : port))
    })
  })
}

async function kubectlHere(): Promise<{ path: string; onPath: boolean } | { missing: string }> {
  try {
    return await findKubectl()
  } catch (error) {
    if (error instanceof NoKubectl) return { missing: error.message }
    throw error
  }
}

function endOfDemo(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
