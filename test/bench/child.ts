import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LoadMessage, Round, RoundResult } from './load.js'

/** A process of the bench that is not measured. */
export interface Child {
  close(): Promise<void>
}

/** Starts the API server of the bench; it says its port. */
export const startUpstream = (certFile: string, keyFile: string): Promise<ServerChild> =>
  startServer('./upstream.ts', certFile, keyFile)

/** Starts the other end of an exec; it says its port. */
export const startEcho = (certFile: string, keyFile: string): Promise<ServerChild> =>
  startServer('./echo-server.ts', certFile, keyFile)

type ServerChild = Child & { readonly port: number }

async function startServer(
  script: string,
  certFile: string,
  keyFile: string,
): Promise<ServerChild> {
  const child = start(script, [certFile, keyFile])
  const { port } = await message<{ readonly port: number }>(child)
  return { port, close: () => stop(child) }
}

/** Starts the client of the bench. */
export function startLoad(caFile: string): Child & {
  /** @param around told when the connections are open, and again when the last answer is there */
  run(round: Round, around: { before(): void; after(): void }): Promise<RoundResult>
} {
  const child = start('./load.ts', [caFile])
  return {
    run: async (round, around) => {
      child.send(round)
      await message<LoadMessage>(child)
      around.before()
      child.send('go')
      const answer = await message<LoadMessage>(child)
      around.after()
      if (!('result' in answer)) throw new TypeError('the load process spoke out of turn')
      return answer.result
    },
    close: () => stop(child),
  }
}

const start = (script: string, args: readonly string[]): ChildProcess =>
  fork(fileURLToPath(new URL(script, import.meta.url)), args)

/** The next thing a child says; rejects when it ends instead. */
async function message<T>(child: ChildProcess): Promise<T> {
  const over = new AbortController()
  const { signal } = over
  try {
    const said = once(child, 'message', { signal })
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error(`${child.spawnargs.at(-1)} ended before it answered`)
    })
    const [value] = await Promise.race([said, ended])
    // The scripts beside this one send nothing else.
    return value as T
  } finally {
    over.abort()
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.disconnect()
  await gone
}
