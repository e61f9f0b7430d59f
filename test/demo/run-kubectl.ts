import { execFile, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { kubeconfig } from '../../lib/demo/kubeconfig.js'
import { unpackKubectl } from '../../lib/demo/kubectl.js'

export interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

export interface Kubectl {
  /** Its own, for files. */
  readonly folder: string
  /** Runs to its end. */
  run(...args: readonly string[]): Promise<Said>
  /** Runs until its output has that text; resolves with the output so far. */
  until(text: string, ...args: readonly string[]): Promise<string>
}

/** The real kubectl 1.35, with a home of its own: nothing of the machine's configuration is seen. */
export async function kubectlFor(
  t: Test,
  api: { readonly url: string; readonly ca: string },
  tokens: Readonly<Record<string, string>>,
): Promise<Kubectl> {
  const { kubectl } = await unpackKubectl()
  const folder = t.testdir()
  const users = Object.entries(tokens).map(([name, token]) => ({ name, token }))
  const config = join(folder, 'kubeconfig')
  await writeFile(config, kubeconfig({ server: api.url, ca: api.ca, cluster: 'test', users }))
  return kubectlWith(kubectl, config, folder)
}

/** The same, with a kubeconfig that is there. */
export function kubectlWith(kubectl: string, config: string, folder: string): Kubectl {
  const env = { HOME: folder, KUBECONFIG: config, PATH: '/usr/bin:/bin' }
  const cached = [`--cache-dir=${join(folder, 'cache')}`]
  return {
    folder,
    run: (...args) =>
      new Promise(resolve => {
        execFile(kubectl, [...cached, ...args], { env }, (error, out, err) => {
          resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, err })
        })
      }),
    until: (text, ...args) =>
      new Promise((resolve, reject) => {
        const child = spawn(kubectl, [...cached, ...args], { env })
        let said = ''
        const hear = (chunk: Buffer): void => {
          said += chunk.toString('utf8')
          if (said.includes(text)) child.kill()
        }
        child.stdout.on('data', hear)
        child.stderr.on('data', hear)
        child.once('error', reject)
        child.once('close', () => {
          if (said.includes(text)) resolve(said)
          else reject(new Error(`kubectl ended without saying ${text}: ${said}`))
        })
      }),
  }
}
