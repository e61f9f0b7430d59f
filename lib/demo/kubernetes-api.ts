import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse } from 'yaml'
import { ApiError } from './api-error.js'
import { identify, type Authenticate, type Caller } from './callers.js'
import { createAuthority, type Authority } from './certificates.js'
import { discovery } from './discovery.js'
import { log } from './logs.js'
import { listenOnLoopback } from './loopback-server.js'
import { openapi } from './openapi.js'
import { operate, type Result } from './operations.js'
import { decodeProtobuf, protobufType } from './protobuf.js'
import { authorize, demoRules, type Rule } from './rbac.js'
import { resourceType, type ResourceType } from './resources.js'
import { answerReview, isReview } from './reviews.js'
import { enliven, seed } from './seed.js'
import { createStorage, type Storage } from './storage.js'
import { representation, tableOf, tableType } from './table.js'
import { readTarget, type ResourcePath, type Target } from './target.js'
import { watch } from './watch.js'

export interface KubernetesApiOptions {
  /** Signs the serving certificate. @default one of its own */
  readonly authority?: Authority
  /** Tokens beside the administrator's and the gateway's. @default none */
  readonly authenticate?: Authenticate
  /** Rules beside `demoRules`. @default none */
  readonly rules?: readonly Rule[]
  /** Called with each request whose path and caller could be told, before it is authorised. */
  readonly seen?: (request: SeenRequest) => void
  /** How often something happens to the pods by itself. @default never */
  readonly activityMs?: number
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
}

export interface SeenRequest {
  readonly method: string
  readonly target: string
  /** As Node reads them: names and values alternating, values as Latin-1. */
  readonly rawHeaders: readonly string[]
  /** After impersonation; absent when the request was refused before that. */
  readonly user?: string
  readonly groups: readonly string[]
}

export interface KubernetesApi {
  /** `https://127.0.0.1:…` */
  readonly url: string
  /** PEM. */
  readonly ca: string
  /** Of `admin` in `system:masters`. */
  readonly adminToken: string
  /** Of `system:serviceaccount:gateway:gateway`, which may impersonate users, and groups by name. */
  readonly gatewayToken: string
  /** Ends watches and logs well, then every connection. */
  close(): Promise<void>
}

/** What a request is handled with. */
interface Surroundings {
  readonly storage: Storage
  readonly authenticate: Authenticate
  readonly rules: readonly Rule[]
  readonly now: () => number
  /** Ends of the streams that run. */
  readonly streams: Set<() => void>
}

const bodyLimitBytes = 3 * 1024 * 1024

/**
 * Starts a Kubernetes API that lives in memory: a stand-in, real enough for `kubectl`, with nothing behind
 * it that runs. It asks for tokens, enforces `impersonate` and RBAC, and listens on a loopback port.
 */
export async function startKubernetesApi(
  options: KubernetesApiOptions = {},
): Promise<KubernetesApi> {
  const authority = options.authority ?? (await createAuthority('in-memory Kubernetes API'))
  const { cert, key } = await authority.issue(['127.0.0.1', 'localhost'])
  const now = options.now ?? Date.now
  const adminToken = randomBytes(24).toString('base64url')
  const gatewayToken = randomBytes(24).toString('base64url')
  const tokens = new Map([
    [adminToken, { username: 'admin', groups: ['system:masters'] }],
    [
      gatewayToken,
      {
        username: 'system:serviceaccount:gateway:gateway',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:gateway'],
      },
    ],
  ])
  const surroundings: Surroundings = {
    storage: createStorage(now),
    authenticate: token => tokens.get(token) ?? options.authenticate?.(token),
    rules: [...demoRules, ...(options.rules ?? [])],
    now,
    streams: new Set(),
  }
  seed(surroundings.storage, now())
  const rest =
    options.activityMs === undefined
      ? undefined
      : enliven(surroundings.storage, now, options.activityMs)

  const server = await listenOnLoopback(
    { cert, key, maxHeaderSize: 256 * 1024, keepAliveTimeout: 120_000 },
    (request, response) => {
      void serve(request, response, surroundings, options.seen)
    },
  )

  return {
    url: server.url,
    ca: authority.ca,
    adminToken,
    gatewayToken,
    close: async () => {
      rest?.()
      for (const end of surroundings.streams) end()
      await server.close(streamEndMs)
    },
  }
}

/** What an ended stream gets to send its last bytes. */
const streamEndMs = 100

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  surroundings: Surroundings,
  seen: KubernetesApiOptions['seen'],
): Promise<void> {
  const { method = 'GET', url = '/', rawHeaders } = request
  const auditId = request.headers['audit-id']
  response.setHeader('audit-id', typeof auditId === 'string' ? auditId : randomUUID())
  response.setHeader('cache-control', 'no-cache, private')
  const unknown = { method, target: url, rawHeaders, groups: [] }
  let caller: Caller | undefined
  try {
    const target = readTarget(method, url)
    caller = identify(rawHeaders, surroundings.authenticate, surroundings.rules)
    seen?.({ ...unknown, user: caller.username, groups: caller.groups })
    authorize(surroundings.rules, caller, attributes(target))
    await answer(request, response, target, caller, surroundings)
  } catch (error) {
    if (caller === undefined) seen?.(unknown)
    refuse(response, error)
  }
}

function attributes({ verb, path, resource }: Target): Parameters<typeof authorize>[2] {
  return resource ? { verb, ...resource } : { verb, path }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
  caller: Caller,
  surroundings: Surroundings,
): Promise<void> {
  if (target.resource === undefined) {
    answerPath(response, target.path, request.headers.accept)
    return
  }
  const { group, version, resource, namespace } = target.resource
  if (version !== 'v1') throw ApiError.noSuchPath()
  if (isReview(group, resource)) {
    if (target.verb !== 'create') throw ApiError.methodNotAllowed()
    const { rules, authenticate } = surroundings
    const body = await readBody(request)
    const options = { caller, rules, authenticate, namespace }
    send(response, 201, answerReview(group, resource, body, options))
    return
  }
  const type = group === '' ? resourceType(resource) : undefined
  if (type === undefined) throw ApiError.noSuchPath()
  if (target.resource.subresource !== '') {
    answerSubresource(response, target, target.resource, surroundings)
    return
  }
  await answerResource(request, response, target, type, surroundings)
}

function answerPath(response: ServerResponse, path: string, accept: string | undefined): void {
  if (path === '/healthz' || path === '/livez' || path === '/readyz') {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok')
    return
  }
  const described = discovery(path, accept)
  if (described) {
    response.setHeader('vary', 'Accept')
    send(response, 200, described.body, described.type)
    return
  }
  const schema = openapi(path)
  if (schema === undefined) throw ApiError.noSuchPath()
  send(response, 200, schema)
}

function answerSubresource(
  response: ServerResponse,
  target: Target,
  { resource, subresource, namespace, name }: ResourcePath,
  { storage, now, streams }: Surroundings,
): void {
  const pod = storage.get(resource, namespace, name)
  if (resource !== 'pods') throw ApiError.noSuchPath()
  if (subresource !== 'log') {
    const why = `the in-memory stand-in runs nothing: ${subresource} is not part of it`
    throw ApiError.notImplemented(why)
  }
  if (target.verb !== 'get') throw ApiError.methodNotAllowed()
  remember(streams, response, log(response, pod, target.query, { now }))
}

async function answerResource(
  request: IncomingMessage,
  response: ServerResponse,
  { verb, query, resource }: Target,
  type: ResourceType,
  { storage, now, streams }: Surroundings,
): Promise<void> {
  const wanted = representation(request.headers.accept)
  const { namespace = '', name = '' } = resource ?? {}
  if (verb === 'watch' || (verb === 'get' && query.get('watch') === 'true')) {
    const options = { storage, type, namespace, name, query, representation: wanted, now }
    remember(streams, response, watch(response, options))
    return
  }
  const body = await readBody(request)
  const bodyType = mediaType(request)
  const revision = String(storage.revision)
  const result = operate(storage, { verb, type, namespace, name, query, body, bodyType })
  if (wanted === 'table' && !('deleted' in result)) {
    const objects = 'list' in result ? result.list : [result.object]
    const resourceVersion = 'list' in result ? revision : result.object.metadata.resourceVersion
    const include = query.get('includeObject')
    send(
      response,
      result.status,
      tableOf(type, objects, { now: now(), include, resourceVersion }),
      tableType,
    )
  } else {
    send(response, result.status, shown(type, result, revision))
  }
}

function shown(type: ResourceType, result: Result, revision: string): object {
  if ('list' in result) {
    const metadata = { resourceVersion: revision }
    return { kind: `${type.kind}List`, apiVersion: 'v1', metadata, items: result.list }
  }
  if ('object' in result) return result.object
  const { name, uid } = result.deleted.metadata
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, kind: type.resource, uid },
  }
}

function remember(streams: Set<() => void>, response: ServerResponse, end: () => void): void {
  streams.add(end)
  response.once('close', () => streams.delete(end))
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyLimitBytes) throw ApiError.tooLarge()
    chunks.push(chunk)
  }
  if (size === 0) return undefined
  const type = mediaType(request)
  const bytes = Buffer.concat(chunks)
  if (type === protobufType) return decodeProtobuf(bytes)
  const text = bytes.toString('utf8')
  try {
    if (type === 'application/yaml') return parse(text)
    if (type === '' || type.endsWith('json')) return JSON.parse(text)
  } catch {
    throw ApiError.badRequest('the body of the request cannot be parsed')
  }
  throw ApiError.unsupportedMediaType(['application/json', 'application/yaml', protobufType])
}

function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  type = 'application/json',
): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const known =
    error instanceof ApiError
      ? error
      : new ApiError(500, 'InternalError', 'Internal error occurred: the stand-in is at fault')
  send(response, known.code, known.toStatus())
}
