import { EvaluationFailure } from './fault.js'
import { define, type Definition } from './function.js'
import { uint, withinInt } from './integers.js'
import { parseDuration, parseTimestamp, Timestamp, type Duration } from './times.js'
import {
  isList,
  none,
  Opaque,
  Optional,
  sizeOf,
  typeName,
  TypeName,
  Uint,
  type Value,
} from './values.js'

const A = { parameter: 'A' } as const
const optional = { optional: A } as const

/** Conversions as Go makes them, and what CEL has for optional values. */
export const conversions: readonly Definition[] = [
  define('string', ['string'], 'string', (value: string) => value),
  define('string', ['bool'], 'string', String),
  define('string', ['int'], 'string', String),
  define('string', ['double'], 'string', showDouble),
  define('string', ['uint'], 'string', ({ value }: Uint) => String(value)),
  define('string', ['bytes'], 'string', textOfBytes),
  define('string', ['timestamp'], 'string', String),
  define('string', ['duration'], 'string', String),
  define('int', ['int'], 'int', (value: bigint) => value),
  define('int', ['double'], 'int', intOfDouble),
  define('int', ['string'], 'int', intOfText),
  define('int', ['uint'], 'int', ({ value }: Uint) => withinInt(value)),
  define('int', ['timestamp'], 'int', ({ seconds }: Timestamp) => seconds),
  define('int', ['duration'], 'int', ({ nanos }: Duration) => nanos),
  define('uint', ['uint'], 'uint', (value: Uint) => value),
  define('uint', ['int'], 'uint', uint),
  define('uint', ['double'], 'uint', uintOfDouble),
  define('uint', ['string'], 'uint', uintOfText),
  define('double', ['double'], 'double', (value: number) => value),
  define('double', ['int'], 'double', Number),
  define('double', ['string'], 'double', doubleOfText),
  define('double', ['uint'], 'double', ({ value }: Uint) => Number(value)),
  define('bool', ['bool'], 'bool', (value: boolean) => value),
  define('bool', ['string'], 'bool', boolOfText),
  define('bytes', ['bytes'], 'bytes', (value: Uint8Array) => value),
  define('bytes', ['string'], 'bytes', (text: string) => Buffer.from(text, 'utf8')),
  define('timestamp', ['timestamp'], 'timestamp', (value: Timestamp) => value),
  define(
    'timestamp',
    ['int'],
    'timestamp',
    (seconds: bigint) => new Timestamp(seconds * 1_000_000_000n),
  ),
  define(
    'timestamp',
    ['string'],
    'timestamp',
    (text: string) => parseTimestamp(text) ?? failWith('timestamp'),
  ),
  define('duration', ['duration'], 'duration', (value: Duration) => value),
  // Declared in cel-go, and never done there.
  define('duration', ['int'], 'duration', () => failWith('duration')),
  define(
    'duration',
    ['string'],
    'duration',
    (text: string) => parseDuration(text) ?? failWith('duration'),
  ),
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
export function showDouble(value: number): string {
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

function uintOfDouble(value: number): Uint {
  if (Number.isNaN(value) || value < 0 || value >= 2 ** 64) {
    throw new EvaluationFailure('unsigned integer overflow')
  }
  return new Uint(BigInt(Math.trunc(value)))
}

function uintOfText(text: string): Uint {
  if (!/^[0-9]{1,40}$/.test(text)) throw unconvertible('uint')
  return uint(BigInt(text))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws EvaluationFailure where they are no text in UTF-8 */
export function textOfBytes(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new EvaluationFailure('invalid UTF-8 in bytes, cannot convert to string')
  }
}

function failWith(type: string): never {
  throw unconvertible(type)
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
  if (value instanceof Optional || value instanceof TypeName) return false
  if (value instanceof Uint) return value.value === 0n
  if (value instanceof Uint8Array) return value.length === 0
  if (value instanceof Opaque) return value.isZero()
  return sizeOf(value) === 0
}
