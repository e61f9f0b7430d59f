import { ApiError } from './api-error.js'
import { isJson, type Json } from './objects.js'

const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
] as const

/**
 * The document, patched. A strategic merge patch is taken as a merge patch that knows one list: one whose
 * items have names. That is enough for what the stand-in stores.
 * @throws 400 for a patch that does not fit, 415 for a type that is not known
 */
export function patched(document: Json, patch: unknown, type: string): Json {
  switch (type) {
    case 'application/json-patch+json':
      return steps(document, patch)
    case 'application/merge-patch+json':
      return object(merged(document, patch, false))
    case 'application/strategic-merge-patch+json':
      return object(merged(document, patch, true))
    default:
      throw ApiError.unsupportedMediaType(patchTypes)
  }
}

/** RFC 7396. */
function merged(target: unknown, patch: unknown, strategic: boolean): unknown {
  if (!isJson(patch)) return patch
  if (strategic && patch['$patch'] === 'replace') return without(patch, '$patch')
  const result: Record<string, unknown> = isJson(target) ? { ...target } : {}
  for (const [field, value] of Object.entries(patch)) {
    const directive = strategic && field.startsWith('$')
    if (directive) continue
    if (value === null) delete result[field]
    else if (strategic && Array.isArray(value)) result[field] = mergedList(result[field], value)
    else result[field] = merged(result[field], value, strategic)
  }
  return result
}

function mergedList(target: unknown, patch: readonly unknown[]): unknown[] {
  if (!Array.isArray(target) || !patch.every(named) || !target.every(named)) return [...patch]
  const result: Json[] = [...target]
  for (const item of patch) {
    const index = result.findIndex(one => one['name'] === item['name'])
    if (item['$patch'] === 'delete') {
      if (index >= 0) result.splice(index, 1)
    } else if (index < 0) result.push(item)
    else result[index] = object(merged(result[index], item, true))
  }
  return result
}

function named(item: unknown): item is Json {
  return isJson(item) && typeof item['name'] === 'string'
}

/** RFC 6902. */
function steps(document: Json, patch: unknown): Json {
  if (!Array.isArray(patch)) throw ApiError.badRequest('a JSON patch is a list of operations')
  return object(patch.reduce<unknown>(step, document))
}

function step(document: unknown, operation: unknown): unknown {
  if (!isJson(operation)) throw ApiError.badRequest('an operation of a JSON patch is an object')
  const { op, value } = operation
  const path = pointer(operation['path'])
  switch (op) {
    case 'add':
    case 'replace':
      return edited(document, path, op, value)
    case 'remove':
      return edited(document, path, op, undefined)
    case 'test':
      if (JSON.stringify(read(document, path)) === JSON.stringify(value)) return document
      throw new ApiError(
        422,
        'Invalid',
        'the server rejected our request due to an error in our request',
      )
    case 'copy':
      return edited(document, path, 'add', read(document, pointer(operation['from'])))
    case 'move': {
      const from = pointer(operation['from'])
      const moved = read(document, from)
      return edited(edited(document, from, 'remove', undefined), path, 'add', moved)
    }
    default:
      throw ApiError.badRequest(
        `unexpected kind of operation in a JSON patch: ${JSON.stringify(op)}`,
      )
  }
}

type Edit = 'add' | 'replace' | 'remove'

function edited(
  target: unknown,
  [field, ...rest]: readonly string[],
  edit: Edit,
  value: unknown,
): unknown {
  if (field === undefined) return value
  if (Array.isArray(target)) {
    const copy: unknown[] = [...target]
    const index = field === '-' ? copy.length : Number(field)
    if (!Number.isInteger(index) || index < 0 || index > copy.length) throw missing(field)
    if (rest.length > 0) copy[index] = edited(copy[index], rest, edit, value)
    else if (edit === 'add') copy.splice(index, 0, value)
    else if (edit === 'remove') copy.splice(index, 1)
    else copy[index] = value
    return copy
  }
  if (!isJson(target)) throw missing(field)
  if (!Object.hasOwn(target, field) && (edit !== 'add' || rest.length > 0)) throw missing(field)
  if (rest.length === 0 && edit === 'remove') return without(target, field)
  return { ...target, [field]: edited(target[field], rest, edit, value) }
}

function read(document: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((here, field) => {
    const found = Array.isArray(here) ? here[Number(field)] : isJson(here) ? here[field] : undefined
    if (found === undefined) throw missing(field)
    return found
  }, document)
}

/** RFC 6901. */
function pointer(path: unknown): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) {
    throw ApiError.badRequest('the path of a JSON patch is a JSON pointer')
  }
  return path
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function missing(field: string): ApiError {
  return new ApiError(
    422,
    'Invalid',
    `the patch names a path that does not exist: ${JSON.stringify(field)}`,
  )
}

function without(value: Json, field: string): Json {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== field))
}

function object(value: unknown): Json {
  if (!isJson(value)) throw ApiError.badRequest('the patch leaves no object')
  return value
}
