import { readFile } from 'node:fs/promises'
import { facts } from '../lib/channels.js'
import { givenFlags, loadServe } from '../lib/settings/load.js'

/**
 * Looks after the file of `--config` while `serve` runs. Its flags are in force from start to end: a change says
 * in the log which of them a restart would change, or what is wrong with the file, so that nobody finds
 * out at the restart. Files that the flags name are followed by those who use them.
 * @param intervalMs @default 10_000 ms
 */
export function followConfiguration(
  args: readonly string[],
  intervalMs = 10_000,
): { close(): void } {
  const atStart = givenFlags(args)
  const path = atStart.get('config')?.values[0]
  if (path === undefined) return { close: () => undefined }
  let last: string | undefined
  let looking: Promise<void> | undefined

  const look = async (): Promise<void> => {
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      text = error instanceof Error ? error.message : String(error)
    }
    if (text === last) return
    const isFirst = last === undefined
    last = text
    if (!isFirst || differing().length > 0) say()
  }

  const differing = (): readonly string[] => {
    const now = givenFlags(args)
    const names = new Set([...atStart.keys(), ...now.keys()])
    return [...names].filter(
      name => JSON.stringify(atStart.get(name)?.values) !== JSON.stringify(now.get(name)?.values),
    )
  }

  const say = (): void => {
    const loaded = loadServe(args)
    if ('faults' in loaded) {
      facts.reload.publish({ result: 'error' })
      facts.notice.publish({
        level: 'error',
        msg: 'the configuration file has faults: the flags of the start stay in force, and it would not start again',
        fields: { file: path, faults: loaded.faults },
      })
      return
    }
    const flags = differing()
    facts.notice.publish(
      flags.length === 0
        ? { level: 'info', msg: 'the configuration file says what is in force' }
        : {
            level: 'warn',
            msg: 'the configuration file has changed: a restart brings these flags into force',
            fields: { file: path, flags },
          },
    )
  }

  const timer = setInterval(() => {
    looking ??= look().finally(() => (looking = undefined))
  }, intervalMs)
  timer.unref()
  return { close: () => clearInterval(timer) }
}
