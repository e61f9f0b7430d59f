import { Uncompilable } from './fault.js'
import type { Literal } from './syntax.js'
import { Uint } from './values.js'

/** A number as it was written, without its sign. @throws Uncompilable beyond 64 bits */
export function readNumber(written: string, at: number): Literal {
  if (/^0x|^\d+[uU]?$/.test(written)) {
    if (/[uU]$/.test(written)) return readUint(written.slice(0, -1), at)
    // The least of all integers has no counterpart: its sign makes it one.
    const value = BigInt(written)
    if (value > 1n << 63n) throw new Uncompilable(at, `${written} is out of range`)
    return value
  }
  const value = Number(written)
  if (!Number.isFinite(value)) throw new Uncompilable(at, `${written} is out of range`)
  return value
}

function readUint(digits: string, at: number): Uint {
  const value = BigInt(digits)
  if (value >= 1n << 64n) throw new Uncompilable(at, `${digits}u is out of range`)
  return new Uint(value)
}

/** A text or bytes between quotes. @throws Uncompilable at an escape that there is not */
export function readLiteral(written: string, at: number): Literal {
  const [, bytes = '', raw = '', quote = ''] = /^([bB]?)([rR]?)("""|'''|"|')/.exec(written) ?? []
  const start = bytes.length + raw.length + quote.length
  const inside = written.slice(start, written.length - quote.length).replace(/\r\n?/g, '\n')
  if (bytes !== '') return raw === '' ? readBytes(inside, at) : Buffer.from(inside, 'utf8')
  return raw === '' ? inside.replace(escape, (whole: string) => unescaped(whole, at)) : inside
}

const escape = /\\(?:[xX][\s\S]{0,2}|u[\s\S]{0,4}|U[\s\S]{0,8}|[0-9][\s\S]{0,2}|[\s\S])/gu

function readBytes(inside: string, at: number): Uint8Array {
  const parts: Buffer[] = []
  let from = 0
  for (const match of inside.matchAll(escape)) {
    if (/^\\[uU]/.test(match[0])) throw badEscape(match[0], at)
    parts.push(Buffer.from(inside.slice(from, match.index), 'utf8'))
    parts.push(Buffer.from(unescaped(match[0], at), 'latin1'))
    from = match.index + match[0].length
  }
  return Buffer.concat([...parts, Buffer.from(inside.slice(from), 'utf8')])
}

const named: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  "'": "'",
  '`': '`',
  '\\': '\\',
  '?': '?',
}

function unescaped(whole: string, at: number): string {
  const letter = whole.charAt(1)
  const simple = Object.hasOwn(named, letter) ? named[letter] : undefined
  if (simple !== undefined) return simple
  if (/^\\(?:[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})$/.test(whole)) {
    const point = Number.parseInt(whole.slice(2), 16)
    const surrogate = point >= 0xd800 && point <= 0xdfff
    if (point <= 0x10_ffff && !surrogate) return String.fromCodePoint(point)
  }
  if (/^\\[0-3][0-7]{2}$/.test(whole)) {
    return String.fromCharCode(Number.parseInt(whole.slice(1), 8))
  }
  throw badEscape(whole, at)
}

const badEscape = (whole: string, at: number): Uncompilable =>
  new Uncompilable(at, `there is no escape ${JSON.stringify(whole)} here`)
