/** A file with sources of apt. */
export interface SourcesFile {
  /** What it ends in says how it is written: `.sources` is deb822, all else has a source a line. */
  readonly name: string
  readonly text: string
}

/**
 * The machine's own sources of this Debian release, in deb822, each for packages and their sources alike: what apt
 * is told to use in place of them. Only the archive itself, the section `main`; whatever is beside it has no sources.
 * @returns `''` when none of the files names the archive
 */
export function debianSources(files: readonly SourcesFile[], codename: string): string {
  const suites = new Set([codename, `${codename}-updates`, `${codename}-security`])
  return files
    .flatMap(({ name, text }) => (name.endsWith('.sources') ? stanzasOf(text) : linesOf(text)))
    .filter(fields => fields.get('enabled') !== 'no' && words(fields, 'types').includes('deb'))
    .filter(fields => words(fields, 'components').includes('main'))
    .map(fields =>
      stanza(
        fields,
        words(fields, 'suites').filter(one => suites.has(one)),
      ),
    )
    .join('\n')
}

/** Names of fields in lower case; a value may go over several lines, as a key does. */
type Fields = ReadonlyMap<string, string>

/** Whom to trust, and for what: said of a source by either format. */
const kept = {
  arch: 'Architectures',
  'signed-by': 'Signed-By',
  trusted: 'Trusted',
  'check-valid-until': 'Check-Valid-Until',
} as const

function stanza(fields: Fields, suites: readonly string[]): string {
  if (suites.length === 0) return ''
  const lines = [
    'Types: deb deb-src',
    `URIs: ${words(fields, 'uris').join(' ')}`,
    `Suites: ${suites.join(' ')}`,
    'Components: main',
    'Targets: Packages Sources',
  ]
  for (const name of Object.values(kept)) {
    const value = fields.get(name.toLowerCase())
    // A key stands on lines of its own.
    if (value !== undefined) lines.push(`${name}:${value.startsWith('\n') ? '' : ' '}${value}`)
  }
  return `${lines.join('\n')}\n`
}

function stanzasOf(text: string): readonly Fields[] {
  const written = text
    .split('\n')
    .filter(line => !line.startsWith('#'))
    .join('\n')
  return written
    .split(/\n\s*\n/)
    .map(
      block =>
        new Map(
          [...block.matchAll(/^(\S+?):(.*(?:\n[ \t].*)*)/gm)].map(([, name = '', value = '']) => [
            name.toLowerCase(),
            value.replace(/^[ \t]+/, '').trimEnd(),
          ]),
        ),
    )
}

function linesOf(text: string): readonly Fields[] {
  return text.split('\n').flatMap(line => {
    const [, type, options = '', uri, suite, components] =
      /^\s*(deb|deb-src)\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line) ?? []
    if (type === undefined || uri === undefined) return []
    const fields = new Map([
      ['types', type],
      ['uris', uri],
      ['suites', suite ?? ''],
      ['components', components ?? ''],
    ])
    for (const [, name = '', value = ''] of options.matchAll(/(\S+?)=(\S+)/g)) {
      const field = Object.entries(kept).find(([option]) => option === name)?.[1]
      if (field !== undefined) fields.set(field.toLowerCase(), value.replaceAll(',', ' '))
    }
    return [fields]
  })
}

const words = (fields: Fields, name: string): readonly string[] =>
  (fields.get(name) ?? '').split(/\s+/).filter(word => word !== '')

/** The version of Kubernetes that a package is of; Debian's own may go backwards, and then says what it is really. */
export function kubernetesVersion(debian: string): string {
  const [upstream = ''] = debian.replace(/^.*\+really/, '').split(/[-+]/, 1)
  return `v${upstream}`
}
