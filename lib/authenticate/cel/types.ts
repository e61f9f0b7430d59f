/**
 * What is known of a value before there is one. `any` is a claim: like `dyn`, except that CEL does not
 * range over it. `none` is the element of an empty literal, and gives way to every other type.
 */
export type Type =
  | 'any'
  | 'dyn'
  | 'none'
  | 'bool'
  | 'int'
  | 'double'
  | 'string'
  | 'null_type'
  | 'type'
  | 'uint'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  | OpaqueType
  | 'claims'
  | 'user'
  | { readonly list: Type }
  | { readonly map: readonly [key: Type, value: Type] }
  | { readonly optional: Type }
  /** In signatures alone. */
  | { readonly parameter: string }

/** Types of Kubernetes' own libraries, under the names that they have there. */
export type OpaqueType =
  | 'kubernetes.URL'
  | 'net.IP'
  | 'net.CIDR'
  | 'kubernetes.Quantity'
  | 'kubernetes.Semver'
  | 'kubernetes.NamedFormat'

export type Bindings = Map<string, Type>

/** The parameters of a function, a receiver first, and what it gives. */
export interface Overload {
  readonly takes: readonly Type[]
  readonly gives: Type
}

export const isDynamic = (type: Type): type is 'any' | 'dyn' => type === 'any' || type === 'dyn'

export function showType(type: Type): string {
  if (typeof type === 'string') return names[type] ?? type
  if ('list' in type) return `list(${showType(type.list)})`
  if ('map' in type) return `map(${type.map.map(showType).join(', ')})`
  if ('optional' in type) return `optional_type(${showType(type.optional)})`
  return type.parameter
}

const names: Readonly<Record<string, string>> = {
  none: 'dyn',
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
  claims: 'map(string, any)',
  user: 'kubernetes.UserInfo',
}

function sameType(one: Type, other: Type): boolean {
  return showType(one) === showType(other)
}

/** Whether two elements of a literal are of one type, as far as that is known: of an empty list it is not. */
export function alike(one: Type, other: Type): boolean {
  if (one === 'none' || other === 'none') return true
  if (typeof one === 'string' || typeof other === 'string') return one === other
  if ('list' in one && 'list' in other) return alike(one.list, other.list)
  if ('optional' in one && 'optional' in other) return alike(one.optional, other.optional)
  if ('map' in one && 'map' in other) {
    return alike(one.map[0], other.map[0]) && alike(one.map[1], other.map[1])
  }
  return false
}

/** Whether a value of `actual` may stand where `formal` is asked for; binds the parameters in `formal`. */
export function assignable(formal: Type, actual: Type, bound: Bindings): boolean {
  if (typeof formal === 'object' && 'parameter' in formal) {
    const before = bound.get(formal.parameter)
    if (before === undefined) {
      bound.set(formal.parameter, actual)
      return true
    }
    const joined = join(before, actual)
    if (joined === undefined) return false
    bound.set(formal.parameter, joined)
    return true
  }
  if ([formal, actual].some(type => isDynamic(type) || type === 'none')) return true
  if (actual === 'null_type') return isNullable(formal)
  if (formal === 'null_type') return isNullable(actual)
  if (typeof formal === 'string' || typeof actual === 'string') return formal === actual
  if ('list' in formal) return 'list' in actual && assignable(formal.list, actual.list, bound)
  if ('optional' in formal) {
    return 'optional' in actual && assignable(formal.optional, actual.optional, bound)
  }
  if ('map' in formal) {
    return (
      'map' in actual &&
      assignable(formal.map[0], actual.map[0], bound) &&
      assignable(formal.map[1], actual.map[1], bound)
    )
  }
  return false
}

/** Where null may stand too, as CEL has it for all that is neither a number nor a text nor made of parts. */
function isNullable(type: Type): boolean {
  if (typeof type === 'object') return 'optional' in type
  return type === 'null_type' || nullable.has(type)
}

const nullable: ReadonlySet<string> = new Set([
  'timestamp',
  'duration',
  'kubernetes.URL',
  'net.IP',
  'net.CIDR',
  'kubernetes.Quantity',
  'kubernetes.Semver',
  'kubernetes.NamedFormat',
])

/** The more general of two types; `undefined` when neither is. */
export function join(one: Type, other: Type): Type | undefined {
  if (one === 'none') return other
  if (other === 'none') return one
  // Of two that are open the later one counts, as in cel-go.
  if (isDynamic(other)) return other
  if (isDynamic(one)) return one
  if (one === 'null_type' || other === 'null_type') {
    return isNullable(one) && isNullable(other) ? other : undefined
  }
  if (typeof one === 'string' || typeof other === 'string') return one === other ? one : undefined
  if ('list' in one && 'list' in other) {
    const list = join(one.list, other.list)
    return list === undefined ? undefined : { list }
  }
  if ('optional' in one && 'optional' in other) {
    const optional = join(one.optional, other.optional)
    return optional === undefined ? undefined : { optional }
  }
  if ('map' in one && 'map' in other) {
    const key = join(one.map[0], other.map[0])
    const value = join(one.map[1], other.map[1])
    return key === undefined || value === undefined ? undefined : { map: [key, value] }
  }
  return undefined
}

function substitute(type: Type, bound: Bindings): Type {
  if (typeof type === 'string') return type
  if ('parameter' in type) return bound.get(type.parameter) ?? 'dyn'
  if ('list' in type) return { list: substitute(type.list, bound) }
  if ('optional' in type) return { optional: substitute(type.optional, bound) }
  return { map: [substitute(type.map[0], bound), substitute(type.map[1], bound)] }
}

/**
 * What a call gives, of all overloads that could be meant; `dyn` where they disagree, `undefined` where
 * there is none.
 */
export function resolveOverloads(
  overloads: readonly Overload[],
  actual: readonly Type[],
): Type | undefined {
  let result: Type | undefined
  for (const { takes, gives } of overloads) {
    if (takes.length !== actual.length) continue
    const bound: Bindings = new Map()
    if (!takes.every((formal, index) => assignable(formal, actual[index] ?? 'dyn', bound))) continue
    const given = substitute(gives, bound)
    result = result === undefined || sameType(result, given) ? given : 'dyn'
  }
  return result
}
