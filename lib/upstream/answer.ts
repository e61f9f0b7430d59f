import type { HeaderList } from '../exchange.js'

export interface AnswerOptions {
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
  { stripped }: AnswerOptions,
): HeaderList {
  const nominated = nominatedBy(fields)
  const kept = fields.filter(([name]) => {
    const lower = name.toLowerCase()
    return !hopByHop.has(lower) && !nominated?.has(lower)
  })
  kept.push(['Audit-ID', id])
  if (stripped) kept.push(['Warning', strippedWarning])
  return kept
}

function nominatedBy(fields: HeaderList): ReadonlySet<string> | undefined {
  const options = fields
    .filter(([name]) => name.length === 10 && name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map(option => option.trim())
    // Without its length a cut answer would look whole.
    .filter(option => option !== 'content-length')
  return options.length > 0 ? new Set(options) : undefined
}

const hopByHop: ReadonlySet<string> = new Set([
  'audit-id',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
