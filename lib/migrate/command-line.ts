import { peerFlag, secretFlags, shorthands } from './peer-flags.js'

export interface PeerCommandLine {
  /** By name, without dashes; each with what it ends up with: the last one, or all of a list. */
  readonly given: ReadonlyMap<string, readonly string[]>
  /** Flags that no kube-oidc-proxy has. */
  readonly unknown: readonly string[]
  readonly faults: readonly string[]
}

/** Reads a command line of kube-oidc-proxy as pflag does; its own name may stand in front. */
export function readPeerCommandLine(args: readonly string[]): PeerCommandLine {
  const given = new Map<string, string[]>()
  const unknown: string[] = []
  const faults: string[] = []
  const rest = [...args]
  if (/(?:^|\/)kube-oidc-proxy$/.test(rest[0] ?? '')) rest.shift()

  while (rest.length > 0) {
    const arg = rest.shift() ?? ''
    const written = flagOf(arg)
    if (written === undefined) {
      faults.push(`unexpected argument ${quoted(arg)}: only flags of kube-oidc-proxy are accepted`)
      continue
    }
    const { name } = written
    const flag = peerFlag(name)
    if (flag === undefined) {
      unknown.push(name)
      // What follows without a dash was its value.
      if (written.value === undefined && rest[0]?.startsWith('-') === false) rest.shift()
      continue
    }
    const value = written.value ?? (flag.kind === 'switch' ? 'true' : rest.shift())
    if (value === undefined) {
      faults.push(`--${name}: needs a value, as --${name}=<…>`)
      continue
    }
    if (flag.kind === 'switch' && switched(value) === undefined) {
      faults.push(`--${name} ${quoted(value)}: must be true or false`)
      continue
    }
    const filled = /\$\([A-Za-z_][\w.-]*\)|^\$\{?[A-Za-z_]\w*\}?$/.exec(value)?.[0]
    if (filled !== undefined && !secretFlags.has(name)) {
      const says = `${filled} is filled in from the environment: write the value itself`
      faults.push(`--${name} ${quoted(value)}: ${says}`)
    }
    const before = given.get(name) ?? []
    given.set(name, valuesOf(flag.kind, before, value))
  }
  return { given, unknown: [...new Set(unknown)], faults }
}

function flagOf(
  arg: string,
): { readonly name: string; readonly value: string | undefined } | undefined {
  const long = /^--([^=]+)(?:=([^]*))?$/.exec(arg)
  if (long?.[1] !== undefined) return { name: long[1].replaceAll('_', '-'), value: long[2] }
  const short = /^-([A-Za-z])(?:=?([^]+))?$/.exec(arg)
  if (short?.[1] === undefined) return undefined
  return { name: shorthands[short[1]] ?? `-${short[1]}`, value: short[2] }
}

function valuesOf(kind: string, before: string[], value: string): string[] {
  switch (kind) {
    case 'switch':
      return [String(switched(value))]
    case 'list':
      return [...before, ...(value === '' ? [] : value.split(','))]
    case 'repeated':
      return [...before, value]
    default:
      return [value]
  }
}

/** As Go's `strconv.ParseBool`. */
function switched(value: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(value)) return true
  return /^(?:0|f|F|FALSE|false|False)$/.test(value) ? false : undefined
}

/**
 * The words of a command line that stands in a file: separated by blanks or line ends, with single and
 * double quotes and the backslash as a POSIX shell reads them.
 */
export function wordsOf(text: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  const pieces = /'([^']*)'|"((?:\\[^]|[^"\\])*)"|\\(\r?\n)|\\([^])|(\s+)|(#[^\n]*)|([^\s'"\\]+)/g
  for (const [, single, double, lineEnd, escaped, blank, comment, plain] of text.matchAll(pieces)) {
    if (comment !== undefined && word === undefined) continue
    if (blank !== undefined) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (lineEnd === undefined) {
      const inner = double?.replace(/\\(["\\$`])/g, '$1')
      word = (word ?? '') + (single ?? inner ?? escaped ?? comment ?? plain ?? '')
    }
  }
  if (word !== undefined) words.push(word)
  return words
}

/** A value on one readable line, at most 100 characters of it. */
export const quoted = (value: string): string =>
  JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
