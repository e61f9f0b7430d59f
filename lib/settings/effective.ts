import { stringify } from 'yaml'
import {
  flagNames,
  serveFlags,
  type Flag,
  type FlagName,
  type Given,
  type GivenFlags,
} from './flags.js'
import type { ServeSettings } from './resolve.js'

/** What one flag comes down to. */
export interface EffectiveValue {
  readonly name: FlagName
  readonly value: string | number | boolean | readonly string[]
  /** `default`, `command line`, or file and line. */
  readonly from: string
}

/**
 * Every flag that has a value, given or by default, in the order of the help. Flags name secrets by their
 * files and hold none; what is in a kubeconfig is not told.
 */
export function effectiveValues(
  given: GivenFlags,
  settings: ServeSettings,
): readonly EffectiveValue[] {
  return flagNames.flatMap(name => {
    if (name === 'config') return []
    const value = valueOf(name, given, settings)
    return value === undefined ? [] : [{ name, value, from: origin(name, given) }]
  })
}

/** The same as a file for `--config`, each line with where its value comes from. */
export function effectiveYaml(values: readonly EffectiveValue[]): string {
  const lines = values.map(({ name, value, from }) => `${name}: ${inline(value)}  # ${from}`)
  const set = new Set<string>(values.map(({ name }) => name))
  const rest = flagNames.filter(
    name => name !== 'config' && !set.has(name) && name !== 'disable-impersonation',
  )
  return [
    ...lines,
    ...named('off', rest.filter(isSwitch)),
    ...named(
      'not set',
      rest.filter(name => !isSwitch(name)),
    ),
  ]
    .map(line => `${line}\n`)
    .join('')
}

const isSwitch = (name: FlagName): boolean => serveFlags[name].kind === 'switch'
const named = (says: string, names: readonly string[]): readonly string[] =>
  names.length === 0 ? [] : [`# ${says}: ${names.join(', ')}`]

function valueOf(
  name: FlagName,
  given: GivenFlags,
  settings: ServeSettings,
): EffectiveValue['value'] | undefined {
  const flag: Flag = serveFlags[name]
  const written = given.get(name)?.values ?? (flag.default === undefined ? [] : [flag.default])
  // Its default is made of other flags.
  if (name === 'oidc-username-prefix') {
    const { issuer } = settings
    if (issuer === undefined) return undefined
    return issuer.usernamePrefix === '' ? '-' : issuer.usernamePrefix
  }
  // A file that names the issuers has no room for what would name one beside it.
  if (settings.issuer === undefined && name.startsWith('oidc-') && name !== 'oidc-clock-skew') {
    return undefined
  }
  // `--disable-impersonation` is the same in other words, and with our own credential neither counts.
  if (name === 'impersonation' || name === 'disable-impersonation') {
    const { credentialMode } = settings
    if (credentialMode.kind === 'gateway') return undefined
    return name === 'impersonation' ? credentialMode.impersonation : undefined
  }
  if (flag.kind === 'list' || flag.kind === 'repeated') {
    return written.length === 0 ? undefined : written
  }
  // Off is what every switch is unless it is given, and some must not be given where they have no effect.
  if (flag.kind === 'switch') return written[0] === 'true' ? true : undefined
  const [said = ''] = written
  // An empty text is none: the default then.
  const first = said === '' ? flag.default : said
  if (first === undefined) return undefined
  return flag.kind === 'number' ? Number(first) : first
}

function origin(name: FlagName, given: GivenFlags): string {
  const found = given.get(name) ?? sameAs(name, given)
  if (found === undefined || found.values[0] === '') return 'default'
  const { where } = found
  return where.startsWith('--') ? 'command line' : where.replace(/: [a-z-]+$/, '')
}

const sameAs = (name: FlagName, given: GivenFlags): Given | undefined =>
  name === 'impersonation' ? given.get('disable-impersonation') : undefined

const inline = (value: EffectiveValue['value']): string =>
  stringify(value, {
    collectionStyle: 'flow',
    flowCollectionPadding: false,
    lineWidth: 0,
  }).trimEnd()
