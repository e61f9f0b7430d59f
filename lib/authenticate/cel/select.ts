import { EvaluationFailure } from './fault.js'
import {
  isJsonObject,
  isList,
  isMap,
  itemAt,
  member,
  none,
  Optional,
  type Value,
} from './values.js'

/*
 * How CEL finds a part of a value. What is not there is an error; asked for with `?`, an empty optional. A part
 * of an optional is an optional, whether it is asked for with `?` or not. A value without parts has none; a list
 * has no names, and to ask for one is always an error.
 */

/** @throws EvaluationFailure */
export function findMember(value: Value, name: string): Value {
  if (value instanceof Optional) return findMemberOptional(value, name)
  return found(value, name)
}

/** @throws EvaluationFailure */
export function findMemberOptional(value: Value, name: string): Value {
  return findIndexOptional(value, name)
}

/** @throws EvaluationFailure */
export function findIndex(value: Value, key: Value): Value {
  if (value instanceof Optional) return findIndexOptional(value, key)
  return found(value, key)
}

/** @throws EvaluationFailure */
export function findIndexOptional(value: Value, key: Value): Value {
  const inner = value instanceof Optional ? value.value : value
  if (inner === undefined) return none
  if (inner instanceof Optional) return findIndexOptional(inner, key)
  const found = lookUp(inner, key)
  return found === undefined ? none : new Optional(found)
}

/** What `has()` says. @throws EvaluationFailure */
export function holdsMember(value: Value, name: string): boolean {
  const inner = value instanceof Optional ? value.value : value
  return inner !== undefined && lookUp(inner, name) !== undefined
}

/** Null is a value like others. */
function found(value: Value, key: Value): Value {
  const part = lookUp(value, key)
  return part === undefined ? missing(value, key) : part
}

function lookUp(value: Value, key: Value): Value | undefined {
  if (isList(value)) return itemAt(value, key)
  return isMap(value) || isJsonObject(value) ? member(value, key) : undefined
}

function missing(value: Value, key: Value): never {
  const shown = typeof key === 'object' ? 'of that kind' : String(key).slice(0, 100)
  throw new EvaluationFailure(
    isList(value) ? `index out of bounds: ${shown}` : `no such key: ${shown}`,
  )
}
