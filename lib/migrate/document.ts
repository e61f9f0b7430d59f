import { parseAllDocuments } from 'yaml'
import { argsOfValues } from './chart-values.js'
import { wordsOf } from './command-line.js'
import { argsOfManifest, isManifest } from './manifest.js'
import { isMapping, type Mapping, type ReadInput } from './input.js'

/**
 * Reads what somebody has of a kube-oidc-proxy: chart values, a manifest with its container (of several
 * documents the one that has it), or a command line as a shell would take it.
 */
export function readInput(text: string): ReadInput {
  const roots = mappings(text)
  if (roots === undefined) return commandLine(wordsOf(text))
  const manifest = roots.find(isManifest)
  if (manifest !== undefined) return argsOfManifest(manifest)
  const [values] = roots
  if (roots.length === 1 && values !== undefined) return argsOfValues(values)
  const says = 'holds no chart values, no container of kube-oidc-proxy and no command line'
  return { ...commandLine([]), faults: [`the input ${says}`] }
}

export const commandLine = (args: readonly string[]): ReadInput => ({
  source: 'command line',
  args,
  beside: [],
  files: new Map(),
  faults: [],
})

/** The YAML mappings that a text consists of; `undefined` when it is another kind of text. */
function mappings(text: string): readonly Mapping[] | undefined {
  const documents = parseAllDocuments(text)
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0))
    return undefined
  const values = documents.map(document => document.toJS({ maxAliasCount: 100 }) as unknown)
  const present = values.filter(value => value !== null)
  return present.length > 0 && present.every(isMapping) ? present : undefined
}
