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
import { buildFromDebian, debianNames, debianRelease } from './debian.js'

/** Paths of the programs that make a cluster. */
export interface Binaries {
  readonly etcd: string
  readonly 'kube-apiserver': string
  /** What plays the nodes; only Go builds it. */
  readonly nodes?: { readonly kwok: string; readonly 'exec-node': string }
}

/** There are no such programs, and no way to them; the message is a sentence for the terminal. */
export class NoBinaries extends Error {}

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  kwok: 'sigs.k8s.io/kwok/cmd/kwok',
  'exec-node': './exec-node',
} as const
type Name = keyof typeof packages
const names = Object.keys(packages) as readonly Name[]
const here = fileURLToPath(new URL('.', import.meta.url))

/**
 * Finds the programs: in the folder that `KUBEBUILDER_ASSETS` names; else in a cache folder of the user, named after the
 * versions that `go.mod` pins. What is in neither is built into the latter, once, when Go is at hand. Without Go it is
 * a control plane alone: the one of that folder; else Debian's, which is older, built once as well.
 * @throws NoBinaries
 */
export async function findBinaries(say: (line: string) => void): Promise<Binaries> {
  const assets = process.env['KUBEBUILDER_ASSETS']
  const folders = [...(assets === undefined ? [] : [assets]), cacheFolder(`e2e-${pinned()}`)]
  const missing = names.filter(name => find(name, folders) === undefined)
  if (missing.length > 0) {
    const fault = await faultOfGo()
    if (fault !== undefined) return await controlPlane(folders, { missing, fault }, say)
    await build(missing, cacheFolder(`e2e-${pinned()}`), say)
  }
  const nodes = { kwok: found('kwok', folders), 'exec-node': found('exec-node', folders) }
  return { ...pair(folders), nodes }
}

/** What there is without nodes. */
async function controlPlane(
  folders: readonly string[],
  { missing, fault }: { readonly missing: readonly Name[]; readonly fault: string },
  say: (line: string) => void,
): Promise<Binaries> {
  const without = 'what needs newer ones, or nodes, is skipped'
  if (debianNames.every(name => find(name, folders) !== undefined)) {
    say(`${fault}: the API server is tried without ${missing.join(' and ')}; ${without}`)
    return pair(folders)
  }
  const debian = debianRelease()
  if ('fault' in debian) {
    throw new NoBinaries(
      `not found: ${missing.join(', ')}. They are built with Go ${leastGo} or newer, but ${fault}. Install it (it fetches what go.mod asks for), or name a folder that has these programs in KUBEBUILDER_ASSETS. Nor can those of Debian be had: ${debian.fault}.`,
    )
  }
  const cache = cacheFolder(`e2e-debian-${debian.codename}`)
  say(`${fault}: taking the control plane of Debian ${debian.codename}; ${without}`)
  if (debianNames.some(name => find(name, [cache]) === undefined)) {
    say(`building it into ${cache}; this happens once, and takes a while`)
    await buildFromDebian(cache, debian.codename, say)
  }
  return pair([cache])
}

const pair = (folders: readonly string[]) => ({
  etcd: found('etcd', folders),
  'kube-apiserver': found('kube-apiserver', folders),
})

const find = (name: Name, folders: readonly string[]): string | undefined =>
  folders.map(folder => join(folder, name)).find(runnable)

function found(name: Name, folders: readonly string[]): string {
  const path = find(name, folders)
  if (path === undefined) throw new NoBinaries(`${name} is in none of ${folders.join(', ')}`)
  return path
}

/** The first line of what a program says of its version. */
export async function versionOf(path: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(path, args.length > 0 ? args : ['--version'])
  return stdout.trim().split('\n', 1)[0] ?? ''
}

async function build(
  missing: readonly Name[],
  cache: string,
  say: (line: string) => void,
): Promise<void> {
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

/** Says which programs are meant. */
function pinned(): string {
  const state = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'exec-node/main.go']) {
    state.update(read(name))
  }
  return state.digest('hex').slice(0, 16)
}

function cacheFolder(name: string): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return join(caches, 'impersonation-gateway', name)
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
