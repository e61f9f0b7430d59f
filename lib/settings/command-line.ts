import { fault, quoted } from './fault.js'
import { flagNames, isFlagName, serveFlags, type FlagName, type Given } from './flags.js'
import { nearest } from './nearest.js'

export interface CommandLine {
  readonly given: ReadonlyMap<FlagName, Given>
  readonly faults: readonly string[]
  /** True when `--help` or `-h` stands anywhere: nothing else matters then. */
  readonly help: boolean
}

/**
 * Reads the flags of `serve` as kube-apiserver's are written: `--flag=value`, `--flag value`, a switch
 * as `--flag`, `--flag=true` or `--flag=false`. Every fault is found; none is guessed around.
 *
 * A value after a blank must not begin with `--`: that is a forgotten value far more often than one, and
 * `--flag=--value` remains to say it.
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  const written = new Map<FlagName, string[]>()
  const faults: string[] = []
  const repeated = new Set<FlagName>()
  let previousSwitch: FlagName | undefined
  let flagsOver = false

  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const afterSwitch = previousSwitch
    previousSwitch = undefined
    if (!flagsOver && (arg === '--help' || arg === '-h')) {
      return { given: new Map(), faults: [], help: true }
    }
    if (!flagsOver && arg === '--') {
      flagsOver = true
      continue
    }
    if (flagsOver || !arg.startsWith('-') || arg === '-') {
      const meant =
        afterSwitch !== undefined && (arg === 'true' || arg === 'false')
          ? `write --${afterSwitch}=${arg}`
          : 'only flags are accepted'
      faults.push(`unexpected argument ${quoted(arg)}: ${meant}`)
      continue
    }
    const equals = arg.indexOf('=')
    const dashed = equals < 0 ? arg : arg.slice(0, equals)
    const name = dashed.slice(2)
    const next = args[at + 1]
    if (!dashed.startsWith('--') || !isFlagName(name)) {
      faults.push(unknownFlag(dashed))
      // What follows was meant for the flag that is not known: one fault is enough.
      if (equals < 0 && next !== undefined && !next.startsWith('-')) at++
      continue
    }
    const { kind } = serveFlags[name]
    let value: string
    if (equals >= 0) {
      value = arg.slice(equals + 1)
    } else if (kind === 'switch') {
      value = 'true'
      previousSwitch = name
    } else if (next === undefined || next.startsWith('--')) {
      faults.push(fault(dashed, undefined, `needs a value, as ${dashed}=<…>`))
      continue
    } else {
      value = next
      at++
    }
    const values = written.get(name)
    if (values === undefined) written.set(name, [value])
    else if (kind === 'list' || kind === 'repeated') values.push(value)
    else repeated.add(name)
  }

  for (const name of repeated) {
    faults.push(fault(`--${name}`, undefined, 'is given more than once; give it once'))
  }
  const given = new Map<FlagName, Given>()
  for (const [name, values] of written) {
    const split = serveFlags[name].kind === 'list' ? values.flatMap(splitList) : values
    given.set(name, { values: split, where: `--${name}` })
  }
  return { given, faults, help: false }
}

/** A list written as one text; the empty text is the empty list. */
export function splitList(text: string): string[] {
  return text === '' ? [] : text.split(',')
}

function unknownFlag(dashed: string): string {
  const name = nearest(dashed.replace(/^-+/, ''), flagNames)
  return `unknown flag ${quoted(dashed)}${name === undefined ? '; --help lists them' : `; did you mean --${name}?`}`
}
