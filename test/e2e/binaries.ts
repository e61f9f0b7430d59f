import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Paths of the programs that make a cluster. */
export interface Binaries {
  readonly etcd: string
  readonly 'kube-apiserver': string
  readonly kwok: string
  readonly 'exec-node': string
}

/** There are no such programs, and no way to them; the message is a sentence for the terminal. */
export class NoBinaries extends Error {}

const packages: Readonly<Record<keyof Binaries, string>> = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  kwok: 'sigs.k8s.io/kwok/cmd/kwok',
  'exec-node': './exec-node',
}
const names = Object.keys(packages) as readonly (keyof Binaries)[]
const here = fileURLToPath(new URL('.', import.meta.url))

/**
 * Finds the programs: in the folder that `KUBEBUILDER_ASSETS` names; else in a cache folder of the user, named after the
 * versions that `go.mod` pins. What is in neither is built into the latter, once, when Go is at hand.
 * @throws NoBinaries
 */
export async function findBinaries(say: (line: string) => void): Promise<Binaries> {
  const assets = process.env['KUBEBUILDER_ASSETS']
  const cache = cacheFolder()
  const path = (name: string): string | undefined =>
    [assets, cache]
      .filter(folder => folder !== undefined)
      .map(folder => join(folder, name))
      .find(runnable)
  const missing = names.filter(name => path(name) === undefined)
  if (missing.length > 0) await build(missing, cache, say)
  const found = (name: keyof Binaries): string => path(name) ?? join(cache, name)
  return {
    etcd: found('etcd'),
    'kube-apiserver': found('kube-apiserver'),
    kwok: found('kwok'),
    'exec-node': found('exec-node'),
  }
}

/** The first line of what a program says of its version. */
export async function versionOf(path: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(path, args.length > 0 ? args : ['--version'])
  return stdout.trim().split('\n', 1)[0] ?? ''
}

async function build(
  missing: readonly (keyof Binaries)[],
  cache: string,
  say: (line: string) => void,
): Promise<void> {
  const fault = await faultOfGo()
  if (fault !== undefined) {
    throw new NoBinaries(
      `not found: ${missing.join(', ')}. They are built with Go ${leastGo} or newer, but ${fault}. Install it (it fetches what go.mod asks for), or name a folder that has these programs in KUBEBUILDER_ASSETS.`,
    )
  }
  say(`building ${missing.join(', ')} into ${cache}; this happens once, and takes a while`)
  mkdirSync(cache, { recursive: true })
  // A program that is half written is never found under its name.
  const draft = mkdtempSync(join(cache, 'draft-'))
  try {
    for (const name of missing) {
      say(`  ${name} …`)
      const target = join(draft, name)
      await compile(target, packages[name], say)
      renameSync(target, join(cache, name))
    }
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

/** Since this version Go fetches the newer one that a module asks for. */
const leastGo = '1.21'

/** Why nothing can be built, if so. */
async function faultOfGo(): Promise<string | undefined> {
  const go = (process.env['PATH'] ?? '').split(delimiter).some(one => runnable(join(one, 'go')))
  if (!go) return 'there is no go on PATH'
  const said = await versionOf('go', 'version')
  const [, major = 0, minor = 0] = /go(\d+)\.(\d+)/.exec(said)?.map(Number) ?? []
  const [leastMajor = 0, leastMinor = 0] = leastGo.split('.').map(Number)
  const isOld = major < leastMajor || (major === leastMajor && minor < leastMinor)
  return isOld ? `the one on PATH says ${said}` : undefined
}

function compile(target: string, source: string, say: (line: string) => void): Promise<void> {
  const args = [
    'build',
    '-buildvcs=false',
    `-ldflags=-s -w ${versionStamp()}`,
    '-o',
    target,
    source,
  ]
  const child = spawn('go', args, { cwd: here, stdio: ['ignore', 'inherit', 'pipe'] })
  const last: string[] = []
  createInterface({ input: child.stderr }).on('line', line => {
    last.push(line)
    if (line.startsWith('go: downloading')) say(`  ${line}`)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve()
      else reject(new Error(`go build ${source}: status ${code}\n${last.slice(-20).join('\n')}`))
    })
  })
}

/** What kube-apiserver says of its version is written into it when it is linked; `go build` alone does not. */
function versionStamp(): string {
  const [, version = ''] = /k8s\.io\/kubernetes (v\S+)/.exec(read('go.mod').toString()) ?? []
  const [major = '', minor = ''] = version.slice(1).split('.')
  const stamped = { gitVersion: version, gitMajor: major, gitMinor: minor }
  return Object.entries(stamped)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(' ')
}

const read = (name: string): Buffer => readFileSync(join(here, name))

function cacheFolder(): string {
  const state = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'exec-node/main.go']) {
    state.update(read(name))
  }
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return join(caches, 'impersonation-gateway', `e2e-${state.digest('hex').slice(0, 16)}`)
}

function runnable(path: string): boolean {
  if (!existsSync(path)) return false
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
