import { showDouble, textOfBytes } from './conversions.js'
import { EvaluationFailure, Uncompilable } from './fault.js'
import { define, type Definition } from './function.js'
import { groupedDecimal, plainDecimal, scientific } from './decimals.js'
import { quoted, quotedVisibly } from './quoted.js'
import { Duration, Timestamp } from './times.js'
import { showType, type Type } from './types.js'
import {
  entriesOf,
  isJsonObject,
  isList,
  isMap,
  typeName,
  TypeName,
  Uint,
  type Value,
} from './values.js'

/** `%s` and the like of CEL's strings extension, version 2, as it writes in English. */
interface Clause {
  /** Names of the types that it takes; a text is looked into by `%f` and `%e`. */
  readonly takes: readonly string[]
  readonly show: (value: Value, precision: number) => string
}

type Part =
  string | { readonly letter: string; readonly clause: Clause; readonly precision: number }

const whole = ['int', 'uint']
const shownAsText = [
  ...whole,
  'string bool double bytes null_type list map type google.protobuf.Timestamp google.protobuf.Duration'.split(
    ' ',
  ),
].flat()

const inBase = (base: number) => (value: Value) => integerOf(value).toString(base)

const clauses: Readonly<Record<string, Clause>> = {
  s: { takes: shownAsText, show: showText },
  d: { takes: whole, show: inBase(10) },
  o: { takes: whole, show: inBase(8) },
  b: {
    takes: [...whole, 'bool'],
    show: value => (typeof value === 'boolean' ? String(Number(value)) : inBase(2)(value)),
  },
  x: { takes: [...whole, 'string', 'bytes'], show: showHex },
  X: {
    takes: [...whole, 'string', 'bytes'],
    show: value => showHex(value).toUpperCase(),
  },
  f: {
    takes: ['double', 'string'],
    show: (value, digits) => groupedDecimal(doubleOf(value), digits),
  },
  e: { takes: ['double', 'string'], show: (value, width) => scientific(doubleOf(value), width) },
}

const longestPrecision = 1_000
const usualPrecision = 6

export const textFormatFunctions: readonly Definition[] = [
  define('.format', ['string', { list: 'dyn' }], 'string', format),
  define('strings.quote', ['string'], 'string', quoted),
]

function format(template: string, args: readonly Value[]): string {
  const parts = parseTemplate(template)
  let next = 0
  let text = ''
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const arg = args[next]
    if (arg === undefined) throw new EvaluationFailure(`index ${next} out of range`)
    next += 1
    if (!part.clause.takes.includes(typeName(arg))) throw unshowable(part.letter, typeName(arg))
    text += part.clause.show(arg, part.precision)
  }
  return text
}

/** A template and arguments that are both literals are held against each other before there are values. */
export function checkFormat(
  template: string,
  args: ReadonlyArray<{ readonly at: number; readonly shape: Shape }>,
  at: number,
): void {
  let parts: readonly Part[]
  try {
    parts = parseTemplate(template)
  } catch (error) {
    if (error instanceof EvaluationFailure) throw new Uncompilable(at, error.message)
    throw error
  }
  const asked = parts.filter(part => typeof part !== 'string')
  for (const [index, { letter, clause }] of asked.entries()) {
    const arg = args[index]
    if (arg === undefined) throw new Uncompilable(at, `format() has no argument ${index + 1}`)
    const fault = clause === clauses['s'] ? firstUnshowable(arg.shape) : mismatch(clause, arg.shape)
    if (fault !== undefined) throw new Uncompilable(arg.at, unshowable(letter, fault).message)
  }
  if (args.length > asked.length) {
    throw new Uncompilable(at, `format() asks for ${asked.length} arguments, not ${args.length}`)
  }
}

/** The type of an argument, and where it is a literal those of its elements. */
export interface Shape {
  readonly type: Type
  readonly within: readonly Shape[]
}

function mismatch({ takes }: Clause, { type }: Shape): string | undefined {
  if (type === 'dyn' || type === 'none') return undefined
  const name = runtimeName(type)
  return takes.includes(name) ? undefined : name
}

function firstUnshowable(shape: Shape): string | undefined {
  const own = mismatch({ takes: shownAsText, show: showText }, shape)
  if (own !== undefined) return own
  for (const element of shape.within) {
    const fault = firstUnshowable(element)
    if (fault !== undefined) return fault
  }
  return undefined
}

function runtimeName(type: Type): string {
  if (typeof type === 'object') {
    if ('list' in type) return 'list'
    return 'map' in type ? 'map' : showType(type)
  }
  if (type === 'timestamp') return 'google.protobuf.Timestamp'
  return type === 'duration' ? 'google.protobuf.Duration' : type
}

function unshowable(letter: string, name: string): EvaluationFailure {
  const hint = name === 'any' ? 'a claim as it stands: write string(…) or dyn(…) around it' : name
  return new EvaluationFailure(`%${letter} cannot show ${hint}`)
}

/** @throws EvaluationFailure for what is no template */
function parseTemplate(template: string): readonly Part[] {
  const parts: Part[] = []
  const piece = /[^%]+|%%|%(?:\.(\d*))?([\s\S]?)/gu
  for (const [text, digits, letter] of template.matchAll(piece)) {
    if (letter === undefined) {
      parts.push(text === '%%' ? '%' : text)
      continue
    }
    const clause = Object.hasOwn(clauses, letter) ? clauses[letter] : undefined
    const precision = digits === undefined ? usualPrecision : Number(digits)
    if (clause === undefined || digits === '' || precision > longestPrecision) {
      throw new EvaluationFailure(`“${text}” is nothing that format() knows`)
    }
    parts.push({ letter, clause, precision })
  }
  return parts
}

function integerOf(value: Value): bigint {
  return value instanceof Uint ? value.value : (value as bigint)
}

const spelled: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Infinity,
  '-Infinity': -Infinity,
}

function doubleOf(value: Value): number {
  if (typeof value === 'number') return value
  const meant = typeof value === 'string' ? spelled[value] : undefined
  if (meant === undefined) throw unshowable('f', typeName(value))
  return meant
}

function showHex(value: Value): string {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').toString('hex')
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return integerOf(value).toString(16)
}

/** As it stands alone. */
function showText(value: Value): string {
  if (typeof value === 'string') return value
  if (value === null) return 'null'
  if (typeof value === 'number') return showDouble(value)
  if (value instanceof Uint8Array) return textOfBytes(value)
  if (value instanceof Timestamp || value instanceof Duration) return value.toString()
  return showInside(value)
}

/** As it stands in a list or map: as it would be written in CEL. */
function showInside(value: Value): string {
  if (typeof value === 'string') return quotedVisibly(value)
  if (value instanceof Uint8Array) return `b${quotedVisibly(textOfBytes(value))}`
  if (typeof value === 'number') {
    return Number.isFinite(value) ? plainDecimal(value, usualPrecision) : `"${showDouble(value)}"`
  }
  if (value instanceof Timestamp) return `timestamp("${value.toString()}")`
  if (value instanceof Duration) return `duration("${value.toString()}")`
  if (value instanceof TypeName) return value.name
  if (isList(value)) return `[${value.map(showInside).join(', ')}]`
  if (isMap(value) || isJsonObject(value)) return showMap(value)
  if (typeof value === 'boolean' || value === null) return String(value)
  if (typeof value === 'bigint' || value instanceof Uint) return String(integerOf(value))
  throw unshowable('s', typeName(value))
}

function showMap(map: Parameters<typeof entriesOf>[0]): string {
  const entries = entriesOf(map).map(([key, value]) => {
    if (!['string', 'bool', 'int', 'uint'].includes(typeName(key))) {
      throw unshowable('s', `a map by ${typeName(key)}`)
    }
    return [showInside(key), showInside(value)] as const
  })
  const sorted = entries.toSorted(([one], [other]) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other)),
  )
  return `{${sorted.map(([key, value]) => `${key}:${value}`).join(', ')}}`
}
