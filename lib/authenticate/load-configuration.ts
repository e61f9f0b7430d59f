import type { AnonymousAuthentication, ConfigurationFault, TokenRules } from './configuration.js'
import { readConfiguration } from './configuration-document.js'
import { validateConfiguration } from './configuration-validation.js'

/** A configuration that can be put in force. */
export interface LoadedConfiguration {
  readonly rules: readonly TokenRules[]
  readonly anonymous?: AnonymousAuthentication
}

/**
 * From the text of an `AuthenticationConfiguration` to the rules that tokens are judged by, or to everything that
 * is wrong with it.
 */
export function loadConfiguration(
  text: string,
): { readonly loaded: LoadedConfiguration } | { readonly faults: readonly ConfigurationFault[] } {
  const { configuration, faults, lineOf } = readConfiguration(text)
  if (configuration === undefined) return { faults }
  const result = validateConfiguration(configuration)
  if ('faults' in result) {
    return {
      faults: result.faults.map(fault => {
        const line = lineOf(fault.path)
        return line === undefined ? fault : { ...fault, line }
      }),
    }
  }
  const { anonymous } = configuration
  return { loaded: { rules: result.rules, ...(anonymous !== undefined && { anonymous }) } }
}

/** A fault as one line: `file:line: path "value": what to change`. */
export function describeFault(
  file: string,
  { path, line, value, says }: ConfigurationFault,
): string {
  const where = line === undefined ? file : `${file}:${line}`
  const what = [path, value === undefined ? '' : quoted(value)]
    .filter(part => part !== '')
    .join(' ')
  return what === '' ? `${where}: ${says}` : `${where}: ${what}: ${says}`
}

function quoted(value: string): string {
  const shown = value.length > 100 ? `${value.slice(0, 100)}…` : value
  return JSON.stringify(shown)
}
