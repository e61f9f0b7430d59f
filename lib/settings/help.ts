import { flagNames, sections, serveFlags, type Flag } from './flags.js'

const width = 96
const indent = '      '

/** The text of `serve --help`: every flag with its default, from the one table of them. */
export function serveHelp(): string {
  const lines = [
    'Usage: impersonation-gateway serve [flags]',
    '',
    'Runs the gateway: callers prove who they are with a token of the issuer, and their requests are',
    'forwarded to the Kubernetes API server under that identity.',
  ]
  for (const section of sections) {
    lines.push('', section)
    for (const name of flagNames) {
      const flag: Flag = serveFlags[name]
      if (flag.section === section) lines.push(...describe(name, flag))
    }
  }
  return lines.join('\n') + '\n'
}

function describe(name: string, flag: Flag): string[] {
  const notes = [
    flag.choices && `one of ${flag.choices.join(', ')}`,
    flag.kind === 'list' && 'repeated, or separated by commas',
    flag.kind === 'repeated' && 'may be repeated',
    flag.default !== undefined && `default ${flag.default}`,
  ].filter(note => typeof note === 'string')
  const sentence = notes.length === 0 ? flag.help : `${flag.help} (${notes.join('; ')})`
  const head = flag.placeholder === undefined ? `  --${name}` : `  --${name}=<${flag.placeholder}>`
  return [head, ...wrap(sentence)]
}

function wrap(sentence: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of sentence.split(' ')) {
    if (line !== indent && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent
    }
    line += line === indent ? word : ` ${word}`
  }
  return [...lines, line]
}
