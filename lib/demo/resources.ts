import { at, isJson, listAt, textAt, type KubernetesObject } from './objects.js'

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer'
  readonly description: string
  /** Shown with `-o wide` only. */
  readonly wide?: boolean
  cell(object: KubernetesObject, now: number): string | number
}

/** A kind of thing that the stand-in stores; all of them are in the core group. */
export interface ResourceType {
  readonly resource: string
  readonly singular: string
  readonly kind: string
  readonly namespaced: boolean
  readonly shortNames: readonly string[]
  readonly categories?: readonly string[]
  readonly columns: readonly Column[]
}

export const storedVerbs = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const

const age: Column = {
  name: 'Age',
  type: 'string',
  description: 'How long ago the object was created.',
  cell: (object, now) => ago(object.metadata.creationTimestamp, now),
}

const name: Column = {
  name: 'Name',
  type: 'string',
  description: 'Name of the object, unique within a namespace.',
  cell: object => object.metadata.name,
}

export const resourceTypes: readonly ResourceType[] = [
  {
    resource: 'configmaps',
    singular: 'configmap',
    kind: 'ConfigMap',
    namespaced: true,
    shortNames: ['cm'],
    columns: [
      name,
      integer('Data', 'Number of entries.', object => count(object, 'data', 'binaryData')),
      age,
    ],
  },
  {
    resource: 'events',
    singular: 'event',
    kind: 'Event',
    namespaced: true,
    shortNames: ['ev'],
    columns: [
      text('Last Seen', 'When it was seen last.', (object, now) =>
        ago(textAt(object, 'lastTimestamp'), now),
      ),
      text('Type', 'Normal or Warning.', object => textAt(object, 'type')),
      text('Reason', 'Why it happened.', object => textAt(object, 'reason')),
      text('Object', 'What it happened to.', object => textAt(object, 'involvedObject', 'name')),
      text('Message', 'What happened.', object => textAt(object, 'message')),
    ],
  },
  {
    resource: 'namespaces',
    singular: 'namespace',
    kind: 'Namespace',
    namespaced: false,
    shortNames: ['ns'],
    columns: [
      name,
      text('Status', 'Active or Terminating.', object => textAt(object, 'status', 'phase')),
      age,
    ],
  },
  {
    resource: 'pods',
    singular: 'pod',
    kind: 'Pod',
    namespaced: true,
    shortNames: ['po'],
    categories: ['all'],
    columns: [
      name,
      text('Ready', 'Containers that are ready, of all.', ready),
      text('Status', 'The phase of the pod, or why it waits.', podStatus),
      text('Restarts', 'How often its containers were restarted.', restarts),
      age,
      wide('IP', 'Address of the pod.', object => textAt(object, 'status', 'podIP')),
      wide('Node', 'Where the pod runs.', object => textAt(object, 'spec', 'nodeName')),
    ],
  },
  {
    resource: 'secrets',
    singular: 'secret',
    kind: 'Secret',
    namespaced: true,
    shortNames: [],
    columns: [
      name,
      text('Type', 'What the secret is for.', object => textAt(object, 'type')),
      integer('Data', 'Number of entries.', object => count(object, 'data')),
      age,
    ],
  },
  {
    resource: 'services',
    singular: 'service',
    kind: 'Service',
    namespaced: true,
    shortNames: ['svc'],
    categories: ['all'],
    columns: [
      name,
      text('Type', 'How the service is exposed.', object => textAt(object, 'spec', 'type')),
      text('Cluster-IP', 'Its address in the cluster.', object =>
        textAt(object, 'spec', 'clusterIP'),
      ),
      text('External-IP', 'Its address outside.', () => '<none>'),
      text('Port(s)', 'Where it listens.', ports),
      age,
    ],
  },
]

/** The resource type of that plural, if the stand-in has it. */
export function resourceType(resource: string): ResourceType | undefined {
  return resourceTypes.find(type => type.resource === resource)
}

/** Time since then as `kubectl` shows it. (`k8s.io/apimachinery/pkg/util/duration.HumanDuration`) */
export function ago(then: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(then)) / 1_000)
  if (Number.isNaN(seconds)) return '<unknown>'
  if (seconds < 120) return `${Math.max(0, seconds)}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return `${minutes}m${rest(seconds % 60, 's')}`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return `${hours}h${rest(minutes % 60, 'm')}`
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  return days < 8 ? `${days}d${rest(hours % 24, 'h')}` : `${days}d`
}

function rest(amount: number, unit: string): string {
  return amount === 0 ? '' : `${amount}${unit}`
}

function text(title: string, description: string, cell: Column['cell']): Column {
  return { name: title, type: 'string', description, cell }
}

function wide(
  title: string,
  description: string,
  cell: (object: KubernetesObject) => string,
): Column {
  const orNone = (object: KubernetesObject): string => {
    const shown = cell(object)
    return shown === '' ? '<none>' : shown
  }
  return { ...text(title, description, orNone), wide: true }
}

function integer(title: string, description: string, cell: Column['cell']): Column {
  return { name: title, type: 'integer', description, cell }
}

function count(object: KubernetesObject, ...fields: readonly string[]): number {
  return fields.reduce((sum, field) => {
    const found = at(object, field)
    return sum + (isJson(found) ? Object.keys(found).length : 0)
  }, 0)
}

function ready(pod: KubernetesObject): string {
  const statuses = listAt(pod, 'status', 'containerStatuses')
  const up = statuses.filter(status => at(status, 'ready') === true).length
  return `${up}/${listAt(pod, 'spec', 'containers').length}`
}

function podStatus(pod: KubernetesObject): string {
  for (const status of listAt(pod, 'status', 'containerStatuses')) {
    const why =
      textAt(status, 'state', 'waiting', 'reason') + textAt(status, 'state', 'terminated', 'reason')
    if (why !== '') return why
  }
  return textAt(pod, 'status', 'phase')
}

function restarts(pod: KubernetesObject, now: number): string {
  let sum = 0
  let last = ''
  for (const status of listAt(pod, 'status', 'containerStatuses')) {
    const times = at(status, 'restartCount')
    if (typeof times === 'number') sum += times
    const finished = textAt(status, 'lastState', 'terminated', 'finishedAt')
    if (finished > last) last = finished
  }
  return sum > 0 && last !== '' ? `${sum} (${ago(last, now)} ago)` : String(sum)
}

function ports(service: KubernetesObject): string {
  const shown = listAt(service, 'spec', 'ports').map(port => {
    const protocol = textAt(port, 'protocol')
    return `${String(at(port, 'port'))}/${protocol === '' ? 'TCP' : protocol}`
  })
  return shown.length === 0 ? '<none>' : shown.join(',')
}
