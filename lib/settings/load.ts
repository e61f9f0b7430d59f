import { readCommandLine } from './command-line.js'
import { readDocument } from './document.js'
import { fault, reasonOf } from './fault.js'
import { readFromDisk } from './files.js'
import type { FlagName, Given } from './flags.js'
import { serveHelp } from './help.js'
import { resolveServe, type Resolution, type World } from './resolve.js'

/**
 * From the arguments of `serve` to its settings, or to every fault of command line, file and files they
 * name; or to the help, when that was asked for. A flag on the command line replaces the file's
 * altogether, a list too.
 */
export function loadServe(
  args: readonly string[],
  world: World = {},
): Resolution | { readonly help: string } {
  const line = readCommandLine(args)
  if (line.help) return { help: serveHelp() }
  const file = readConfig(line.given.get('config'), world.readFile ?? readFromDisk)
  const resolution = resolveServe(new Map([...file.given, ...line.given]), world)
  const faults = [
    ...line.faults,
    ...file.faults,
    ...('faults' in resolution ? resolution.faults : []),
  ]
  return faults.length > 0 ? { faults } : resolution
}

interface Read {
  readonly given: ReadonlyMap<FlagName, Given>
  readonly faults: readonly string[]
}

function readConfig(config: Given | undefined, readFile: NonNullable<World['readFile']>): Read {
  const none = new Map<FlagName, Given>()
  if (config === undefined) return { given: none, faults: [] }
  const path = config.values[0] ?? ''
  if (path === '') {
    return { given: none, faults: [fault(config.where, path, 'must name a file')] }
  }
  try {
    return readDocument(readFile(path).toString('utf8'), path)
  } catch (error) {
    const says = `cannot be read: ${reasonOf(error)}`
    return { given: none, faults: [fault(config.where, path, says)] }
  }
}
