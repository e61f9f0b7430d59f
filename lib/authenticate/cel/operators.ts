import { EvaluationFailure } from './fault.js'
import { define, weighWhole, type Definition } from './function.js'
import { spend, type Frame } from './frame.js'
import { withinInt } from './list-functions.js'
import type { Type } from './types.js'
import { compare, equal, holdsKey, type JsonObject, type Value } from './values.js'

const A = { parameter: 'A' } as const
const B = { parameter: 'B' } as const
const listOfA = { list: A } as const

function divided(one: bigint, other: bigint): bigint {
  if (other === 0n) throw new EvaluationFailure('division by zero')
  return withinInt(one / other)
}

function modulo(one: bigint, other: bigint): bigint {
  if (other === 0n) throw new EvaluationFailure('modulus by zero')
  return one % other
}

const comparisons = {
  '_<_': (order: number) => order < 0,
  '_<=_': (order: number) => order <= 0,
  '_>_': (order: number) => order > 0,
  '_>=_': (order: number) => order >= 0,
} as const

const ordered: ReadonlyArray<readonly [Type, Type]> = [
  ['bool', 'bool'],
  ['int', 'int'],
  ['double', 'double'],
  ['string', 'string'],
  ['int', 'double'],
  ['double', 'int'],
]

function isEqual(one: Value, other: Value, frame: Frame): boolean {
  // The larger one: to know what it weighs it has been walked through.
  spend(frame, Math.max(weighWhole(one), weighWhole(other)))
  return equal(one, other)
}

/** All but `&&`, `||` and `?:`, which do not take their operands as they are. */
export const operators: readonly Definition[] = [
  define('_+_', ['int', 'int'], 'int', (one: bigint, other: bigint) => withinInt(one + other)),
  define('_+_', ['double', 'double'], 'double', (one: number, other: number) => one + other),
  define('_+_', ['string', 'string'], 'string', (one: string, other: string) => one + other),
  define('_+_', [listOfA, listOfA], listOfA, (one: readonly Value[], other: readonly Value[]) => [
    ...one,
    ...other,
  ]),
  define('_-_', ['int', 'int'], 'int', (one: bigint, other: bigint) => withinInt(one - other)),
  define('_-_', ['double', 'double'], 'double', (one: number, other: number) => one - other),
  define('_*_', ['int', 'int'], 'int', (one: bigint, other: bigint) => withinInt(one * other)),
  define('_*_', ['double', 'double'], 'double', (one: number, other: number) => one * other),
  define('_/_', ['int', 'int'], 'int', divided),
  define('_/_', ['double', 'double'], 'double', (one: number, other: number) => one / other),
  define('_%_', ['int', 'int'], 'int', modulo),
  define('-_', ['int'], 'int', (value: bigint) => withinInt(-value)),
  define('-_', ['double'], 'double', (value: number) => -value),
  define('!_', ['bool'], 'bool', (value: boolean) => !value),
  define('_==_', [A, A], 'bool', isEqual),
  define(
    '_!=_',
    [A, A],
    'bool',
    (one: Value, other: Value, frame: Frame) => !isEqual(one, other, frame),
  ),
  ...Object.entries(comparisons).flatMap(([name, holds]) =>
    ordered.map(([left, right]) =>
      define(name, [left, right], 'bool', (one: Value, other: Value) => {
        const order = compare(one, other, name)
        return order !== undefined && holds(order)
      }),
    ),
  ),
  define('_in_', [A, listOfA], 'bool', (sought: Value, list: readonly Value[], frame: Frame) => {
    spend(frame, weighWhole(list))
    return list.some(item => equal(item, sought))
  }),
  define(
    '_in_',
    [A, { map: [A, B] }],
    'bool',
    (key: Value, map: JsonObject | ReadonlyMap<Value, Value>) => holdsKey(map, key),
  ),
]
