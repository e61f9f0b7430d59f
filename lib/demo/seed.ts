import { admitted } from './admission.js'
import { at, isJson, listAt, textAt, type Json, type KubernetesObject } from './objects.js'
import { resourceType } from './resources.js'
import { timestamp, type Storage } from './storage.js'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Puts into the storage what `kubectl` finds at first: three namespaces and some pods. */
export function seed(storage: Storage, now: number): void {
  const put = (resource: string, namespace: string, ageMs: number, object: Json): void => {
    const type = resourceType(resource)
    if (type === undefined) throw new TypeError(`no such resource: ${resource}`)
    const draft = admitted(type, object, { namespace, name: '', status: object['status'] })
    storage.create(resource, namespace, draft, { createdAt: now - ageMs })
  }
  for (const namespace of ['default', 'demo', 'kube-system']) {
    put('namespaces', '', 5 * dayMs, { metadata: { name: namespace } })
  }
  const web = { app: 'web' }
  put('pods', 'default', 3 * dayMs, pod('web-7c5ddbdf54-4xk2p', 'nginx', now, { labels: web }))
  put('pods', 'default', 26 * hourMs, pod('web-7c5ddbdf54-n8t6q', 'nginx', now, { labels: web }))
  put('pods', 'default', 5 * hourMs, pod('worker-5f6c8b9d7-zr4wd', 'worker', now, { restarts: 2 }))
  put('pods', 'default', 40 * minuteMs, pod('migrate-hq9xb', 'migrate', now, { completed: true }))
  put('pods', 'demo', 90 * minuteMs, pod('hello', 'hello', now, {}))
  put('pods', 'kube-system', 5 * dayMs, pod('coredns-668d6bf9bc-5qjtm', 'coredns', now, {}))
  put('configmaps', 'default', 3 * dayMs, {
    metadata: { name: 'web-settings' },
    data: { 'nginx.conf': 'worker_processes 1;\n', greeting: 'hello' },
  })
  put('secrets', 'default', 3 * dayMs, {
    metadata: { name: 'database' },
    stringData: { password: 'not-a-real-one' },
  })
  put('services', 'default', 5 * dayMs, {
    metadata: { name: 'kubernetes' },
    spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP' }] },
  })
  put('services', 'default', 3 * dayMs, {
    metadata: { name: 'web', labels: web },
    spec: { clusterIP: '10.96.71.12', selector: web, ports: [{ port: 80, protocol: 'TCP' }] },
  })
}

/**
 * Plays kubelet every interval: starts pods that wait, and every tenth time restarts a worker, so that
 * `kubectl get pods -w` has something to show. Returns what ends it.
 */
export function enliven(storage: Storage, now: () => number, intervalMs: number): () => void {
  let ticks = 0
  const timer = setInterval(() => {
    ticks += 1
    for (const object of storage.list('pods', '')) {
      const waits = textAt(object, 'status', 'phase') === 'Pending'
      const worker = ticks % 10 === 0 && object.metadata.name.startsWith('worker-')
      if (!waits && !worker) continue
      const status = running(object, now(), restartsOf(object) + (worker ? 1 : 0))
      storage.replace('pods', object.metadata.namespace ?? '', { ...object, status })
    }
  }, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

interface Looks {
  readonly labels?: Json
  readonly restarts?: number
  readonly completed?: boolean
}

function pod(name: string, image: string, now: number, looks: Looks): Json {
  const spec = {
    containers: [{ name: image, image: `registry.example/${image}:1` }],
    restartPolicy: looks.completed === true ? 'Never' : 'Always',
    nodeName: 'stand-in',
  }
  const metadata = { name, ...(looks.labels && { labels: looks.labels }) }
  const status = running({ metadata, spec }, now - 12 * minuteMs, looks.restarts ?? 0)
  return { metadata, spec, status: looks.completed === true ? completed(status, now) : status }
}

function running(object: Json | KubernetesObject, now: number, restarts: number): Json {
  const finishedAt = timestamp(now)
  return {
    phase: 'Running',
    podIP: '10.244.0.7',
    startTime: finishedAt,
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: listAt(object, 'spec', 'containers').map(container => ({
      name: textAt(container, 'name'),
      image: textAt(container, 'image'),
      ready: true,
      restartCount: restarts,
      state: { running: { startedAt: finishedAt } },
      ...(restarts > 0 && {
        lastState: { terminated: { exitCode: 1, reason: 'Error', finishedAt } },
      }),
    })),
  }
}

function completed(status: Json, now: number): Json {
  const terminated = {
    exitCode: 0,
    reason: 'Completed',
    finishedAt: timestamp(now - 39 * minuteMs),
  }
  return {
    ...status,
    phase: 'Succeeded',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: listAt(status, 'containerStatuses').map(one => ({
      ...(isJson(one) ? one : {}),
      ready: false,
      state: { terminated },
    })),
  }
}

function restartsOf(object: KubernetesObject): number {
  const times = at(listAt(object, 'status', 'containerStatuses')[0], 'restartCount')
  return typeof times === 'number' ? times : 0
}
