import { EvaluationFailure } from './fault.js'
import { define, weighWhole, type Definition } from './function.js'
import { spend, type Frame } from './frame.js'
import { uint, withinInt } from './integers.js'
import type { Type } from './types.js'
import {
  compare,
  equal,
  holdsKey,
  isSurely,
  type JsonObject,
  type Uint,
  type Value,
} from './values.js'

const A = { parameter: 'A' } as const
const B = { parameter: 'B' } as const
const listOfA = { list: A } as const

function divided(one: bigint, other: bigint): bigint {
  if (other === 0n) throw new EvaluationFailure('division by zero')
  return one / other
}

function modulo(one: bigint, other: bigint): bigint {
  if (other === 0n) throw new EvaluationFailure('modulus by zero')
  // What would be left of the least integer is nothing; cel-go divides first.
  if (other === -1n) withinInt(-one)
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
  ['uint', 'uint'],
  ['uint', 'int'],
  ['int', 'uint'],
  ['uint', 'double'],
  ['double', 'uint'],
  ['bytes', 'bytes'],
  ['timestamp', 'timestamp'],
  ['duration', 'duration'],
]

const ofUints = (name: string, does: (one: bigint, other: bigint) => bigint): Definition =>
  define(name, ['uint', 'uint'], 'uint', ({ value: one }: Uint, { value: other }: Uint) =>
    uint(does(one, other)),
  )

function isEqual(one: Value, other: Value, frame: Frame): boolean {
  // The larger one: to know what it weighs it has been walked through.
  spend(frame, Math.max(weighWhole(one), weighWhole(other)))
  return equal(one, other)
}

function differs(one: Value, other: Value, frame: Frame): boolean {
  spend(frame, Math.max(weighWhole(one), weighWhole(other)))
  return !isSurely(one, other)
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
  define('_/_', ['int', 'int'], 'int', (one: bigint, other: bigint) =>
    withinInt(divided(one, other)),
  ),
  define('_/_', ['double', 'double'], 'double', (one: number, other: number) => one / other),
  define('_%_', ['int', 'int'], 'int', modulo),
  ofUints('_+_', (one, other) => one + other),
  ofUints('_-_', (one, other) => one - other),
  ofUints('_*_', (one, other) => one * other),
  ofUints('_/_', divided),
  ofUints('_%_', modulo),
  define('_+_', ['bytes', 'bytes'], 'bytes', (one: Uint8Array, other: Uint8Array) =>
    Buffer.concat([one, other]),
  ),
  define('-_', ['int'], 'int', (value: bigint) => withinInt(-value)),
  define('-_', ['double'], 'double', (value: number) => -value),
  define('!_', ['bool'], 'bool', (value: boolean) => !value),
  define('_==_', [A, A], 'bool', isEqual),
  define('_!=_', [A, A], 'bool', differs),
  ...Object.entries(comparisons).flatMap(([name, holds]) =>
    ordered.map(([left, right]) =>
      define(name, [left, right], 'bool', (one: Value, other: Value) => {
        const order = compare(one, other, name)
        if (order === undefined) throw new EvaluationFailure('NaN values cannot be ordered')
        return holds(order)
      }),
    ),
  ),
  define('_in_', [A, listOfA], 'bool', (sought: Value, list: readonly Value[], frame: Frame) => {
    spend(frame, weighWhole(list))
    return list.some(item => isSurely(sought, item))
  }),
  define(
    '_in_',
    [A, { map: [A, B] }],
    'bool',
    (key: Value, map: JsonObject | ReadonlyMap<Value, Value>) => holdsKey(map, key),
  ),
]
