import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { commandLine, readInput } from '../lib/migrate/document.js'
import { peers } from '../lib/migrate/peer-flags.js'
import { asConfig, asJson, asText } from '../lib/migrate/report.js'
import { translate, type Here } from '../lib/migrate/translate.js'
import { fault, quoted, reasonOf } from '../lib/settings/fault.js'
import { isFlagName, serveFlags, type Flag } from '../lib/settings/flags.js'
import { loadElsewhere } from '../lib/settings/load.js'

const help = `Usage: impersonation-gateway migrate [flags] <file>
       impersonation-gateway migrate [flags] [--] [kube-oidc-proxy] <its flags>

Translates what configures a kube-oidc-proxy into the flags of serve, and says what is different. The
file, or standard input for "-", holds values of its chart, a manifest with its container, or its command
line; or the flags of kube-oidc-proxy follow as they are. Nothing is read from a cluster.

The same flags can give people another user name here. Without being told which one is meant, that is a
fault: RBAC that names the old one would no longer apply, or apply to somebody else.

  --username-prefix=<which>  keep: user names stay what they were; new: they are made as kube-apiserver
                             makes them from the same flags, and RBAC has to follow
  --from=<repository>        whose kube-oidc-proxy it is: ${peers.join(', ')}; by default what the image
                             or the flags tell, else ${peers[0]}
  --sample-user=<value>      the claim of which the old and new user name are shown; by default alice
  --sample-group=<value>     the same of a group; by default developers
  -o, --output=<format>      text (default); config: the file of --config; json
  --help                     says this

Exit status: 0 done; 2 it cannot be translated as it stands, one line a fault on standard error.
`

const usernames = ['keep', 'new'] as const
const formats = new Map([
  ['text', asText],
  ['config', asConfig],
  ['json', asJson],
])
const choices = {
  'username-prefix': usernames,
  from: peers,
  output: [...formats.keys()],
  'sample-user': undefined,
  'sample-group': undefined,
} as const
type Own = keyof typeof choices

/** `migrate`: prints the translation. Resolves with the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const asked = read(args)
  if (asked.help) {
    process.stdout.write(help)
    return 0
  }
  const faults = [...asked.faults]
  let input = commandLine(asked.rest)
  if (asked.rest.length === 0 && faults.length === 0) {
    faults.push(
      'what to translate is missing: a file, or the flags of kube-oidc-proxy; --help says how',
    )
  }
  const [file] = asked.rest
  if (asked.rest.length === 1 && file !== undefined && (file === '-' || !file.startsWith('-'))) {
    try {
      input = readInput(file === '-' ? await text(process.stdin) : readFileSync(file, 'utf8'))
    } catch (error) {
      faults.push(fault('the file', file, `cannot be read: ${reasonOf(error)}`))
    }
  }
  const translated =
    faults.length > 0
      ? { faults }
      : translate(input, {
          here,
          peer: peers.find(peer => peer === asked.own.get('from')),
          usernames: usernames.find(which => which === asked.own.get('username-prefix')),
          sampleUser: asked.own.get('sample-user'),
          sampleGroup: asked.own.get('sample-group'),
          readFile: path => readFileSync(path, 'utf8'),
        })
  if ('faults' in translated) {
    for (const line of translated.faults) process.stderr.write(`${line}\n`)
    return 2
  }
  const print = formats.get(asked.own.get('output') ?? 'text') ?? asText
  process.stdout.write(print(translated))
  return 0
}

interface Asked {
  readonly help: boolean
  readonly own: ReadonlyMap<Own, string>
  /** What is not this command's: the other program's, or a file. */
  readonly rest: readonly string[]
  readonly faults: readonly string[]
}

function read(args: readonly string[]): Asked {
  const own = new Map<Own, string>()
  const rest: string[] = []
  const faults: string[] = []
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--') {
      rest.push(...args.slice(at + 1))
      break
    }
    if (arg === '--help' || arg === '-h') return { help: true, own, rest, faults }
    const [, dashed = '', written] = /^(--[a-z-]+|-o)(?:=([^]*))?$/.exec(arg) ?? []
    const name = dashed === '-o' ? 'output' : dashed.slice(2)
    if (!isOwn(name)) {
      rest.push(arg)
      continue
    }
    const value = written ?? args[++at] ?? ''
    const allowed: readonly string[] | undefined = choices[name]
    if (value === '') faults.push(`--${name}: needs a value`)
    else if (allowed?.includes(value) === false) {
      faults.push(fault(`--${name}`, value, `must be one of ${allowed.join(', ')}`))
    } else if (own.has(name) && own.get(name) !== value) {
      faults.push(`--${name}: is given more than once, the last time as ${quoted(value)}`)
    }
    own.set(name, value)
  }
  return { help: false, own, rest, faults }
}

const isOwn = (name: string): name is Own => Object.hasOwn(choices, name)

/** What this version of `serve` takes. */
const here: Here = {
  has: isFlagName,
  takes: (name, choice) => {
    const flag: Flag | undefined = isFlagName(name) ? serveFlags[name] : undefined
    return flag?.choices?.includes(choice) === true
  },
  faultsOf: args => {
    // With an AuthenticationConfiguration the issuer is in a file, and files are of another machine.
    const inFile = args.some(arg => arg.startsWith('--authentication-config='))
    const issuer = ['--oidc-issuer-url=https://in.file', '--oidc-client-id=in-file']
    const loaded = loadElsewhere(inFile ? [...args, ...issuer] : args)
    return 'faults' in loaded ? loaded.faults : []
  },
}
