import { EvaluationFailure } from './fault.js'
import { define, type Definition } from './function.js'

/*
 * The strings extension of CEL in the version that Kubernetes has (2); `format` is in text-format.ts. Text is counted in code
 * points: what has no surrogates is counted as it is, the rest is taken apart.
 */

const strings = { list: 'string' } as const

export const textFunctions: readonly Definition[] = [
  define('size', ['string'], 'int', (text: string) => BigInt(lengthOf(text))),
  define('.size', ['string'], 'int', (text: string) => BigInt(lengthOf(text))),
  define('size', ['bytes'], 'int', (bytes: Uint8Array) => BigInt(bytes.length)),
  define('.size', ['bytes'], 'int', (bytes: Uint8Array) => BigInt(bytes.length)),
  define('.startsWith', ['string', 'string'], 'bool', (text: string, start: string) =>
    text.startsWith(start),
  ),
  define('.endsWith', ['string', 'string'], 'bool', (text: string, end: string) =>
    text.endsWith(end),
  ),
  define('.contains', ['string', 'string'], 'bool', (text: string, part: string) =>
    text.includes(part),
  ),
  define('.charAt', ['string', 'int'], 'string', (text: string, at: bigint) => {
    const all = points(text)
    if (at < 0n || at > BigInt(all.length)) throw outOfRange(at)
    return all[Number(at)] ?? ''
  }),
  define('.indexOf', ['string', 'string'], 'int', (text: string, sought: string) =>
    indexOf(text, sought, 0n),
  ),
  define('.indexOf', ['string', 'string', 'int'], 'int', indexOf),
  define('.lastIndexOf', ['string', 'string'], 'int', (text: string, sought: string) =>
    pointsBefore(text, text.lastIndexOf(sought)),
  ),
  define('.lastIndexOf', ['string', 'string', 'int'], 'int', lastIndexOf),
  define('.substring', ['string', 'int'], 'string', (text: string, from: bigint) =>
    substring(text, from, BigInt(lengthOf(text))),
  ),
  define('.substring', ['string', 'int', 'int'], 'string', substring),
  define('.lowerAscii', ['string'], 'string', (text: string) =>
    text.replace(/[A-Z]+/g, letters => letters.toLowerCase()),
  ),
  define('.upperAscii', ['string'], 'string', (text: string) =>
    text.replace(/[a-z]+/g, letters => letters.toUpperCase()),
  ),
  define('.trim', ['string'], 'string', trim),
  define(
    '.replace',
    ['string', 'string', 'string'],
    'string',
    (text: string, old: string, by: string) => replace(text, old, by, -1n),
  ),
  define('.replace', ['string', 'string', 'string', 'int'], 'string', replace),
  define('.split', ['string', 'string'], strings, (text: string, separator: string) =>
    split(text, separator, -1n),
  ),
  define('.split', ['string', 'string', 'int'], strings, split),
  define('.join', [strings], 'string', (parts: readonly string[]) => parts.join('')),
  define('.join', [strings, 'string'], 'string', (parts: readonly string[], separator: string) =>
    parts.join(separator),
  ),
]

const surrogates = /[\ud800-\udfff]/

const points = (text: string): readonly string[] =>
  surrogates.test(text) ? Array.from(text) : text.split('')

const lengthOf = (text: string): number =>
  surrogates.test(text) ? Array.from(text).length : text.length

const outOfRange = (index: bigint): EvaluationFailure =>
  new EvaluationFailure(`index out of range: ${index}`)

/** An index into UTF-16 code units as one into code points. */
const pointsBefore = (text: string, index: number): bigint =>
  index < 0 ? -1n : BigInt(lengthOf(text.slice(0, index)))

/** The reverse; `undefined` beyond the end. */
function unitsBefore(text: string, index: bigint): number | undefined {
  if (index < 0n) throw outOfRange(index)
  const all = points(text)
  if (index >= BigInt(all.length)) return undefined
  return all.slice(0, Number(index)).join('').length
}

function substring(text: string, from: bigint, to: bigint): string {
  if (from > to && from <= BigInt(lengthOf(text))) {
    throw new EvaluationFailure(`invalid substring range. start: ${from}, end: ${to}`)
  }
  const all = points(text)
  for (const index of [from, to]) {
    if (index < 0n || index > BigInt(all.length)) throw outOfRange(index)
  }
  return all.slice(Number(from), Number(to)).join('')
}

function indexOf(text: string, sought: string, from: bigint): bigint {
  if (sought === '') return from
  const start = unitsBefore(text, from)
  return start === undefined ? -1n : pointsBefore(text, text.indexOf(sought, start))
}

function lastIndexOf(text: string, sought: string, from: bigint): bigint {
  if (sought === '') return from
  const start = unitsBefore(text, from)
  return start === undefined ? -1n : pointsBefore(text, text.lastIndexOf(sought, start))
}

/** At most `limit` parts, the last one with all the rest; a negative limit is none. */
function split(text: string, separator: string, limit: bigint): readonly string[] {
  if (limit === 0n) return []
  const parts = separator === '' ? points(text) : text.split(separator)
  if (limit < 0n || BigInt(parts.length) <= limit) return parts
  const alone = Number(limit) - 1
  return [...parts.slice(0, alone), parts.slice(alone).join(separator)]
}

function replace(text: string, old: string, by: string, limit: bigint): string {
  // What is replaced stands between these; nothing stands between all characters, and around them.
  const parts = old === '' ? ['', ...points(text), ''] : text.split(old)
  const joints = parts.length - 1
  const replaced = limit < 0n || limit > BigInt(joints) ? joints : Number(limit)
  return parts
    .slice(1)
    .reduce((whole, part, joint) => whole + (joint < replaced ? by : old) + part, parts[0] ?? '')
}

/** `unicode.IsSpace` of Go, which is not quite the blanks of `String.trim`. */
const space = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/

function trim(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && space.test(text.charAt(from))) from += 1
  while (to > from && space.test(text.charAt(to - 1))) to -= 1
  return text.slice(from, to)
}
