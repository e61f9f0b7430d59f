import { fault, quoted } from './fault.js'

/** Flags of a command beside those of `serve`: whether they may be repeated, and what they may be. */
export interface OwnFlag {
  readonly repeated?: boolean
  readonly choices?: readonly string[]
  /** Another spelling, such as `-o`. */
  readonly short?: string
}

export interface TakenFlags<N extends string> {
  /** In the order in which they came; empty where a flag was not given. */
  readonly values: Readonly<Record<N, readonly string[]>>
  /** The arguments without them: of `serve`. */
  readonly rest: readonly string[]
  readonly faults: readonly string[]
}

/**
 * Takes a command's own flags out of its arguments, wherever they stand among the others; written as
 * `--flag=value` or `--flag value`, without commas, since names may hold one.
 */
export function takeFlags<N extends string>(
  args: readonly string[],
  flags: Readonly<Record<N, OwnFlag>>,
): TakenFlags<N> {
  // The keys of this very table.
  const names = Object.keys(flags) as N[]
  const values = {} as Record<N, string[]>
  for (const name of names) values[name] = []
  const rest: string[] = []
  const faults: string[] = []
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const equals = arg.indexOf('=')
    const dashed = equals < 0 ? arg : arg.slice(0, equals)
    const name = names.find(one => dashed === `--${one}` || dashed === flags[one].short)
    if (name === undefined) {
      rest.push(arg)
      continue
    }
    const next = args[at + 1]
    if (equals >= 0) {
      values[name].push(arg.slice(equals + 1))
    } else if (next === undefined || next.startsWith('--')) {
      faults.push(fault(dashed, undefined, `needs a value, as ${dashed}=<…>`))
    } else {
      values[name].push(next)
      at++
    }
  }
  for (const name of names) {
    const { repeated = false, choices } = flags[name]
    const given = values[name]
    if (!repeated && given.length > 1) {
      faults.push(fault(`--${name}`, undefined, 'is given more than once; give it once'))
    }
    for (const value of given) {
      if (choices && !choices.includes(value)) {
        faults.push(fault(`--${name}`, value, `must be one of ${choices.join(', ')}`))
      } else if (value === '') {
        faults.push(`--${name} ${quoted(value)}: must not be empty`)
      }
    }
  }
  return { values, rest, faults }
}
