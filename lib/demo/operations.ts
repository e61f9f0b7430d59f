import { admitted } from './admission.js'
import { ApiError } from './api-error.js'
import { at, textAt, type KubernetesObject } from './objects.js'
import { patched } from './patch.js'
import type { ResourceType } from './resources.js'
import { selector } from './selectors.js'
import type { Storage } from './storage.js'

export interface Operation {
  readonly verb: string
  readonly type: ResourceType
  readonly namespace: string
  readonly name: string
  readonly query: URLSearchParams
  /** Parsed; `undefined` where none was sent. */
  readonly body: unknown
  /** Media type of the body, without parameters. */
  readonly bodyType: string
}

export type Result =
  | { readonly status: number; readonly object: KubernetesObject }
  | { readonly status: number; readonly list: readonly KubernetesObject[] }
  | { readonly status: number; readonly deleted: KubernetesObject }

/**
 * Does what one request asks of stored objects.
 * @throws ApiError when it cannot be done; nothing has changed then
 */
export function operate(storage: Storage, operation: Operation): Result {
  const { verb, type, namespace, name, query, body } = operation
  const { resource } = type
  const dryRun = query.getAll('dryRun').includes('All')
  const scope = type.namespaced ? namespace : ''
  if (type.namespaced && namespace === '' && verb !== 'list') throw ApiError.methodNotAllowed()

  switch (verb) {
    case 'get':
      return { status: 200, object: storage.get(resource, scope, name) }
    case 'list':
      return { status: 200, list: storage.list(resource, scope).filter(selector(query)) }
    case 'create': {
      if (name !== '') throw ApiError.methodNotAllowed()
      if (type.namespaced) storage.get('namespaces', '', namespace)
      const draft = admitted(type, body, { namespace, name: '' })
      return { status: 201, object: storage.create(resource, scope, draft, { dryRun }) }
    }
    case 'update': {
      const { status } = storage.get(resource, scope, name)
      const draft = admitted(type, body, { namespace, name, status })
      return { status: 200, object: storage.replace(resource, scope, draft, { dryRun }) }
    }
    case 'patch': {
      const before = storage.get(resource, scope, name)
      const changed = patched(before, body, operation.bodyType)
      const draft = admitted(type, changed, { namespace, name, status: before['status'] })
      return { status: 200, object: storage.replace(resource, scope, draft, { dryRun }) }
    }
    case 'delete':
      return { status: 200, deleted: remove(storage, operation, name, dryRun) }
    case 'deletecollection': {
      const list = storage.list(resource, scope).filter(selector(query))
      for (const object of list) remove(storage, operation, object.metadata.name, dryRun)
      return { status: 200, list }
    }
    default:
      throw ApiError.methodNotAllowed()
  }
}

function remove(
  storage: Storage,
  { type, namespace, body }: Operation,
  name: string,
  dryRun: boolean,
): KubernetesObject {
  const { resource } = type
  const found = storage.get(resource, type.namespaced ? namespace : '', name)
  const uid = textAt(body, 'preconditions', 'uid')
  if (uid !== '' && uid !== found.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${found.metadata.uid}`
    throw ApiError.conflict(resource, name, why)
  }
  const reach = at(body, 'dryRun')
  const only = dryRun || (Array.isArray(reach) && reach.includes('All'))
  if (resource === 'namespaces' && !only) empty(storage, name)
  return storage.remove(resource, type.namespaced ? namespace : '', name, { dryRun: only })
}

/** What stands in a namespace goes with it. */
function empty(storage: Storage, namespace: string): void {
  for (const resource of ['pods', 'services', 'configmaps', 'secrets', 'events']) {
    for (const { metadata } of storage.list(resource, namespace)) {
      storage.remove(resource, namespace, metadata.name)
    }
  }
}
