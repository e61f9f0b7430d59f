import type { StreamKind } from './channels.js'

/** What a request asks of the Kubernetes API, read as the API server reads it. */
export interface RequestInfo {
  /** `get`, `list`, `watch`, `create`, …; for paths that name no resource the method in lower case, or `other`. */
  readonly verb: string
  /** The path's resource, such as `pods`; absent for other paths. */
  readonly resource?: string
  readonly subresource?: string
  /**
   * What kind of stream this is, when the API server would let it run without a time limit:
   * `watch`, `proxy`, the subresources `log`, `exec`, `attach`, `portforward`, `proxy`, or the profiles
   * below `/debug/pprof/`. (`genericfilters.BasicLongRunningRequestCheck` as kube-apiserver configures it)
   */
  readonly longRunning?: StreamKind
  /** Whether a log is asked for that goes on. */
  readonly follows?: true
}

const verbs = new Map([
  ['POST', 'create'],
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
])
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const streams: ReadonlySet<string> = new Set(['log', 'exec', 'attach', 'portforward', 'proxy'])
const isStream = (name: string | undefined): name is StreamKind =>
  name !== undefined && streams.has(name)

/** Reads method and target as `k8s.io/apiserver/pkg/endpoints/request.RequestInfoFactory` does. */
export function requestInfo(method: string, target: string): RequestInfo {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const parts = segments(path)
  const query = mark < 0 ? '' : target.slice(mark + 1)
  const api = decoded(parts[0])
  const skip = api === 'api' ? 2 : api === 'apis' ? 3 : 0
  if (skip === 0 || parts.length <= skip) {
    const verb = methods.has(method) ? method.toLowerCase() : 'other'
    return profiles.test(path) ? { verb, longRunning: 'pprof' } : { verb }
  }
  let rest = parts.slice(skip)
  if (path.includes('%')) rest = rest.map(decoded)
  let verb = verbs.get(method) ?? 'other'
  // The deprecated spelling `/api/v1/watch/pods`, `/api/v1/proxy/…`.
  const prefix = rest[0]
  if (prefix === 'watch' || prefix === 'proxy') {
    verb = prefix
    rest = rest.slice(1)
  }
  if (rest[0] === 'namespaces' && rest.length > 2 && !namespaceSubresources.has(rest[2] ?? '')) {
    rest = rest.slice(2)
  }
  const [resource, name, subresource] = rest
  if (resource === undefined) return { verb }
  if (name === undefined && verb === 'get') verb = asks(query, 'watch') ? 'watch' : 'list'
  if (name === undefined && verb === 'delete') verb = 'deletecollection'
  const longRunning =
    verb === 'watch' || verb === 'proxy' ? verb : isStream(subresource) ? subresource : undefined
  return {
    verb,
    resource,
    ...(subresource !== undefined && { subresource }),
    ...(longRunning && { longRunning }),
    ...(longRunning === 'log' && asks(query, 'follow') && { follows: true }),
  }
}

/** Without the empty ones: a slash too many says nothing. */
function segments(path: string): string[] {
  const parts = path.slice(1).split('/')
  return path.includes('//') || path.endsWith('/') ? parts.filter(part => part !== '') : parts
}

const profiles = /^\/debug\/pprof\//

const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize'])

function decoded(part: string | undefined): string {
  if (part === undefined || !part.includes('%')) return part ?? ''
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** `conversion.Convert_Slice_string_To_bool`: there and neither `false` nor `0` is true. */
function asks(query: string, name: 'watch' | 'follow'): boolean {
  if (!query.includes(name) && !query.includes('%')) return false
  const value = new URLSearchParams(query).get(name)
  return value !== null && value !== '0' && value.toLowerCase() !== 'false'
}
