import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { Teardown } from './files.js'
import { compiledProgram, root } from './program.js'

/** One line of the log, parsed; a line that is not JSON is kept as `{ text }`. */
export type LogLine = Readonly<Record<string, unknown>>

export interface AdminAnswer {
  readonly status: number
  readonly body: string
}

export interface GatewayProcess {
  readonly pid: number
  readonly port: number
  readonly adminPort: number
  readonly address: string
  /** Everything on standard error so far. */
  readonly logs: readonly LogLine[]
  /** Everything on standard output so far. */
  readonly stdout: string
  /** Asks the admin port. @throws when nobody answers there */
  admin(path: string): Promise<AdminAnswer>
  /** The text of `/metrics`. */
  metrics(): Promise<string>
  /** The value of one series, labels as they are written; undefined where there is none. */
  metric(series: string): Promise<number | undefined>
  /** The first line that fits, now or later. @throws when the process ends without one */
  waitForLog(fits: (line: LogLine) => boolean): Promise<LogLine>
  kill(signal: NodeJS.Signals): void
  /** Sends a signal (SIGTERM) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Exit>
  readonly exited: Promise<Exit>
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ProcessOptions {
  /** Added to an environment of PATH and the like; nothing else of ours is passed on. */
  readonly env?: Readonly<Record<string, string>>
  /** `dist` is what `npm run build` wrote last. @default 'sources' */
  readonly from?: 'sources' | 'dist'
  /** Where relative names of files begin. @default the repository */
  readonly cwd?: string
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[]
}

/** The words after `node` that run the program: for tests that start it in a way of their own. */
async function programLine({ from = 'sources', nodeArgs = [] }: ProcessOptions = {}): Promise<
  readonly string[]
> {
  return [...nodeArgs, from === 'dist' ? join(root, 'dist/cmd/main.js') : await compiledProgram()]
}

/** How a command ended, and everything it said. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command of the program, run to its end. */
export async function runProgram(
  args: readonly string[],
  options: ProcessOptions & { readonly input?: string } = {},
): Promise<Ended> {
  const child = await start(args, options)
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text))
  // It may have ended without reading.
  child.stdin.on('error', () => undefined).end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...texts }
}

/**
 * Starts `serve` as users do, in a process of its own, and waits until it listens. Ports are free ones
 * of the loopback unless `args` say otherwise. Killed with the test, by its own id.
 * @throws with what it wrote, when it ends before it listens
 */
export async function startGatewayProcess(
  t: Teardown,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<GatewayProcess> {
  const given = new Set(args.map(arg => arg.split('=', 1)[0]))
  const defaults = ['--bind-address=127.0.0.1', '--secure-port=0', '--admin-port=0']
  const child = await start(
    ['serve', ...defaults.filter(flag => !given.has(flag.split('=', 1)[0])), ...args],
    options,
  )
  const logs: LogLine[] = []
  const waiting = new Set<() => void>()
  let stdout = ''
  let exit: Exit | undefined
  const wakeAll = (): void => {
    for (const wake of waiting) wake()
    waiting.clear()
  }
  child.stdin.end()
  child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()))
  createInterface({ input: child.stderr }).on('line', line => {
    logs.push(parsed(line))
    wakeAll()
  })
  const exited = new Promise<Exit>(resolve => {
    child.once('close', (code, signal) => {
      exit = { code, signal }
      wakeAll()
      resolve(exit)
    })
  })
  t.teardown(async () => {
    if (!exit) child.kill('SIGKILL')
    await exited
  })
  const waitForLog: GatewayProcess['waitForLog'] = async fits => {
    let seen = 0
    for (;;) {
      const fresh = logs.slice(seen)
      const found = fresh.find(fits)
      if (found) return found
      seen += fresh.length
      if (exit) {
        throw new Error(`the gateway ended (${JSON.stringify(exit)}):\n${JSON.stringify(logs)}`)
      }
      await new Promise<void>(resolve => waiting.add(resolve))
    }
  }
  const listening = await waitForLog(line => line['msg'] === 'listening')
  const adminPort = Number(listening['adminPort'])
  const admin = (path: string): Promise<AdminAnswer> => get(adminPort, path)
  const metrics = async (): Promise<string> => (await admin('/metrics')).body
  return {
    pid: child.pid ?? 0,
    port: Number(listening['port']),
    adminPort,
    address: String(listening['address']),
    logs,
    get stdout() {
      return stdout
    },
    admin,
    metrics,
    metric: async series => {
      const line = (await metrics()).split('\n').find(one => one.startsWith(`${series} `))
      return line === undefined ? undefined : Number(line.slice(series.length + 1))
    },
    waitForLog,
    kill: signal => child.kill(signal),
    stop: (signal = 'SIGTERM') => {
      child.kill(signal)
      return exited
    },
    exited,
  }
}

async function start(args: readonly string[], options: ProcessOptions) {
  const { PATH = '', HOME = '/', TMPDIR } = process.env
  const child = spawn(process.execPath, [...(await programLine(options)), ...args], {
    cwd: options.cwd ?? root,
    env: { PATH, HOME, ...(TMPDIR !== undefined && { TMPDIR }), ...options.env },
    stdio: 'pipe',
  })
  // A test process that dies must not leave a gateway behind.
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('close', () => process.off('exit', kill))
  return child
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { text: line }
  }
}

function get(port: number, path: string): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, path, host: '127.0.0.1', agent: false }, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (body += piece))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}
