import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { debianSources, kubernetesVersion } from './debian-sources.js'

/** What Debian has of a control plane. */
export const debianNames = ['etcd', 'kube-apiserver'] as const

/** The name of the release, where this is Debian with its package tools; else why nothing can be had from there. */
export function debianRelease(): { readonly codename: string } | { readonly fault: string } {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  const [, codename] = /^VERSION_CODENAME=(\w+)$/m.exec(release) ?? []
  if (!/^ID=debian$/m.test(release) || codename === undefined) return { fault: 'this is no Debian' }
  const path = (process.env['PATH'] ?? '').split(delimiter)
  const missing = ['apt-get', 'apt-cache', 'dpkg-deb', 'dpkg-source'].filter(
    name => !path.some(folder => existsSync(join(folder, name))),
  )
  return missing.length > 0
    ? { fault: `there is no ${missing.join(', no ')} on PATH` }
    : { codename }
}

/**
 * Puts Debian's etcd, and a kube-apiserver built from Debian's source package with Debian's Go, into this folder.
 * Everything is fetched from where the machine has its packages, checked by apt, and unpacked beside the target:
 * nothing is installed, nor any setting of the machine changed, and no privilege is needed.
 * @throws with the end of what the failing command said
 */
export async function buildFromDebian(
  folder: string,
  codename: string,
  say: (line: string) => void,
): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const draft = mkdtempSync(join(folder, 'draft-'))
  try {
    say(`  the package lists of Debian ${codename} …`)
    const apt = aptIn(draft, codename)
    await apt('apt-get', 'update')
    const [, version = ''] =
      /golang-(\d+\.\d+)-go/.exec(await apt('apt-cache', 'depends', 'golang-go')) ?? []
    const names = ['etcd-server', `golang-${version}-go`, `golang-${version}-src`]
    say(`  ${names.join(', ')} and the sources of kubernetes …`)
    await apt('apt-get', 'download', ...names)
    await apt('apt-get', 'source', '--download-only', 'kubernetes')
    for (const file of readdirSync(draft).filter(name => name.endsWith('.deb'))) {
      await run('dpkg-deb', ['-x', file, 'root'], { cwd: draft })
    }
    const target = join(draft, 'kube-apiserver')
    await buildApiServer(draft, join(draft, 'root/usr/lib', `go-${version}`), target, say)
    renameSync(join(draft, 'root/usr/bin/etcd'), join(folder, 'etcd'))
    renameSync(target, join(folder, 'kube-apiserver'))
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

/** Runs commands of apt in a folder that has all of their state. */
function aptIn(folder: string, codename: string) {
  const sources = debianSources(sourcesOfMachine(), codename)
  if (sources === '') throw new Error(`no source of apt has Debian ${codename}, main`)
  for (const path of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(folder, path), { recursive: true })
  }
  writeFileSync(join(folder, 'debian.sources'), sources)
  const config = join(folder, 'apt.conf')
  // Read after the machine's, whose proxies and mirrors hold. What it does after an update is about its own lists.
  writeFileSync(
    config,
    `Dir::Etc::SourceList "${folder}/debian.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "${folder}/lists";
Dir::Cache "${folder}/cache";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`,
  )
  return (program: string, ...args: readonly string[]): Promise<string> =>
    run(program, ['-q', '-c', config, ...args], { cwd: folder })
}

function sourcesOfMachine() {
  const parts = '/etc/apt/sources.list.d'
  const names = existsSync(parts) ? readdirSync(parts).toSorted() : []
  return ['/etc/apt/sources.list', ...names.map(name => join(parts, name))]
    .filter(path => /\.(list|sources)$/.test(path) && existsSync(path))
    .map(name => ({ name, text: readFileSync(name, 'utf8') }))
}

/** As `make WHAT=cmd/kube-apiserver` would, without the programs that this wants. */
async function buildApiServer(
  draft: string,
  goroot: string,
  target: string,
  say: (line: string) => void,
): Promise<void> {
  const [description = ''] = readdirSync(draft).filter(name => name.endsWith('.dsc'))
  const version = kubernetesVersion(description.split('_')[1] ?? '')
  const name = 'k8s.io/kubernetes'
  const source = join(draft, 'go/src', name)
  mkdirSync(dirname(source), { recursive: true })
  await run('dpkg-source', ['--extract', description, source], { cwd: draft })
  const env = {
    PATH: `${join(goroot, 'bin')}:/usr/bin:/bin`,
    HOME: draft,
    GOROOT: goroot,
    GOPATH: join(draft, 'go'),
    GOCACHE: join(draft, 'go-cache'),
    GO111MODULE: 'off',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
  }
  let compiled = 0
  const built = (line: string): void => {
    if (/^\S+$/.test(line) && ++compiled % 100 === 0) say(`  ${compiled} packages compiled …`)
  }
  const go = (output: string, flags: readonly string[], path: string): Promise<string> =>
    run(
      'go',
      ['build', '-v', ...flags, '-o', output, `${name}/${path}`],
      { cwd: source, env },
      built,
    )

  say(`  kube-apiserver ${version}, with Debian's Go; some minutes …`)
  // The one file that is generated and not in the sources: the schemas of all types, which server-side apply reads.
  const generator = join(draft, 'openapi-gen')
  await go(generator, [], 'vendor/k8s.io/kube-openapi/cmd/openapi-gen')
  const schemas = [
    `--input-dirs=${packagesWithSchemas(source).join(',')}`,
    `--output-package=${name}/pkg/generated/openapi`,
    '--output-file-base=zz_generated.openapi',
    '--go-header-file=vendor/k8s.io/code-generator/hack/boilerplate.go.txt',
    `--report-filename=${join(draft, 'violations')}`,
  ]
  await run(generator, schemas, { cwd: source, env })
  const stamp = Object.entries({
    gitVersion: version,
    gitMajor: version.slice(1).split('.')[0],
    gitMinor: version.split('.')[1],
  }).map(([key, value]) => `-X ${name}/vendor/k8s.io/component-base/version.${key}=${value}`)
  await go(target, [`-ldflags=-s -w ${stamp.join(' ')}`], 'cmd/kube-apiserver')
}

function packagesWithSchemas(source: string): readonly string[] {
  const vendored = join(source, 'staging/src')
  const own = join(source, 'pkg/apis')
  const found = [vendored, own].flatMap(root =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter(path => path.endsWith('.go') && !/\/(code-generator|sample-apiserver)\//.test(path))
      .map(path => join(root, path))
      .filter(path => readFileSync(path).includes('+k8s:openapi-gen=')),
  )
  const packages = found.map(path =>
    dirname(path)
      .replace(vendored, 'k8s.io/kubernetes/vendor')
      .replace(own, 'k8s.io/kubernetes/pkg/apis'),
  )
  return [...new Set(packages)].toSorted()
}

interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** What it wrote to its standard output. @throws with the end of all that it said */
function run(
  program: string,
  args: readonly string[],
  { cwd, env }: RunOptions,
  heard: (line: string) => void = () => undefined,
): Promise<string> {
  const child = spawn(program, args, {
    cwd,
    env: { ...(env ?? process.env), LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out: string[] = []
  const all: string[] = []
  createInterface({ input: child.stdout }).on('line', line => (out.push(line), all.push(line)))
  createInterface({ input: child.stderr }).on('line', line => (all.push(line), heard(line)))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve(out.join('\n'))
      else reject(new Error(`${program}: status ${String(code)}\n${all.slice(-20).join('\n')}`))
    })
  })
}
