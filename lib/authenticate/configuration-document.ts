import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type YAMLMap,
} from 'yaml'
import type {
  AnonymousAuthentication,
  AuthenticationConfiguration,
  ConfigurationFault,
  JwtAuthenticator,
} from './configuration.js'

export interface ReadConfiguration {
  /** Absent when there are faults. */
  readonly configuration?: AuthenticationConfiguration
  readonly faults: readonly ConfigurationFault[]
  /** The line of what a path names, or of the nearest thing around it. */
  readonly lineOf: (path: string) => number | undefined
}

/**
 * Reads the file of `--authentication-config`, YAML or JSON, as strictly as kube-apiserver: unknown and repeated
 * fields are faults, and a value must have its field's type.
 */
export function readConfiguration(text: string): ReadConfiguration {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false })
  const problems = [...document.errors, ...document.warnings]
  if (problems.length > 0) {
    return {
      faults: problems.map(({ message, pos }) => ({
        path: '',
        line: counter.linePos(pos[0]).line,
        says: `is not valid YAML: ${message.split('\n', 1)[0]?.slice(0, 200) ?? ''}`,
      })),
      lineOf: () => undefined,
    }
  }
  const reader = createReader(document, counter)
  const configuration = readRoot(reader, document.contents)
  return {
    ...(reader.faults.length === 0 && { configuration }),
    faults: reader.faults,
    lineOf: reader.lineOf,
  }
}

const apiVersions = ['apiserver.config.k8s.io/v1', 'apiserver.config.k8s.io/v1beta1']

function readRoot(reader: Reader, node: unknown): AuthenticationConfiguration {
  const root = reader.fields(node, '', ['apiVersion', 'kind', 'jwt', 'anonymous'])
  const apiVersion = root.text('apiVersion')
  const kind = root.text('kind')
  if (root.readable && (apiVersion === undefined || !apiVersions.includes(apiVersion))) {
    reader.fault('apiVersion', `must be ${apiVersions.join(' or ')}`, apiVersion)
  }
  if (root.readable && kind !== 'AuthenticationConfiguration') {
    reader.fault('kind', 'must be AuthenticationConfiguration', kind)
  }
  const anonymous = root.has('anonymous')
    ? readAnonymous(root.fields('anonymous', ['enabled', 'conditions']))
    : undefined
  return {
    jwt: root.list('jwt', readAuthenticator),
    ...(anonymous !== undefined && { anonymous }),
  }
}

function readAnonymous(fields: Fields): AnonymousAuthentication {
  return {
    enabled: fields.truth('enabled') ?? false,
    conditions: fields.list('conditions', (reader, node, path) =>
      optionalTexts(reader.fields(node, path, ['path']), ['path']),
    ),
  }
}

function readAuthenticator(reader: Reader, node: unknown, path: string): JwtAuthenticator {
  const fields = reader.fields(node, path, [
    'issuer',
    'claimValidationRules',
    'claimMappings',
    'userValidationRules',
  ])
  const issuer = fields.fields('issuer', [
    'url',
    'discoveryURL',
    'certificateAuthority',
    'audiences',
    'audienceMatchPolicy',
    'egressSelectorType',
  ])
  const mappings = fields.fields('claimMappings', ['username', 'groups', 'uid', 'extra'])
  const prefixed = ['claim', 'prefix', 'expression'] as const
  return {
    issuer: {
      url: issuer.text('url') ?? '',
      audiences: issuer.list('audiences', (inner, item, at) => inner.text(item, at) ?? ''),
      ...optionalTexts(issuer, [
        'discoveryURL',
        'certificateAuthority',
        'audienceMatchPolicy',
        'egressSelectorType',
      ]),
    },
    claimValidationRules: fields.list('claimValidationRules', (inner, item, at) => {
      const names = ['claim', 'requiredValue', 'expression', 'message'] as const
      return optionalTexts(inner.fields(item, at, names), names)
    }),
    claimMappings: {
      username: optionalTexts(mappings.fields('username', prefixed), prefixed),
      groups: optionalTexts(mappings.fields('groups', prefixed), prefixed),
      uid: optionalTexts(mappings.fields('uid', ['claim', 'expression']), ['claim', 'expression']),
      extra: mappings.list('extra', (inner, item, at) => {
        const names = ['key', 'valueExpression'] as const
        return optionalTexts(inner.fields(item, at, names), names)
      }),
    },
    userValidationRules: fields.list('userValidationRules', (inner, item, at) => {
      const names = ['expression', 'message'] as const
      return optionalTexts(inner.fields(item, at, names), names)
    }),
  }
}

/** The fields that are written, and no others. */
function optionalTexts<Name extends string>(
  fields: Fields,
  names: readonly Name[],
): { readonly [N in Name]?: string } {
  const written = names.flatMap(name => {
    const value = fields.text(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  // Every name is one of `names`, and every value a string.
  return Object.fromEntries(written) as { readonly [N in Name]?: string }
}

interface Reader {
  readonly faults: ConfigurationFault[]
  fault(path: string, says: string, value?: string): void
  readonly lineOf: (path: string) => number | undefined
  /** The fields of a mapping; an absent one has none. */
  fields(node: unknown, path: string, known: readonly string[]): Fields
  text(node: unknown, path: string): string | undefined
}

interface Fields {
  /** Whether there was a mapping to read. */
  readonly readable: boolean
  has(name: string): boolean
  text(name: string): string | undefined
  truth(name: string): boolean | undefined
  fields(name: string, known: readonly string[]): Fields
  list<T>(name: string, read: (reader: Reader, node: unknown, path: string) => T): readonly T[]
}

function createReader(document: Document, counter: LineCounter): Reader {
  const faults: ConfigurationFault[] = []
  const lines = new Map<string, number>()

  const lineOf = (path: string): number | undefined => {
    const around = path.replace(/(?:\.[^.[\]]+|\[\d+\])$/, '')
    return lines.get(path) ?? (around === path ? lines.get('') : lineOf(around))
  }
  const fault = (path: string, says: string, value?: string): void => {
    const line = lineOf(path)
    faults.push({
      path,
      ...(line !== undefined && { line }),
      ...(value !== undefined && { value }),
      says,
    })
  }
  const resolved = (node: unknown, path: string): unknown => {
    const start = startOf(node)
    // Where it has a key, that is where somebody will look.
    if (start !== undefined && !lines.has(path)) lines.set(path, counter.linePos(start).line)
    return isAlias(node) ? node.resolve(document) : node
  }
  const reader: Reader = {
    faults,
    fault,
    lineOf,
    fields: (node, path, known) => {
      const map = resolved(node, path)
      const readable = isMap(map)
      if (!readable && !absent(map)) fault(path, 'must be a mapping')
      if (!readable && path === '') fault('', 'is empty: write apiVersion, kind and jwt')
      return fieldsOf(readable ? map : undefined, path, known)
    },
    text: (node, path) => {
      const value = resolved(node, path)
      if (absent(value)) return undefined
      if (isScalar(value) && typeof value.value === 'string') return value.value
      fault(path, 'must be a string; put it in quotes', isScalar(value) ? value.source : undefined)
      return undefined
    },
  }

  const fieldsOf = (map: YAMLMap | undefined, path: string, known: readonly string[]): Fields => {
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`)
    const nodes = new Map<string, unknown>()
    for (const { key, value } of map?.items ?? []) {
      const name = isScalar(key) && typeof key.value === 'string' ? key.value : undefined
      if (name !== undefined && known.includes(name)) {
        nodes.set(name, value)
        const start = startOf(key)
        if (start !== undefined) lines.set(at(name), counter.linePos(start).line)
        continue
      }
      const start = startOf(key)
      faults.push({
        path: at(name ?? '?'),
        ...(start !== undefined && { line: counter.linePos(start).line }),
        says: `is no field here; there are ${known.join(', ')}`,
      })
    }
    return {
      readable: map !== undefined,
      has: name => nodes.has(name) && !absent(nodes.get(name)),
      text: name => reader.text(nodes.get(name), at(name)),
      truth: name => {
        const value = resolved(nodes.get(name), at(name))
        if (absent(value)) return undefined
        if (isScalar(value) && typeof value.value === 'boolean') return value.value
        fault(at(name), 'must be true or false, without quotes')
        return undefined
      },
      fields: (name, inner) => reader.fields(nodes.get(name), at(name), inner),
      list: (name, read) => {
        const list = resolved(nodes.get(name), at(name))
        if (absent(list)) return []
        if (!isSeq(list)) {
          fault(at(name), 'must be a list')
          return []
        }
        return list.items.map((item, index) => read(reader, item, `${at(name)}[${index}]`))
      },
    }
  }
  return reader
}

const absent = (node: unknown): boolean =>
  node === undefined || node === null || (isScalar(node) && node.value === null)

function startOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined
}
