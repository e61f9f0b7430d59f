import { ApiError } from './api-error.js'

/** What a request asks of the stand-in. */
export interface Target {
  /** As received, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** `get`, `list`, `watch`, `create`, …; for paths that name no resource the method in lower case. */
  readonly verb: string
  /** Absent for paths that name no resource. */
  readonly resource?: ResourcePath
}

export interface ResourcePath {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  /** The plural, such as `pods`. */
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

const verbs: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

/** Reads method and request target as kube-apiserver does. */
export function readTarget(method: string, target: string): Target {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
  const [root, ...parts] = path
    .split('/')
    .filter(part => part !== '')
    .map(decoded)
  const group = root === 'apis' ? parts.shift() : root === 'api' ? '' : undefined
  const version = parts.shift()
  if (group === undefined || version === undefined || parts.length === 0) {
    return { path, query, verb: method.toLowerCase() }
  }

  let namespace = ''
  if (parts[0] === 'namespaces' && parts[1] !== undefined) {
    namespace = parts[1]
    const own = parts[2] === undefined || parts[2] === 'status' || parts[2] === 'finalize'
    if (!own) parts.splice(0, 2)
  }
  const [resource = '', name = '', ...rest] = parts
  let verb = verbs[method] ?? method.toLowerCase()
  if (name === '' && verb === 'get') verb = truthy(query.get('watch')) ? 'watch' : 'list'
  if (name === '' && verb === 'delete') verb = 'deletecollection'
  const subresource = rest.join('/')
  return {
    path,
    query,
    verb,
    resource: { group, version, resource, subresource, namespace, name },
  }
}

/** A boolean of a query: there and neither `false` nor `0` is true. */
export function truthy(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false'
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw ApiError.badRequest('the request path is malformed')
  }
}
