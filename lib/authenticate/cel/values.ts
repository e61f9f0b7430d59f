import { EvaluationFailure, givesWay, noOverload } from './fault.js'

/** What an expression works with: JSON as it was parsed, and what CEL makes itself. */
export type Value =
  | null
  | boolean
  | string
  /** `double`: every number in JSON is one. */
  | number
  /** `int` */
  | bigint
  | readonly Value[]
  /** A map that an expression has made. */
  | ReadonlyMap<Value, Value>
  | JsonObject
  | Optional
  | TypeName
  | Uint
  | Uint8Array
  | Opaque

/** Of a token, or of the user: its names may be escaped as Kubernetes does (`a__dot__b`). */
export interface JsonObject {
  readonly [name: string]: Value
}

export class Optional {
  readonly value: Value | undefined
  constructor(value: Value | undefined) {
    this.value = value
  }
}
export const none = new Optional(undefined)

export class TypeName {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** A number of 64 bits without a sign, as `1u` is written. */
export class Uint {
  readonly value: bigint
  constructor(value: bigint) {
    this.value = value
  }
}

/** A value that is looked into by functions alone. */
export abstract class Opaque {
  abstract readonly typeName: string

  /** @throws EvaluationFailure beside a value of another type, where the API server has no answer either */
  abstract equals(other: Value): boolean

  /** As `compare`; only what is on a line has an order. */
  compareTo(_other: Value, name: string): number {
    throw noOverload(name)
  }

  /** As CEL shows it, where it does. */
  abstract toString(): string

  /** What `optional.ofNonZeroValue` asks. */
  isZero(): boolean {
    return false
  }
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)
export { isList }

export const isMap = (value: Value): value is ReadonlyMap<Value, Value> => value instanceof Map

export const isJsonObject = (value: Value): value is JsonObject =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(
    value instanceof Map ||
    value instanceof Optional ||
    value instanceof TypeName ||
    value instanceof Uint ||
    value instanceof Uint8Array ||
    value instanceof Opaque
  )

export function typeName(value: Value): string {
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'double'
  if (typeof value === 'bigint') return 'int'
  if (value === null) return 'null_type'
  if (isList(value)) return 'list'
  if (value instanceof Optional) return 'optional_type'
  if (value instanceof Uint) return 'uint'
  if (value instanceof Uint8Array) return 'bytes'
  if (value instanceof Opaque) return value.typeName
  return value instanceof TypeName ? 'type' : 'map'
}

/** `==`: values of different types differ, numbers are compared by what they are worth. */
export function equal(one: Value, other: Value): boolean {
  if (one === other) return true
  if (isNumeric(one) && isNumeric(other)) return compare(one, other, '_==_') === 0
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) {
    return one instanceof Opaque && other !== null && one.equals(other)
  }
  if (one instanceof Opaque || other instanceof Opaque) {
    return one instanceof Opaque && one.equals(other)
  }
  if (one instanceof Uint8Array || other instanceof Uint8Array) {
    return one instanceof Uint8Array && other instanceof Uint8Array && !Buffer.compare(one, other)
  }
  // A number stands beside something that is none.
  if (one instanceof Uint || other instanceof Uint) return false
  if (isList(one) || isList(other)) {
    if (!isList(one) || !isList(other) || one.length !== other.length) return false
    return one.every((item, index) => equal(item, other[index] as Value))
  }
  if (one instanceof TypeName || other instanceof TypeName) {
    return one instanceof TypeName && other instanceof TypeName && one.name === other.name
  }
  if (one instanceof Optional || other instanceof Optional) {
    if (!(one instanceof Optional) || !(other instanceof Optional)) return false
    if (one.value === undefined || other.value === undefined) return one.value === other.value
    return equal(one.value, other.value)
  }
  const mine = entriesOf(one)
  return (
    mine.length === sizeOf(other) &&
    mine.every(([key, value]) => {
      const theirs = isMap(other) ? findInMap(other, key) : ownMember(other, key)
      return theirs !== undefined && equal(value, theirs)
    })
  )
}

/** Where `==` has no answer, as between an address and a text, they are not the same. */
export function isSurely(one: Value, other: Value): boolean {
  try {
    return equal(one, other)
  } catch (error) {
    if (givesWay(error)) return false
    throw error
  }
}

const isNumeric = (value: Value): value is number | bigint | Uint =>
  typeof value === 'number' || typeof value === 'bigint' || value instanceof Uint

/** -1, 0 or 1; `undefined` beside a NaN. Strings go by code point, as their UTF-8 does. */
export function compare(one: Value, other: Value, name: string): number | undefined {
  if (one instanceof Uint) return compare(one.value, other, name)
  if (other instanceof Uint) return compare(one, other.value, name)
  if (typeof one === 'bigint' && typeof other === 'bigint') return order(one, other)
  // An integer beside a double is made one, and may be rounded: so does cel-go.
  if (isNumeric(one) && isNumeric(other)) return order(Number(one), Number(other))
  if (typeof one === 'string' && typeof other === 'string') return compareText(one, other)
  if (typeof one === 'boolean' && typeof other === 'boolean') return Number(one) - Number(other)
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other)
  if (one instanceof Opaque) return one.compareTo(other, name)
  throw noOverload(name)
}

function order<T extends number | bigint>(one: T, other: T): number | undefined {
  if (one < other) return -1
  if (one > other) return 1
  return one === other ? 0 : undefined
}

function compareText(one: string, other: string): number {
  if (one === other) return 0
  const length = Math.min(one.length, other.length)
  let at = 0
  while (at < length && one.charCodeAt(at) === other.charCodeAt(at)) at += 1
  if (at === length) return one.length < other.length ? -1 : 1
  return weight(one.charCodeAt(at)) < weight(other.charCodeAt(at)) ? -1 : 1
}

/** A surrogate stands for a code point beyond all that a single unit can say. */
const weight = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)

export function entriesOf(
  map: ReadonlyMap<Value, Value> | JsonObject,
): ReadonlyArray<readonly [Value, Value]> {
  return isMap(map) ? [...map] : Object.entries(map)
}

export function sizeOf(map: ReadonlyMap<Value, Value> | JsonObject): number {
  return isMap(map) ? map.size : Object.keys(map).length
}

function ownMember(object: JsonObject, key: Value): Value | undefined {
  return typeof key === 'string' && Object.hasOwn(object, key) ? object[key] : undefined
}

/** Keys that are numbers are kept as integers where they are whole, so that 1 and 1.0 are one key. */
export const mapKey = (key: Value): Value =>
  typeof key === 'number' && Number.isInteger(key) ? BigInt(key) : key

function findInMap(map: ReadonlyMap<Value, Value>, key: Value): Value | undefined {
  const found = map.get(mapKey(key))
  if (found !== undefined || typeof key === 'string') return found
  for (const [name, value] of map) if (equal(name, key)) return value
  return undefined
}

const reserved: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)
const escapes: Readonly<Record<string, string>> = {
  underscores: '__',
  dot: '.',
  dash: '-',
  slash: '/',
}

/** Undoes Kubernetes' escaping of names that CEL cannot say; `undefined` for an escape that there is not. */
export function unescapeName(name: string): string | undefined {
  if (!name.includes('__')) return name
  let right = true
  const plain = name.replace(/__([^_]+)__/g, (whole, inside: string) => {
    const meant = escapes[inside]
    if (meant !== undefined) return meant
    if (reserved.has(inside) && whole.length === name.length) return inside
    right = false
    return ''
  })
  return right ? plain : undefined
}

/** A member of a map; `undefined` when it has none of that name. */
export function member(map: ReadonlyMap<Value, Value> | JsonObject, key: Value): Value | undefined {
  if (isMap(map)) {
    if (typeof key === 'object' && !(key instanceof Uint)) {
      throw new EvaluationFailure(`'${typeName(key)}' is no index`)
    }
    return findInMap(map, key)
  }
  if (typeof key !== 'string') return undefined
  return ownMember(map, unescapeName(key) ?? key)
}

/** `in`: unlike a selection it takes names as they are, without undoing an escape. */
export function holdsKey(map: ReadonlyMap<Value, Value> | JsonObject, key: Value): boolean {
  return (isMap(map) ? findInMap(map, key) : ownMember(map, key)) !== undefined
}

/** What a list holds at an index; `undefined` beyond its ends. */
export function itemAt(list: readonly Value[], index: Value): Value | undefined {
  const plain = index instanceof Uint ? index.value : index
  const at = typeof plain === 'bigint' ? Number(plain) : plain
  if (typeof at !== 'number') {
    throw new EvaluationFailure(`unsupported index type '${typeName(index)}' in list`)
  }
  if (!Number.isInteger(at)) throw new EvaluationFailure('unsupported index value in list')
  return at < 0 ? undefined : list[at]
}
