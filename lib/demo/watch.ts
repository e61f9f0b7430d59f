import type { ServerResponse } from 'node:http'
import { ApiError } from './api-error.js'
import type { KubernetesObject } from './objects.js'
import type { ResourceType } from './resources.js'
import { selector } from './selectors.js'
import type { Change, Storage } from './storage.js'
import { tableOf } from './table.js'
import { truthy } from './target.js'

export interface WatchOptions {
  readonly storage: Storage
  readonly type: ResourceType
  readonly namespace: string
  /** A watch of one object, asked for by its path. Empty for the collection. */
  readonly name: string
  readonly query: URLSearchParams
  readonly representation: 'json' | 'table'
  readonly now: () => number
  /** How often a client that wants bookmarks gets one. @default 60_000 ms */
  readonly bookmarkMs?: number
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/**
 * Answers with changes, a JSON line each, as they happen: until `timeoutSeconds`, until the client goes, or
 * until the returned function ends the answer well.
 */
export function watch(response: ServerResponse, options: WatchOptions): () => void {
  const { storage, type, namespace, name, query } = options
  const selects = selector(query)
  const since = query.get('resourceVersion') ?? ''
  const initial = truthy(query.get('sendInitialEvents')) || since === '' || since === '0'
  const past = initial ? [] : storage.since(Number(since))
  const bookmarks = truthy(query.get('allowWatchBookmarks'))

  let described = false
  const inside = (object: KubernetesObject | undefined): object is KubernetesObject =>
    object !== undefined &&
    (namespace === '' || !type.namespaced || object.metadata.namespace === namespace) &&
    (name === '' || object.metadata.name === name) &&
    selects(object)
  const line = (event: object): void => {
    response.write(`${JSON.stringify(event)}\n`)
  }
  const say = (event: EventType, object: KubernetesObject): void => {
    const shown =
      options.representation === 'json'
        ? object
        : tableOf(type, [object], {
            now: options.now(),
            include: query.get('includeObject'),
            resourceVersion: object.metadata.resourceVersion,
            columns: !described,
          })
    described = true
    line({ type: event, object: shown })
  }
  const tell = (change: Change): void => {
    if (change.resource !== type.resource) return
    const { now, before } = change
    if (inside(now)) say(inside(before) ? 'MODIFIED' : 'ADDED', now)
    else if (inside(before)) say('DELETED', at(before, change.revision))
  }
  const bookmark = (annotations?: object): void => {
    const metadata = {
      resourceVersion: String(storage.revision),
      creationTimestamp: null,
      ...(annotations && { annotations }),
    }
    const object =
      options.representation === 'json'
        ? { kind: type.kind, apiVersion: 'v1', metadata }
        : { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: [], rows: [] }
    line({ type: 'BOOKMARK', object })
  }

  response.writeHead(200, { 'content-type': 'application/json' })
  response.flushHeaders()
  if (past === undefined) {
    line({
      type: 'ERROR',
      object: ApiError.expired(`too old resource version: ${since}`).toStatus(),
    })
    response.end()
    return () => undefined
  }
  if (initial) {
    for (const object of storage.list(type.resource, namespace))
      if (inside(object)) say('ADDED', object)
    if (truthy(query.get('sendInitialEvents')) && bookmarks) {
      bookmark({ 'k8s.io/initial-events-end': 'true' })
    }
  }
  for (const change of past) tell(change)

  const unsubscribe = storage.subscribe(tell)
  const regularly = bookmarks
    ? setInterval(() => bookmark(), options.bookmarkMs ?? 60_000)
    : undefined
  const limit = Number(query.get('timeoutSeconds') ?? '')
  const timeout = limit > 0 ? setTimeout(() => response.end(), limit * 1_000) : undefined
  response.once('close', () => {
    unsubscribe()
    clearInterval(regularly)
    clearTimeout(timeout)
  })
  return () => {
    unsubscribe()
    response.end()
  }
}

/** A deletion has a revision of its own, or a watch resumed from it would see it again. */
function at(object: KubernetesObject, revision: number): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
