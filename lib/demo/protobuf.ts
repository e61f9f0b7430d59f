import { ApiError } from './api-error.js'
import type { Json } from './objects.js'

export const protobufType = 'application/vnd.kubernetes.protobuf'

/** A message: its fields by number. `string[]` repeats, `map` is of strings. */
interface Message {
  readonly [number: number]: readonly [name: string, type: FieldType]
}
type FieldType =
  'string' | 'string[]' | 'integer' | 'boolean' | 'map' | 'bytes map' | Message | readonly [Message]

const intOrString: Message = {
  1: ['type', 'integer'],
  2: ['intVal', 'integer'],
  3: ['strVal', 'string'],
}
const metadata: Message = {
  1: ['name', 'string'],
  2: ['generateName', 'string'],
  3: ['namespace', 'string'],
  5: ['uid', 'string'],
  6: ['resourceVersion', 'string'],
  11: ['labels', 'map'],
  12: ['annotations', 'map'],
  14: ['finalizers', 'string[]'],
}
const resourceAttributes: Message = {
  1: ['namespace', 'string'],
  2: ['verb', 'string'],
  3: ['group', 'string'],
  4: ['version', 'string'],
  5: ['resource', 'string'],
  6: ['subresource', 'string'],
  7: ['name', 'string'],
}
const ownAccess: Message = {
  1: ['resourceAttributes', resourceAttributes],
  2: ['nonResourceAttributes', { 1: ['path', 'string'], 2: ['verb', 'string'] }],
}
const access: Message = {
  ...ownAccess,
  3: ['user', 'string'],
  4: ['groups', 'string[]'],
  6: ['uid', 'string'],
}
const port: Message = {
  1: ['name', 'string'],
  2: ['protocol', 'string'],
  3: ['port', 'integer'],
  4: ['targetPort', intOrString],
  5: ['nodePort', 'integer'],
}

/** The kinds that kubectl sends so: those it makes by itself. What comes from a file it sends as JSON. */
const kinds: Readonly<Record<string, Message>> = {
  ConfigMap: {
    1: ['metadata', metadata],
    2: ['data', 'map'],
    3: ['binaryData', 'bytes map'],
    4: ['immutable', 'boolean'],
  },
  DeleteOptions: { 2: ['preconditions', { 1: ['uid', 'string'] }], 5: ['dryRun', 'string[]'] },
  LocalSubjectAccessReview: { 1: ['metadata', metadata], 2: ['spec', access] },
  Namespace: { 1: ['metadata', metadata] },
  Secret: {
    1: ['metadata', metadata],
    2: ['data', 'bytes map'],
    3: ['type', 'string'],
    4: ['stringData', 'map'],
  },
  SelfSubjectAccessReview: { 1: ['metadata', metadata], 2: ['spec', ownAccess] },
  SelfSubjectReview: { 1: ['metadata', metadata] },
  SelfSubjectRulesReview: {
    1: ['metadata', metadata],
    2: ['spec', { 1: ['namespace', 'string'] }],
  },
  Service: {
    1: ['metadata', metadata],
    2: [
      'spec',
      {
        1: ['ports', [port]],
        2: ['selector', 'map'],
        3: ['clusterIP', 'string'],
        4: ['type', 'string'],
      },
    ],
  },
  SubjectAccessReview: { 1: ['metadata', metadata], 2: ['spec', access] },
  TokenReview: {
    1: ['metadata', metadata],
    2: ['spec', { 1: ['token', 'string'], 2: ['audiences', 'string[]'] }],
  },
}

const magic = Buffer.from('k8s\0', 'latin1')
const envelope: Message = {
  1: ['type', { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] }],
}

/**
 * Reads the protobuf in which kubectl, from 1.35 on, sends what it makes by itself; the fields that the
 * stand-in keeps of it, as JSON has them. Numbers are those of `generated.proto` in `k8s.io/api`.
 * @throws 400 for bytes that are no such message, 415 for a kind that is not known here
 */
export function decodeProtobuf(bytes: Buffer): Json {
  try {
    if (!bytes.subarray(0, magic.length).equals(magic)) throw malformed()
    const outer = bytes.subarray(magic.length)
    const { type } = message(outer, envelope) as { readonly type?: Json }
    const raw = [...fields(outer)].find(field => field.number === 2)?.value
    const kind = String(type?.['kind'])
    const shape = kinds[kind]
    if (shape === undefined) {
      throw new ApiError(415, 'UnsupportedMediaType', `the stand-in reads a ${kind} as JSON only`)
    }
    return { ...type, ...message(Buffer.isBuffer(raw) ? raw : Buffer.alloc(0), shape) }
  } catch (error) {
    if (error instanceof RangeError) throw malformed()
    throw error
  }
}

function message(bytes: Buffer, shape: Message): Json {
  const result: Record<string, unknown> = {}
  for (const { number, value } of fields(bytes)) {
    const [name, type] = shape[number] ?? []
    if (name === undefined || type === undefined) continue
    // protobuf writes some fields even when they are empty; JSON would not have them.
    if (type === 'string') {
      if (length(value) > 0) result[name] = text(value)
    } else if (type === 'integer') result[name] = Number(value)
    else if (type === 'boolean') result[name] = Number(value) !== 0
    else if (type === 'string[]') result[name] = [...list(result[name]), text(value)]
    else if (type === 'map' || type === 'bytes map') {
      const [key, content] = entry(value, type === 'map' ? 'utf8' : 'base64')
      result[name] = { ...(result[name] as Json | undefined), [key]: content }
    } else if (type === intOrString) result[name] = either(message(buffer(value), intOrString))
    else if (isRepeated(type))
      result[name] = [...list(result[name]), message(buffer(value), type[0])]
    else result[name] = message(buffer(value), type)
  }
  return result
}

interface Field {
  readonly number: number
  readonly value: bigint | Buffer
}

/** @throws RangeError where the bytes end too early */
function* fields(bytes: Buffer): Generator<Field> {
  let offset = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes.readUInt8(offset)
      offset += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, value)
    }
    throw malformed()
  }
  while (offset < bytes.length) {
    const tag = Number(varint())
    const number = tag >> 3
    switch (tag & 7) {
      case 0:
        yield { number, value: varint() }
        break
      case 2: {
        const end = Number(varint()) + offset
        if (end < offset || end > bytes.length) throw malformed()
        yield { number, value: bytes.subarray(offset, end) }
        offset = end
        break
      }
      default:
        throw malformed()
    }
  }
}

function entry(value: Field['value'], encoding: 'utf8' | 'base64'): [key: string, content: string] {
  let key = ''
  let content = ''
  for (const field of fields(buffer(value))) {
    if (field.number === 1) key = text(field.value)
    else if (field.number === 2) content = buffer(field.value).toString(encoding)
  }
  return [key, content]
}

function either(value: Json): unknown {
  return value['type'] === 1 ? value['strVal'] : value['intVal']
}

function isRepeated(type: Message | readonly [Message]): type is readonly [Message] {
  return Array.isArray(type)
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function length(value: Field['value']): number {
  return buffer(value).length
}

function text(value: Field['value']): string {
  return buffer(value).toString('utf8')
}

function buffer(value: Field['value']): Buffer {
  if (!Buffer.isBuffer(value)) throw malformed()
  return value
}

function malformed(): ApiError {
  return ApiError.badRequest('the body of the request is not a Kubernetes protobuf message')
}
