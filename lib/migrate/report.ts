import { stringify } from 'yaml'
import { peerFlag, type Peer } from './peer-flags.js'
import { argsOf, isSwitch, type OurFlag } from './our-flag.js'
import type { Difference, Translation } from './translation.js'

const repositories: Readonly<Record<Peer, string>> = {
  tremolosecurity: 'TremoloSecurity/kube-oidc-proxy',
  rafpe: 'RafPe/kube-oidc-proxy',
  jetstack: 'jetstack/kube-oidc-proxy v0.3',
}

/** The translation for a reader: names, command line, what is different. */
export function asText(translation: Translation): string {
  const { flags, issuerFile, names, differences, ended, beside } = translation
  const sections = [
    [introduction(translation)],
    names.length === 0 ? [] : ['Names', ...namesTable(translation)],
    ['Command line', ...commandLine(flags)],
    issuerFile === undefined
      ? []
      : [`The file ${issuerFile.path}`, ...indented(issuerFile.content.trimEnd().split('\n'))],
    ['Different here', ...differences.map(told)],
    ended.length === 0 ? [] : ['Not carried over', ...ended.map(told)],
    beside.length === 0 ? [] : ['To be done beside it', ...beside.map(told)],
  ]
  const text = sections.filter(section => section.length > 0).map(section => section.join('\n'))
  return `${text.join('\n\n')}\n`
}

/** The file of `--config`; what is different stands in comments. */
export function asConfig(translation: Translation): string {
  const { flags, issuerFile, differences, ended, beside } = translation
  const remarks = [...differences, ...ended, ...beside].map(
    ([about, says]) => `# ${about}: ${says}`,
  )
  const values = Object.fromEntries(
    flags.map(([name, values]) => [name, typed(name, values)] as const),
  )
  const head = `# ${introduction(translation)}`
  if (issuerFile !== undefined) {
    const content = issuerFile.content.trimEnd().split('\n')
    remarks.push(`# ${issuerFile.path}:`, ...content.map(line => `#   ${line}`))
  }
  return `${[head, ...remarks].join('\n')}\n${stringify(values, { lineWidth: 0 })}`
}

/** The same for a program. The shape is part of the interface: members are added, never changed. */
export function asJson(translation: Translation): string {
  const { peer, source, flags, issuerFile, names, differences, ended, beside } = translation
  return `${JSON.stringify(
    {
      from: { program: repositories[peer], source },
      args: flags.flatMap(argsOf),
      ...(issuerFile && {
        authenticationConfig: { path: issuerFile.path, content: issuerFile.content },
      }),
      names: names.map(name => ({ ...name, changes: name.there !== name.here })),
      differences: members(differences),
      notCarriedOver: members(ended),
      beside: members(beside),
    },
    undefined,
    2,
  )}\n`
}

const members = (list: readonly Difference[]): unknown =>
  list.map(([about, says]) => ({ about, says }))

const introduction = ({ peer, peerKnown, source }: Translation): string =>
  `From the ${source} of ${repositories[peer]}${peerKnown ? '' : ' (taken for it; --from says otherwise)'}.`

function namesTable({ names }: Translation): string[] {
  const rows = [
    ['', 'claim', 'there', 'here'],
    ...names.map(({ kind, claim, sample, there, here }) => [
      kind,
      `${claim}: ${sample}`,
      there,
      here === there ? `${here} (the same)` : `${here} (another name: RBAC has to follow)`,
    ]),
  ]
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => (row[column] ?? '').length)))
  return rows.map(row =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  )
}

function commandLine(flags: readonly OurFlag[]): string[] {
  const args = ['impersonation-gateway serve', ...flags.flatMap(argsOf).map(shellWord)]
  return args.map(
    (arg, at) => `  ${at === 0 ? '' : '  '}${arg}${at === args.length - 1 ? '' : ' \\'}`,
  )
}

const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

const told = ([about, says]: Difference): string => `  ${about}: ${says}`
const indented = (lines: readonly string[]): string[] => lines.map(line => `  ${line}`.trimEnd())

/** As the file wants it: numbers and switches are no strings. */
function typed(name: string, values: readonly string[]): unknown {
  if (isSwitch(name)) return true
  const [first = ''] = values
  if (name.endsWith('-port')) return Number(first)
  const kind = peerFlag(name)?.kind
  return kind === 'list' || kind === 'repeated' ? values : first
}
