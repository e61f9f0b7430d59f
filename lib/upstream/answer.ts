import type { HeaderList } from '../exchange.js'

export interface AnswerOptions {
  readonly status: number
  /** The client's own impersonation headers were left out; kubectl prints the `Warning` that says so. */
  readonly stripped: boolean
}

const strippedWarning =
  '299 - "impersonation-gateway ignored the Impersonate-* headers of this request"'

/**
 * The header fields of the relayed answer: the API server's end-to-end ones, in order, with our
 * `Audit-ID`. Framing is the connection's business, except for a `Content-Length`, which is the answer's.
 */
export function answerHeaders(
  fields: HeaderList,
  id: string,
  { status, stripped }: AnswerOptions,
): HeaderList {
  const nominated = nominatedBy(fields)
  // RFC 9110, 8.6: these have no body. Who believes in a length takes it from the next answer.
  const isBare = status === 204 || status === 101
  const kept: Array<readonly [string, string]> = []
  for (const field of fields) {
    if (isBare && field[0].toLowerCase() === 'content-length') continue
    // Most names are ruled out by their length: that saves lower-casing them.
    if (nominated !== undefined || lengths.has(field[0].length)) {
      const name = field[0].toLowerCase()
      if (hopByHop.has(name) || nominated?.has(name) === true) continue
    }
    kept.push(field)
  }
  kept.push(['Audit-ID', id])
  if (stripped) kept.push(['Warning', strippedWarning])
  return kept
}

function nominatedBy(fields: HeaderList): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (const [name, value] of fields) {
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const part of value.toLowerCase().split(',')) {
      const option = part.trim()
      // Without its length a cut answer would look whole.
      if (option === 'content-length') continue
      names ??= new Set()
      names.add(option)
    }
  }
  return names
}

const hopByHop: ReadonlySet<string> = new Set([
  'audit-id',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const lengths: ReadonlySet<number> = new Set([...hopByHop].map(name => name.length))
