import { readCommandLine } from './command-line.js'
import { readDocument } from './document.js'
import { fault, reasonOf } from './fault.js'
import { readFromDisk } from './files.js'
import { flagNames, serveFlags, type FlagName, type Given, type GivenFlags } from './flags.js'
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
  return line.help ? { help: serveHelp() } : load(args, world, given => resolveServe(given, world))
}

/**
 * The same for a gateway that runs somewhere else: what only that machine has (certificates, kubeconfig) is
 * not looked for, and the settings say nothing of it.
 * @param here files that are here all the same
 */
export function loadElsewhere(
  args: readonly string[],
  world: World = {},
  here: readonly FlagName[] = [],
): Resolution {
  const env = { KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: '443' }
  return load(args, world, given =>
    resolveServe(
      new Map([...given].filter(([name]) => here.includes(name) || !ofTheMachine.has(name))),
      {
        ...world,
        env,
      },
    ),
  )
}

const ofTheMachine: ReadonlySet<FlagName> = new Set([
  ...flagNames.filter(name => serveFlags[name].kind === 'file'),
  'context',
])

function load(
  args: readonly string[],
  world: World,
  resolve: (given: GivenFlags) => Resolution,
): Resolution {
  const line = readCommandLine(args)
  const file = readConfig(line.given.get('config'), world.readFile ?? readFromDisk)
  const resolution = resolve(new Map([...file.given, ...line.given]))
  const faults = [
    ...line.faults,
    ...file.faults,
    ...('faults' in resolution ? resolution.faults : []),
  ]
  return faults.length > 0 ? { faults } : resolution
}

/** What of command line and file is in force, for `check` to tell. Faults are for `loadServe` to find. */
export function givenFlags(
  args: readonly string[],
  { readFile = readFromDisk }: World = {},
): GivenFlags {
  const { given } = readCommandLine(args)
  return new Map([...readConfig(given.get('config'), readFile).given, ...given])
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
