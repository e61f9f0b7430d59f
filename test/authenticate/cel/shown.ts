import { showDouble } from '../../../lib/authenticate/cel/conversions.js'
import { Duration, Timestamp } from '../../../lib/authenticate/cel/times.js'
import {
  isList,
  Opaque,
  Optional,
  TypeName,
  Uint,
  type Value,
} from '../../../lib/authenticate/cel/values.js'

/** Writes a value so that its type shows, as the tables of what kube-apiserver gives do. */
export function shown(value: Value): unknown {
  if (value === null || typeof value === 'boolean') return value
  // Go has a character of its own for half a pair.
  if (typeof value === 'string') return `s:${value.toWellFormed()}`
  if (typeof value === 'bigint') return `i:${value}`
  if (typeof value === 'number') return `d:${showDouble(value)}`
  if (value instanceof Uint) return `u:${value.value}`
  if (value instanceof Uint8Array) return `b:${Buffer.from(value).toString('hex')}`
  if (value instanceof Duration) return `dur:${value.nanos}`
  if (value instanceof Timestamp) return `ts:${new Timestamp(value.nanos).toString()}`
  if (value instanceof Opaque) return showOpaque(value)
  if (isList(value)) return ['list', ...value.map(shown)]
  if (value instanceof Optional) {
    return value.value === undefined ? ['none'] : ['opt', shown(value.value)]
  }
  if (value instanceof TypeName) return `type:${value.name}`
  const entries: ReadonlyArray<readonly [Value, Value]> =
    value instanceof Map ? [...value] : Object.entries(value as Record<string, Value>)
  return Object.fromEntries(
    entries.map(([key, item]) => [key === null ? '<nil>' : String(shown(key)), shown(item)]),
  )
}

/** What can be written only by looking into it is named alone. */
function showOpaque(value: Opaque): string {
  switch (value.typeName) {
    case 'kubernetes.URL':
      return 'url:'
    case 'kubernetes.Quantity':
      return 'q:'
    case 'kubernetes.NamedFormat':
      return 'format:'
    case 'kubernetes.Semver':
      return `semver:${String(value)}`
    default:
      return `${value.typeName === 'net.IP' ? 'ip' : 'cidr'}:${String(value)}`
  }
}
