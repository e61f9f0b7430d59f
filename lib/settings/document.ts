import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import { splitList } from './command-line.js'
import { fault, quoted } from './fault.js'
import {
  flagNames,
  isFlagName,
  serveFlags,
  type FlagKind,
  type FlagName,
  type Given,
} from './flags.js'
import { nearest } from './nearest.js'

export interface ReadDocument {
  readonly given: ReadonlyMap<FlagName, Given>
  readonly faults: readonly string[]
}

/**
 * Reads the file of `--config`: a YAML mapping whose keys are flags without dashes. Each value must have
 * its flag's own type, so that `oidc-client-id: 0123` is a fault rather than some other client.
 *
 * @param path how faults call the file
 */
export function readDocument(text: string, path: string): ReadDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const given = new Map<FlagName, Given>()
  const faults: string[] = []
  const at = (node: unknown): string => {
    const start = rangeStart(node)
    return start === undefined ? path : `${path}:${lines.linePos(start).line}`
  }

  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    faults.push(`${path}:${lines.linePos(pos[0]).line}: is not valid YAML: ${oneLine(message)}`)
  }
  const root = document.contents
  if (faults.length > 0 || root === null) return { given, faults }
  if (!isMap(root)) {
    if (!(isScalar(root) && root.value === null)) {
      faults.push(`${at(root)}: must be a mapping from flags to values`)
    }
    return { given, faults }
  }
  for (const { key, value } of root.items) {
    const name = isScalar(key) ? String(key.value) : undefined
    if (name === undefined || name === 'config' || !isFlagName(name)) {
      faults.push(`${at(key)}: ${unknownKey(name ?? '')}`)
      continue
    }
    const where = `${at(key)}: ${name}`
    const values = textsOf(value, serveFlags[name].kind, document)
    if (values === undefined)
      faults.push(fault(where, shown(value), expected[serveFlags[name].kind]))
    else given.set(name, { values, where })
  }
  return { given, faults }
}

const text = 'must be a string; put it in quotes'
const expected: Readonly<Record<FlagKind, string>> = {
  text,
  file: text,
  choice: text,
  switch: 'must be true or false, without quotes',
  number: 'must be a whole number, without quotes',
  duration: 'must be a duration such as 30s, 300ms or 1h30m',
  list: 'must be a string or a list of strings; put them in quotes',
  repeated: 'must be a string or a list of strings; put them in quotes',
}

/** The value as the command line would have it; `undefined` when it is of another type. */
function textsOf(node: unknown, kind: FlagKind, document: Document): readonly string[] | undefined {
  const value = scalarOf(node, document)
  switch (kind) {
    case 'text':
    case 'file':
    case 'choice':
      return typeof value === 'string' ? [value] : undefined
    case 'switch':
      return typeof value === 'boolean' ? [String(value)] : undefined
    case 'number':
      return typeof value === 'number' ? [String(value)] : undefined
    case 'duration':
      return typeof value === 'string' || value === 0 ? [String(value)] : undefined
    case 'list':
      return typeof value === 'string' ? splitList(value) : stringsOf(node, document)
    case 'repeated':
      return typeof value === 'string' ? [value] : stringsOf(node, document)
    default:
      return kind satisfies never
  }
}

function stringsOf(node: unknown, document: Document): readonly string[] | undefined {
  const list = isAlias(node) ? node.resolve(document) : node
  if (!isSeq(list)) return undefined
  const items = list.items.map(item => scalarOf(item, document))
  return items.every(item => typeof item === 'string') ? items : undefined
}

function scalarOf(node: unknown, document: Document): unknown {
  const resolved = isAlias(node) ? node.resolve(document) : node
  return isScalar(resolved) ? resolved.value : undefined
}

function unknownKey(name: string): string {
  const meant = nearest(name, flagNames)
  return `unknown key ${quoted(name)}${meant === undefined || meant === 'config' ? '' : `; did you mean ${meant}?`}`
}

function shown(node: unknown): string | undefined {
  return isScalar(node) ? (node.source ?? String(node.value)) : undefined
}

function rangeStart(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)
    ? (node.range?.[0] ?? undefined)
    : undefined
}

const oneLine = (message: string): string => message.split('\n', 1)[0]?.slice(0, 200) ?? ''
