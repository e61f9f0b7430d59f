import { EvaluationFailure, noOverload } from './fault.js'
import { define, type Definition } from './function.js'
import { withinInt } from './list-functions.js'
import { isList, none, Optional, sizeOf, typeName, TypeName, type Value } from './values.js'

const A = { parameter: 'A' } as const
const optional = { optional: A } as const

/** Conversions as Go makes them, and what CEL has for optional values. */
export const conversions: readonly Definition[] = [
  define('string', ['string'], 'string', (value: string) => value),
  define('string', ['bool'], 'string', String),
  define('string', ['int'], 'string', String),
  define('string', ['double'], 'string', showDouble),
  define('int', ['int'], 'int', (value: bigint) => value),
  define('int', ['double'], 'int', intOfDouble),
  define('int', ['string'], 'int', intOfText),
  define('double', ['double'], 'double', (value: number) => value),
  define('double', ['int'], 'double', Number),
  define('double', ['string'], 'double', doubleOfText),
  define('bool', ['bool'], 'bool', (value: boolean) => value),
  define('bool', ['string'], 'bool', boolOfText),
  define('dyn', [A], 'dyn', (value: Value) => value),
  define('type', [A], 'type', (value: Value) => new TypeName(typeName(value))),

  define('optional.of', [A], optional, (value: Value) => new Optional(value)),
  define('optional.none', [], { optional: 'none' }, () => none),
  define('optional.ofNonZeroValue', [A], optional, (value: Value) =>
    isZero(value) ? none : new Optional(value),
  ),
  define('.hasValue', [optional], 'bool', ({ value }: Optional) => value !== undefined),
  define('.value', [optional], A, ({ value }: Optional) => {
    if (value === undefined) throw new EvaluationFailure('optional.none() dereference')
    return value
  }),
]

/** `%g` of Go: the shortest digits, with an exponent below -4 and from 6 on. */
function showDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const [digits = '', power = '0'] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent >= -4 && exponent < 6) return Object.is(value, -0) ? '-0' : String(value)
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** Truncated; the ends of the range themselves are out, as in cel-go. */
function intOfDouble(value: number): bigint {
  if (Number.isNaN(value) || value <= -(2 ** 63) || value >= 2 ** 63) {
    throw new EvaluationFailure('integer overflow')
  }
  return BigInt(Math.trunc(value))
}

const unconvertible = (to: string): EvaluationFailure =>
  new EvaluationFailure(`type conversion error from 'string' to '${to}'`)

function intOfText(text: string): bigint {
  if (!/^[+-]?[0-9]{1,40}$/.test(text)) throw unconvertible('int')
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  try {
    return withinInt(value)
  } catch {
    throw unconvertible('int')
  }
}

/** Hexadecimal and digits with underscores, which Go also reads, are refused. */
function doubleOfText(text: string): number {
  if (/^[+-]?(?:inf|infinity)$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  if (/^nan$/i.test(text)) return Number.NaN
  if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i.test(text))
    throw unconvertible('double')
  const value = Number(text)
  if (!Number.isFinite(value)) throw unconvertible('double')
  return value
}

function boolOfText(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw unconvertible('bool')
}

function isZero(value: Value): boolean {
  if (value === null || value === false || value === '' || value === 0 || value === 0n) return true
  if (typeof value !== 'object') return false
  if (isList(value)) return value.length === 0
  if (value instanceof Optional) return value.value === undefined
  if (value instanceof TypeName) throw noOverload('optional.ofNonZeroValue')
  return sizeOf(value) === 0
}
