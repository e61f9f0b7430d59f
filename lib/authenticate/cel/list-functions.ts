import { EvaluationFailure, noOverload } from './fault.js'
import { define, weighWhole, type Definition } from './function.js'
import { spend, type Frame } from './frame.js'
import { uint, withinInt } from './integers.js'
import { Duration } from './times.js'
import type { Type } from './types.js'
import {
  compare,
  isSurely,
  isList,
  none,
  Optional,
  sizeOf,
  typeName,
  Uint,
  type JsonObject,
  type Value,
} from './values.js'

type List = readonly Value[]

const A = { parameter: 'A' } as const
const B = { parameter: 'B' } as const
const list = (of: Type): Type => ({ list: of })
/** Types whose values stand in an order. */
export const ordered = [
  'int',
  'uint',
  'double',
  'bool',
  'string',
  'bytes',
  'timestamp',
  'duration',
] as const satisfies readonly Type[]
const summed = ['int', 'uint', 'double', 'duration'] as const satisfies readonly Type[]

/** Of CEL itself, its lists (version 3) and sets extensions, and Kubernetes' own lists library. */
export const listFunctions: readonly Definition[] = [
  define('size', [list(A)], 'int', (items: List) => BigInt(items.length)),
  define('.size', [list(A)], 'int', (items: List) => BigInt(items.length)),
  define('size', [{ map: [A, B] }], 'int', sizeOfMap),
  define('.size', [{ map: [A, B] }], 'int', sizeOfMap),

  define('.indexOf', [list(A), A], 'int', (items: List, sought: Value, frame: Frame) => {
    spend(frame, weighWhole(items))
    return BigInt(items.findIndex(item => isSurely(item, sought)))
  }),
  define('.lastIndexOf', [list(A), A], 'int', (items: List, sought: Value, frame: Frame) => {
    spend(frame, weighWhole(items))
    return BigInt(items.findLastIndex(item => isSurely(item, sought)))
  }),
  ...ordered.flatMap(type => [
    define('.isSorted', [list(type)], 'bool', isSorted),
    define('.min', [list(type)], type, (items: List) => extreme(items, 'min', -1)),
    define('.max', [list(type)], type, (items: List) => extreme(items, 'max', 1)),
    define('.sort', [list(type)], list(type), sorted),
  ]),
  ...summed.map(type => define('.sum', [list(type)], type, sum)),
  define('optional.unwrap', [list({ optional: A })], list(A), unwrapped),
  define('.unwrapOpt', [list({ optional: A })], list(A), unwrapped),

  define('.slice', [list(A), 'int', 'int'], list(A), slice),
  define('.flatten', [list(list(A))], list(A), (items: List, frame: Frame) =>
    flatten(items, 1n, frame),
  ),
  define('.flatten', [list('dyn'), 'int'], list('dyn'), flatten),
  define('.distinct', [list(A)], list(A), distinct),
  define('.reverse', [list(A)], list(A), (items: List) => items.toReversed()),
  define('.first', [list(A)], { optional: A }, (items: List) => optionalOf(items[0])),
  define('.last', [list(A)], { optional: A }, (items: List) => optionalOf(items.at(-1))),
  define('lists.range', ['int'], list('int'), (end: bigint, frame: Frame) => {
    spend(frame, Number(end))
    return Array.from({ length: Math.max(0, Number(end)) }, (_, index) => BigInt(index))
  }),

  define('sets.contains', [list(A), list(A)], 'bool', containsAll),
  define(
    'sets.equivalent',
    [list(A), list(A)],
    'bool',
    (one: List, other: List, frame: Frame) =>
      containsAll(one, other, frame) && containsAll(other, one, frame),
  ),
  define('sets.intersects', [list(A), list(A)], 'bool', (one: List, other: List, frame: Frame) => {
    spendProduct(one, other, frame)
    return other.some(sought => one.some(item => isSurely(item, sought)))
  }),
]

function sizeOfMap(map: ReadonlyMap<Value, Value> | JsonObject, frame: Frame): bigint {
  const size = sizeOf(map)
  spend(frame, size)
  return BigInt(size)
}

const optionalOf = (item: Value | undefined): Optional =>
  item === undefined ? none : new Optional(item)

function unwrapped(items: List): List {
  return items.flatMap(item => {
    if (!(item instanceof Optional)) throw new EvaluationFailure('a value is not optional')
    return item.value === undefined ? [] : [item.value]
  })
}

function isSorted(items: List): boolean {
  if (items.includes(null)) throw noOverload('isSorted')
  return items.every(
    (item, index) => index === 0 || (compare(items[index - 1] ?? null, item, 'isSorted') ?? 0) <= 0,
  )
}

function extreme(items: List, name: 'min' | 'max', sign: -1 | 1): Value {
  const [first, ...rest] = items
  if (first === undefined) throw new EvaluationFailure(`${name} called on empty list`)
  return rest.reduce((best, item) => (compare(item, best, name) === sign ? item : best), first)
}

function sorted(items: List): List {
  const [first] = items
  if (first === undefined) return items
  if (!items.every(item => typeName(item) === typeName(first))) {
    throw new EvaluationFailure('list elements must have the same type')
  }
  // One alone has to have an order, too.
  compare(first, first, 'sort')
  return items.toSorted((one, other) => compare(one, other, 'sort') ?? 0)
}

function sum(items: List): Value {
  const [first = 0n] = items
  if (!items.every(item => typeName(item) === typeName(first))) throw noOverload('sum')
  if (typeof first === 'number') return items.reduce<number>((all, item) => all + Number(item), 0)
  if (typeof first === 'bigint') return withinInt(total(items, item => item as bigint))
  if (first instanceof Uint) return uint(total(items, item => (item as Uint).value))
  if (first instanceof Duration) return new Duration(total(items, item => (item as Duration).nanos))
  throw noOverload('sum')
}

const total = (items: List, worth: (item: Value) => bigint): bigint =>
  items.reduce<bigint>((all, item) => all + worth(item), 0n)

function slice(items: List, from: bigint, to: bigint): List {
  if (from < 0n || to < 0n || from > to || to > BigInt(items.length)) {
    throw new EvaluationFailure(`cannot slice(${from}, ${to}) of a list of ${items.length}`)
  }
  return items.slice(Number(from), Number(to))
}

function flatten(items: List, depth: bigint, frame: Frame): List {
  if (depth < 0n) throw new EvaluationFailure('level must be non-negative')
  spend(frame, items.length)
  if (depth === 0n) return items
  return items.flatMap(item => (isList(item) ? flatten(item, depth - 1n, frame) : [item]))
}

function distinct(items: List, frame: Frame): List {
  spendProduct(items, items, frame)
  return items.filter((item, index) => items.findIndex(other => isSurely(other, item)) === index)
}

function containsAll(items: List, wanted: List, frame: Frame): boolean {
  spendProduct(items, wanted, frame)
  return wanted.every(sought => items.some(item => isSurely(item, sought)))
}

function spendProduct(one: List, other: List, frame: Frame): void {
  spend(frame, weighWhole(one) * Math.max(1, other.length))
}
