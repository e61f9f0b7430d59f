import { noOverload } from './fault.js'
import { spend, type Frame } from './frame.js'
import { resolveOverloads, type Overload, type Type } from './types.js'
import {
  isJsonObject,
  isList,
  isMap,
  Opaque,
  Optional,
  sizeOf,
  TypeName,
  Uint,
  type Value,
} from './values.js'

/** One overload with what it does, once its arguments are known to be of its types. */
export interface Definition extends Overload {
  /** A method's begins with a dot. */
  readonly name: string
  readonly does: (...args: never[]) => Value
}

/** A function or method with all its overloads. */
export interface Callable {
  readonly name: string
  resolve(actual: readonly Type[]): Type | undefined
  /** @throws EvaluationFailure when no overload takes these values, and what the one that does throws */
  call(args: readonly Value[], frame: Frame): Value
}

/**
 * @param does may take the frame after its arguments, to spend more than the going rate: one unit, and one for
 *   every item of a list and ten characters of a text that go in or come out
 */
export const define = (
  name: string,
  takes: readonly Type[],
  gives: Type,
  does: Definition['does'],
): Definition => ({ name, takes, gives, does })

/** The methods of a type of Kubernetes' whose values have an order: `compareTo`, `isGreaterThan`, `isLessThan`. */
export const ordered = <T>(
  type: Type,
  compare: (one: T, other: T) => number,
): readonly Definition[] => [
  define('.compareTo', [type, type], 'int', (one: T, other: T) => BigInt(compare(one, other))),
  define('.isGreaterThan', [type, type], 'bool', (one: T, other: T) => compare(one, other) > 0),
  define('.isLessThan', [type, type], 'bool', (one: T, other: T) => compare(one, other) < 0),
]

export function callables(definitions: readonly Definition[]): ReadonlyMap<string, Callable> {
  const byName = new Map<string, Definition[]>()
  for (const definition of definitions) {
    const others = byName.get(definition.name)
    if (others === undefined) byName.set(definition.name, [definition])
    else others.push(definition)
  }
  return new Map([...byName].map(([name, overloads]) => [name, callable(name, overloads)]))
}

function callable(name: string, overloads: readonly Definition[]): Callable {
  return {
    name,
    resolve: actual => resolveOverloads(overloads, actual),
    call: (args, frame) => {
      for (const { takes, does } of overloads) {
        if (takes.length !== args.length) continue
        if (!takes.every((type, index) => holds(type, args[index] ?? null))) continue
        spend(frame, weigh(args))
        // The arguments have just been held against the types that `does` was defined with.
        const result = (does as (...args: readonly unknown[]) => Value)(...args, frame)
        spend(frame, weighOne(result))
        return result
      }
      throw noOverload(name.startsWith('.') ? name.slice(1) : name)
    },
  }
}

function holds(type: Type, value: Value): boolean {
  if (typeof type === 'object') {
    if ('parameter' in type) return true
    if ('list' in type) {
      return isList(value) && (type.list !== 'string' || value.every(isText))
    }
    if ('optional' in type) return value instanceof Optional
    return isMap(value) || isJsonObject(value)
  }
  const ofType = primitives[type]
  return ofType === undefined || ofType(value)
}

const opaqueTypes = {
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
  'kubernetes.URL': 'kubernetes.URL',
  'net.IP': 'net.IP',
  'net.CIDR': 'net.CIDR',
  'kubernetes.Quantity': 'kubernetes.Quantity',
  'kubernetes.Semver': 'kubernetes.Semver',
  'kubernetes.NamedFormat': 'kubernetes.NamedFormat',
} as const

const primitives: Readonly<Record<string, (value: Value) => boolean>> = {
  bool: value => typeof value === 'boolean',
  string: value => typeof value === 'string',
  int: value => typeof value === 'bigint',
  double: value => typeof value === 'number',
  null_type: value => value === null,
  type: value => value instanceof TypeName,
  uint: value => value instanceof Uint,
  bytes: value => value instanceof Uint8Array,
  ...Object.fromEntries(
    Object.entries(opaqueTypes).map(([type, name]) => [
      type,
      (value: Value) => value instanceof Opaque && value.typeName === name,
    ]),
  ),
}

const isText = (value: Value): boolean => typeof value === 'string'

const weigh = (args: readonly Value[]): number =>
  args.reduce<number>((sum, arg) => sum + weighOne(arg), 1)

function weighOne(value: Value): number {
  if (typeof value === 'string') return Math.ceil(value.length / 10)
  if (value instanceof Uint8Array) return Math.ceil(value.length / 10)
  return isList(value) ? value.length : 0
}

/** How much there is in a value, all the way down. */
export function weighWhole(value: Value): number {
  if (isList(value)) return value.reduce<number>((sum, item) => sum + weighWhole(item), 1)
  if (isMap(value))
    return [...value.values()].reduce<number>((sum, item) => sum + weighWhole(item), 1)
  if (isJsonObject(value)) {
    return Object.values(value).reduce<number>((sum, item) => sum + weighWhole(item), sizeOf(value))
  }
  return weighOne(value) + 1
}
