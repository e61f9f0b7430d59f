import { randomBytes } from 'node:crypto'
import { ApiError } from './api-error.js'
import { at, isJson, listAt, textAt, type Json } from './objects.js'
import type { ResourceType } from './resources.js'
import type { Draft } from './storage.js'

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"

export interface Expected {
  readonly namespace: string
  /** The name that the path gives; empty on create. */
  readonly name: string
  /** Of the stored object: a client does not write the status. */
  readonly status?: unknown
}

/**
 * A client's object, ready to be stored: of the right kind, named, and with the fields that Kubernetes
 * would have filled in.
 * @throws 400 or 422, in kube-apiserver's words
 */
export function admitted(type: ResourceType, body: unknown, expected: Expected): Draft {
  if (!isJson(body)) throw ApiError.badRequest('the body of the request is not an object')
  const kind = textAt(body, 'kind')
  const apiVersion = textAt(body, 'apiVersion')
  if ((kind !== '' && kind !== type.kind) || (apiVersion !== '' && apiVersion !== 'v1')) {
    const why = `${kind} in version ${JSON.stringify(apiVersion)} cannot be handled as a ${type.kind}`
    throw ApiError.badRequest(why)
  }
  const metadata = at(body, 'metadata')
  if (!isJson(metadata)) throw ApiError.invalid(type.kind, '', 'metadata: Required value')
  const name = nameOf(type, metadata, expected.name)
  const namespace = textAt(metadata, 'namespace')
  if (type.namespaced && namespace !== '' && namespace !== expected.namespace) {
    throw ApiError.badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    )
  }
  return {
    ...filledIn(type.resource, body, expected.status),
    apiVersion: 'v1',
    kind: type.kind,
    metadata: { ...metadata, name, ...labelled(type, metadata, name) },
  }
}

function nameOf(type: ResourceType, metadata: Json, expected: string): string {
  const given = textAt(metadata, 'name')
  const prefix = textAt(metadata, 'generateName')
  const name =
    given === '' && prefix !== '' ? prefix + randomBytes(3).toString('hex').slice(0, 5) : given
  if (name === '') {
    throw ApiError.invalid(
      type.kind,
      '',
      'metadata.name: Required value: name or generateName is required',
    )
  }
  if (expected !== '' && name !== expected) {
    const why = `the name of the object (${name}) does not match the name on the URL (${expected})`
    throw ApiError.badRequest(why)
  }
  if (name.length > 253 || !subdomain.test(name)) {
    const why = `metadata.name: Invalid value: ${JSON.stringify(name)}: ${subdomainRule}`
    throw ApiError.invalid(type.kind, name, why)
  }
  return name
}

/** The object, with the fields of its own kind that it lacks. */
function filledIn(resource: string, body: Json, status: unknown): Json {
  switch (resource) {
    case 'namespaces':
      return { ...body, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
    case 'pods':
      return pod(body, status)
    case 'secrets':
      return secret(body)
    case 'services':
      return service(body)
    default:
      return body
  }
}

function labelled(type: ResourceType, metadata: Json, name: string): Json {
  if (type.resource !== 'namespaces') return {}
  const labels = at(metadata, 'labels')
  return { labels: { ...(isJson(labels) ? labels : {}), 'kubernetes.io/metadata.name': name } }
}

function pod(body: Json, status: unknown): Json {
  const containers = listAt(body, 'spec', 'containers')
  if (containers.length === 0) throw ApiError.invalid('Pod', '', 'spec.containers: Required value')
  const spec = at(body, 'spec')
  return {
    ...body,
    spec: { restartPolicy: 'Always', nodeName: 'stand-in', ...(isJson(spec) ? spec : {}) },
    status: status ?? {
      phase: 'Pending',
      containerStatuses: containers.map(container => ({
        name: textAt(container, 'name'),
        image: textAt(container, 'image'),
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'ContainerCreating' } },
      })),
    },
  }
}

function secret({ stringData, ...body }: Json): Json {
  const data = at(body, 'data')
  const plain = Object.entries(isJson(stringData) ? stringData : {}).map(
    ([key, value]) => [key, Buffer.from(String(value)).toString('base64')] as const,
  )
  return {
    type: 'Opaque',
    ...body,
    data: { ...(isJson(data) ? data : {}), ...Object.fromEntries(plain) },
  }
}

function service(body: Json): Json {
  const spec = at(body, 'spec')
  const [third = 0, fourth = 0] = randomBytes(2)
  return {
    ...body,
    spec: {
      type: 'ClusterIP',
      clusterIP: `10.96.${third}.${fourth}`,
      ...(isJson(spec) ? spec : {}),
    },
  }
}
