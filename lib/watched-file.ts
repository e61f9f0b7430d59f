import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { facts } from './channels.js'

export interface WatchedFileOptions<T> {
  /** Turns the content into what is wanted; a throw means the file is broken. */
  readonly parse: (content: Buffer) => T
  /** Called with each new value after the first. */
  readonly changed?: (value: T) => void
  /** How often to look. @default 10_000 ms: well inside the promised 60 s. */
  readonly intervalMs?: number
  /** How long a content must stand before it is taken: half of it may have been written. @default 1_000 ms */
  readonly settleMs?: number
}

/** The last good value of a file that somebody may replace at any time. */
export interface WatchedFile<T> {
  readonly path: string
  readonly value: T
  /** Looks now; resolves with the value that is good afterwards. Never rejects. */
  refresh(): Promise<T>
  close(): void
}

/**
 * Reads a file and keeps reading it: by content, so that the symbolic links of mounted Secrets and
 * ConfigMaps are followed. A new content is taken when it is read twice alike. A file that breaks or
 * disappears later keeps its last good value, says so once, and counts as a failed reload.
 * @throws when it cannot be read or parsed now
 */
export function watchFile<T>(path: string, options: WatchedFileOptions<T>): WatchedFile<T> {
  let content = readFileSync(path)
  let value = options.parse(content)
  let complaint: string | undefined
  let looking: Promise<T> | undefined
  const closing = new AbortController()
  const { intervalMs = 10_000 } = options
  const settleMs = options.settleMs ?? Math.min(1_000, intervalMs)

  const look = async (): Promise<T> => {
    try {
      let next = await readFile(path)
      for (let tries = 0; !next.equals(content); tries += 1) {
        if (tries === mostTries) throw new Error('it does not stop changing')
        await pause(settleMs, undefined, closing)
        const again = await readFile(path)
        if (again.equals(next)) break
        next = again
      }
      closing.signal.throwIfAborted()
      if (next.equals(content)) {
        complaint = undefined
        return value
      }
      value = options.parse(next)
      content = next
      complaint = undefined
      facts.reload.publish({ result: 'ok' })
      facts.notice.publish({ level: 'info', msg: 'file reloaded', fields: { file: path } })
      options.changed?.(value)
    } catch (error) {
      if (closing.signal.aborted) return value
      const why = error instanceof Error ? error.message : String(error)
      if (why !== complaint) {
        complaint = why
        facts.reload.publish({ result: 'error' })
        facts.notice.publish({
          level: 'error',
          msg: 'file cannot be used, the last good one stays in force',
          fields: { file: path, error: why },
        })
      }
    }
    return value
  }

  const refresh = (): Promise<T> => (looking ??= look().finally(() => (looking = undefined)))
  const timer = setInterval(() => void refresh(), intervalMs)
  timer.unref()
  return {
    path,
    get value() {
      return value
    },
    refresh,
    close() {
      closing.abort()
      clearInterval(timer)
    },
  }
}

/** Of two successive readings that differ: then it is somebody's log, or worse. */
const mostTries = 10
