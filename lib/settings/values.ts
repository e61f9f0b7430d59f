import { parseDuration } from './duration.js'
import { fault } from './fault.js'
import { serveFlags, type Flag, type FlagName, type GivenFlags } from './flags.js'

type Table = typeof serveFlags
type Named<Kind> = { [N in FlagName]: Table[N]['kind'] extends Kind ? N : never }[FlagName]
type Choices<N extends FlagName> = Table[N] extends { readonly choices: readonly (infer C)[] }
  ? C
  : never

/**
 * The values of the flags, given or default, each read as its kind. A value that cannot be read adds a
 * fault and comes back as `undefined`, so that what depends on it is not judged as well.
 */
export interface Values {
  readonly faults: readonly string[]
  given(name: FlagName): boolean
  /** Adds the fault that `name` has; about `value` when that is given. */
  fault(name: FlagName, says: string, value?: string): void
  /** An empty text is none, as at kube-apiserver: the default then, or `undefined`. */
  text(name: Named<'text' | 'file'>): string | undefined
  switched(name: Named<'switch'>): boolean
  number(name: Named<'number'>, least: number, most?: number): number | undefined
  milliseconds(name: Named<'duration'>, most?: number): number | undefined
  choice<N extends Named<'choice'>>(name: N): Choices<N> | undefined
  /** Never with an empty entry; a `list` without repeats. */
  list(name: Named<'list' | 'repeated'>): readonly string[]
}

export function readValues(given: GivenFlags): Values {
  const faults: string[] = []

  const add: Values['fault'] = (name, says, value) => {
    faults.push(fault(given.get(name)?.where ?? `--${name}`, value, says))
  }
  const written = (name: FlagName): string => {
    const flag: Flag = serveFlags[name]
    return given.get(name)?.values[0] ?? flag.default ?? ''
  }

  return {
    faults,
    given: name => given.has(name),
    fault: add,
    text: name => {
      const flag: Flag = serveFlags[name]
      const value = written(name)
      return value === '' ? flag.default : value
    },
    switched: name => {
      const value = given.get(name)?.values[0] ?? 'false'
      if (value !== 'true' && value !== 'false') add(name, 'must be true or false', value)
      return value === 'true'
    },
    number: (name, least, most) => {
      const value = written(name)
      const number = /^\d{1,15}$/.test(value) ? Number(value) : -1
      if (number >= least && number <= (most ?? number)) return number
      const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`
      add(name, `must be a whole number ${range}`, value)
      return undefined
    },
    milliseconds: (name, most) => {
      const value = written(name)
      try {
        const milliseconds = parseDuration(value)
        if (milliseconds <= (most ?? milliseconds)) return milliseconds
        add(name, `must not be over ${(most ?? 0) / 3_600_000}h`, value)
      } catch (error) {
        add(name, error instanceof Error ? error.message : 'cannot be read', value)
      }
      return undefined
    },
    choice: name => {
      const value = written(name)
      const { choices } = serveFlags[name]
      const chosen = choices.find(choice => choice === value)
      if (chosen === undefined) add(name, `must be one of ${choices.join(', ')}`, value)
      // `chosen` is an element of this very flag's choices.
      return chosen as Choices<typeof name> | undefined
    },
    list: name => {
      const flag: Flag = serveFlags[name]
      const values = given.get(name)?.values ?? (flag.default === undefined ? [] : [flag.default])
      if (values.includes('')) add(name, 'has an empty entry; take it out')
      const named = values.filter(value => value !== '')
      return flag.kind === 'list' ? [...new Set(named)] : named
    },
  }
}
