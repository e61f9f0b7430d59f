import type { HeaderList } from '../exchange.js'

export interface AnswerHead {
  readonly status: number
  readonly reason: string
  readonly fields: HeaderList
  /** `1.0` or `1.1`, where the parser says which. */
  readonly version?: string
}

/**
 * What is wrong with the head of an answer that the parsers let pass; `undefined` when nothing is.
 *
 * Of transfer codings they take `chunked` off, and only where it stands alone and exactly so: whatever else is
 * named would stay in the body, whose end nobody could tell.
 */
export function flawOfAnswer({ status, reason, fields, version }: AnswerHead): string | undefined {
  if (status > 599) return 'a status beyond 599'
  if (version !== undefined && version !== '1.1' && version !== '1.0') return 'another HTTP'
  if (control.test(reason)) return 'a control character in its status line'
  let codings = 0
  for (const [name, value] of fields) {
    if (name.length !== 17 || name.toLowerCase() !== 'transfer-encoding') continue
    codings += 1
    if (codings > 1 || value.toLowerCase() !== 'chunked') {
      return 'a transfer coding other than chunked'
    }
  }
  return undefined
}

// oxlint-disable-next-line no-control-regex -- those that a reason phrase cannot have (RFC 9112, 4)
const control = /[\0-\x08\n-\x1f\x7f]/
