import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { ApiError } from './api-error.js'
import type { KubernetesObject } from './objects.js'

export interface Change {
  /** The plural of what changed, such as `pods`. */
  readonly resource: string
  readonly revision: number
  /** What is there now; absent when it was deleted. */
  readonly now?: KubernetesObject
  /** What was there; absent when it was created. */
  readonly before?: KubernetesObject
}

/** An object on its way in: what the API fills in may still be missing. */
export interface Draft {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string }
  readonly [field: string]: unknown
}

export interface Storage {
  readonly revision: number
  find(resource: string, namespace: string, name: string): KubernetesObject | undefined
  /** @throws 404 */
  get(resource: string, namespace: string, name: string): KubernetesObject
  /** By namespace and name; of all namespaces when `namespace` is empty. */
  list(resource: string, namespace: string): KubernetesObject[]
  /** @throws 409 when the name is taken */
  create(resource: string, namespace: string, draft: Draft, options?: Write): KubernetesObject
  /** @throws 404; 409 when the draft names another resource version than the stored one */
  replace(resource: string, namespace: string, draft: Draft, options?: Write): KubernetesObject
  /** @throws 404 */
  remove(resource: string, namespace: string, name: string, options?: Write): KubernetesObject
  /** What happened after that revision; `undefined` when that is no longer remembered. */
  since(revision: number): readonly Change[] | undefined
  subscribe(listener: (change: Change) => void): () => void
}

interface Write {
  /** Everything is checked, nothing is stored. */
  readonly dryRun?: boolean
  /** When it came to be, of a new object. @default now */
  readonly createdAt?: number
}

const remembered = 1_000

/** Objects in memory, with the revisions and the history that watches need. */
export function createStorage(now: () => number): Storage {
  const objects = new Map<string, KubernetesObject>()
  const listeners = new Set<(change: Change) => void>()
  let history: Change[] = []
  let revision = 1_000
  let forgotten = revision

  const commit = (change: Omit<Change, 'revision'>): void => {
    const made = { ...change, revision }
    history.push(made)
    if (history.length > 2 * remembered) {
      history = history.slice(-remembered)
      forgotten = (history[0]?.revision ?? 1) - 1
    }
    for (const listener of listeners) listener(made)
  }

  const find: Storage['find'] = (resource, namespace, name) =>
    objects.get(keyOf(resource, namespace, name))

  const get: Storage['get'] = (resource, namespace, name) => {
    const found = find(resource, namespace, name)
    if (found === undefined) throw ApiError.notFound(resource, name)
    return found
  }

  return {
    get revision() {
      return revision
    },
    find,
    get,
    list: (resource, namespace) => {
      const prefix = namespace === '' ? `${resource}/` : `${resource}/${namespace}/`
      return [...objects.entries()]
        .filter(([key]) => key.startsWith(prefix))
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([, object]) => object)
    },
    create: (resource, namespace, draft, options = {}) => {
      const { name } = draft.metadata
      if (find(resource, namespace, name)) throw ApiError.alreadyExists(resource, name)
      const created: KubernetesObject = {
        ...draft,
        metadata: {
          ...draft.metadata,
          ...(namespace !== '' && { namespace }),
          uid: randomUUID(),
          resourceVersion: String(revision + 1),
          creationTimestamp: timestamp(options.createdAt ?? now()),
        },
      }
      if (options.dryRun === true) return created
      revision += 1
      objects.set(keyOf(resource, namespace, name), created)
      commit({ resource, now: created })
      return created
    },
    replace: (resource, namespace, draft, options = {}) => {
      const { name, resourceVersion, uid } = draft.metadata
      const before = get(resource, namespace, name)
      if (uid !== undefined && uid !== '' && uid !== before.metadata.uid) {
        const why = `Precondition failed: UID in precondition: ${JSON.stringify(uid)}, UID in object meta: ${before.metadata.uid}`
        throw ApiError.conflict(resource, name, why)
      }
      const expected = resourceVersion ?? ''
      if (expected !== '' && expected !== before.metadata.resourceVersion) {
        const why =
          'the object has been modified; please apply your changes to the latest version and try again'
        throw ApiError.conflict(resource, name, why)
      }
      const { uid: own, creationTimestamp } = before.metadata
      const metadata = {
        ...draft.metadata,
        ...(namespace !== '' && { namespace }),
        uid: own,
        creationTimestamp,
        resourceVersion: before.metadata.resourceVersion,
      }
      const unchanged: KubernetesObject = { ...draft, metadata }
      // Kubernetes writes nothing, and wakes no watch, when nothing changes.
      if (isDeepStrictEqual(unchanged, before)) return before
      const changed = {
        ...unchanged,
        metadata: { ...metadata, resourceVersion: String(revision + 1) },
      }
      if (options.dryRun === true) return changed
      revision += 1
      objects.set(keyOf(resource, namespace, name), changed)
      commit({ resource, now: changed, before })
      return changed
    },
    remove: (resource, namespace, name, options = {}) => {
      const before = get(resource, namespace, name)
      if (options.dryRun === true) return before
      revision += 1
      objects.delete(keyOf(resource, namespace, name))
      commit({ resource, before })
      return before
    },
    since: after =>
      after < forgotten ? undefined : history.filter(change => change.revision > after),
    subscribe: listener => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}

/** RFC 3339 to the second, as Kubernetes writes times. */
export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

function keyOf(resource: string, namespace: string, name: string): string {
  return `${resource}/${namespace}/${name}`
}
