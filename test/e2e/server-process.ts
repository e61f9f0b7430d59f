import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** A program that runs beside the tests, in a process of its own. */
export interface ServerProcess {
  /**
   * Resolves when it is ready.
   * @throws with the end of what it wrote, when it ends or does not become ready in two minutes
   */
  ready(is: () => Promise<boolean>): Promise<void>
  /** Ends this very process: asks first, and insists after ten seconds. */
  stop(): Promise<void>
}

export interface ServerOptions {
  /** Where its output goes, as `<name>.log`. */
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a program; what it writes goes to a file. */
export function startServer(
  name: string,
  path: string,
  args: readonly string[],
  { folder, env = {} }: ServerOptions,
): ServerProcess {
  const logFile = join(folder, `${name}.log`)
  const log = openSync(logFile, 'a', 0o600)
  const { PATH = '/usr/bin:/bin' } = process.env
  const child = spawn(path, args, {
    cwd: folder,
    env: { PATH, HOME: folder, ...env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let ended = false
  const exit = once(child, 'close').catch((error: unknown) => error)
  void exit.then(() => (ended = true))
  // Whatever becomes of us, it does not stay behind.
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const said = (): string => readFileSync(logFile, 'utf8').slice(-4_000)
  return {
    async ready(is) {
      for (let left = 480; !(await is().catch(() => false)); left -= 1) {
        if (ended) throw new Error(`${name} ended:\n${said()}`)
        if (left === 0) throw new Error(`${name} does not become ready:\n${said()}`)
        await pause(250)
      }
    },
    async stop() {
      child.kill('SIGTERM')
      const insist = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exit
      clearTimeout(insist)
      process.off('exit', kill)
    },
  }
}

/** Ports of the loopback that nobody has; the programs here cannot choose one and say which. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  return await Promise.all(
    servers.map(async server => {
      const address = server.address()
      server.close()
      await once(server, 'close')
      return typeof address === 'object' && address ? address.port : 0
    }),
  )
}
