import type { H2Response } from '../actors/h2-frames.js'
import type { HeaderLines } from '../actors/http1.js'
import type { RawExchange } from '../actors/raw-client.js'

/** A whole answer in a form to compare. */
export interface Shown {
  readonly status: number | undefined
  /** Names in lower case; without `Date` and `Keep-Alive`, which say nothing here. */
  readonly headers: HeaderLines
  readonly body: unknown
}

interface Answer {
  readonly status: number | undefined
  readonly headers: HeaderLines
  readonly body: Buffer
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * Everything a client can see of an answer but what differs each time: an `Audit-ID` that is a UUID is
 * shown as `<uuid>`, a `Content-Length` that is the body's as `<right>`.
 */
export function shown({ status, headers, body }: Answer): Shown {
  const lines = headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name !== 'date' && name !== 'keep-alive')
    .map(([name, value]) => {
      if (name === 'audit-id' && uuid.test(value)) return [name, '<uuid>'] as const
      if (name === 'content-length' && value === String(body.length)) {
        return [name, '<right>'] as const
      }
      return [name, value] as const
    })
  return { status, headers: lines, body: parsed(body) }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString(), (key, value: unknown) =>
      key === 'message' && whyMalformed.includes(value) ? '<why>' : value,
    ) as unknown
  } catch {
    return body.toString('latin1')
  }
}

/** A refusal as `shown` shows it; `more` are the fields that not every refusal has. */
export function status(
  code: number,
  reason: string,
  message: string,
  more: HeaderLines = [],
): Shown {
  return {
    status: code,
    headers: [
      ['audit-id', '<uuid>'],
      ['cache-control', 'no-cache, private'],
      ['content-type', 'application/json'],
      ['content-length', '<right>'],
      ['x-content-type-options', 'nosniff'],
      ...more,
    ],
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      code,
    },
  }
}

/** Over HTTP/1.1 a connection whose bytes were not understood is not read any further. */
export const closing: HeaderLines = [['connection', 'close']]
export const keeping: HeaderLines = [['connection', 'keep-alive']]

/** Which of them a malformed request meets first depends on how far Node's parser gets: it is no promise. */
const whyMalformed: readonly unknown[] = [
  'the request is malformed',
  'the framing of the request is ambiguous',
  'the request target must be an absolute path',
  'the request must name exactly one host',
]

/** A 400 to a malformed request, over HTTP/1.1. */
export const badRequest = status(400, 'BadRequest', '<why>', closing)
/** The same over HTTP/2. */
export const badRequest2 = status(400, 'BadRequest', '<why>')

/** The first answer of an exchange; the exchange must have been waited for until its end. */
export const answered = ({ response }: RawExchange): Shown =>
  response ? shown(response) : { status: undefined, headers: [], body: '' }

/** An answer over HTTP/2, with the code of the reset when there was one. */
export const answered2 = (response: H2Response): Shown & { readonly rstCode?: number } => ({
  ...shown(response),
  ...(response.rstCode !== undefined && { rstCode: response.rstCode }),
})
