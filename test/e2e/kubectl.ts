import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir, writeKubeconfig, type Teardown } from '../actors/files.js'
import { kubeconfig } from '../../lib/demo/kubeconfig.js'
import { world, type User } from './world.js'

export interface Said {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Standard input. */
  readonly input?: string | Buffer
  /** Whether more of it may come. @default false */
  readonly keepInputOpen?: boolean
}

/** A command that goes on until it is stopped. */
export interface Ongoing {
  readonly child: ChildProcessWithoutNullStreams
  /** Resolves with the output so far, both kinds, once it has this text. @throws when it ends without */
  until(text: string): Promise<string>
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<Said>
  stop(): Promise<void>
}

/** A kubectl with a home of its own: nothing of the machine's configuration is seen. */
export interface Kubectl {
  /** For files. */
  readonly folder: string
  readonly program: string
  readonly kubeconfigFile: string
  /** Runs to its end. */
  run(...args: readonly string[]): Promise<Said>
  runWith(options: RunOptions, ...args: readonly string[]): Promise<Said>
  /** Runs on; ended with the test at the latest. */
  start(options: RunOptions, ...args: readonly string[]): Ongoing
}

export interface KubectlOptions {
  /** @default the one that comes with the tests */
  readonly program?: string
  /** @default the user's of the world */
  readonly token?: string
}

/** Real kubectl, as a user of the issuer, through a gateway. */
export function kubectlAs(
  t: Teardown,
  user: User,
  server: { readonly url: string; readonly ca: string },
  { program = world().kubectl, token = world().tokens[user] }: KubectlOptions = {},
): Kubectl {
  const folder = tempDir(t)
  const config = join(folder, 'kubeconfig')
  writeFileSync(
    config,
    kubeconfig({
      server: server.url,
      ca: server.ca,
      cluster: 'e2e',
      users: [{ name: user, token }],
    }),
  )
  return kubectlWith(t, program, folder, config)
}

/** Real kubectl as the cluster's administrator, past every gateway. */
export function administratorsKubectl(t: Teardown): Kubectl {
  const { apiServer, ca, admin, kubectl } = world()
  const folder = tempDir(t)
  const config = writeKubeconfig(folder, { server: apiServer.url, ca, clientCert: admin })
  return kubectlWith(t, kubectl, folder, config)
}

function kubectlWith(t: Teardown, program: string, folder: string, config: string): Kubectl {
  const start: Kubectl['start'] = ({ env, input, keepInputOpen = false }, ...args) => {
    const child = spawn(program, args, {
      cwd: folder,
      env: { HOME: folder, KUBECONFIG: config, PATH: process.env['PATH'] ?? '', ...env },
    })
    t.teardown(() => child.kill('SIGKILL'))
    const out: Buffer[] = []
    const err: Buffer[] = []
    const waiting = new Set<() => void>()
    const wake = (): void => waiting.forEach(one => one())
    child.stdout.on('data', (piece: Buffer) => (out.push(piece), wake()))
    child.stderr.on('data', (piece: Buffer) => (err.push(piece), wake()))
    // Who does not read its input need not be told.
    child.stdin.on('error', () => undefined)
    if (input !== undefined) child.stdin.write(input)
    if (!keepInputOpen) child.stdin.end()
    let over = false
    const ended = once(child, 'close').then(([status]) => {
      over = true
      wake()
      return {
        status: status as number | null,
        out: String(Buffer.concat(out)),
        err: String(Buffer.concat(err)),
      }
    })
    return {
      child,
      ended,
      async until(text) {
        for (;;) {
          const said = String(Buffer.concat([...out, ...err]))
          if (said.includes(text)) return said
          if (over) throw new Error(`kubectl ended without saying ${text}: ${said}`)
          await new Promise<void>(resolve => waiting.add(resolve))
          waiting.clear()
        }
      },
      async stop() {
        child.kill('SIGTERM')
        await ended
      },
    }
  }
  const runWith: Kubectl['runWith'] = (options, ...args) => start(options, ...args).ended
  return {
    folder,
    program,
    kubeconfigFile: config,
    start,
    runWith,
    run: (...args) => runWith({}, ...args),
  }
}
