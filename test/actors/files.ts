import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Authority } from './certificates.js'

/** What of a test these actors need: somewhere to leave what must be done in the end. */
export interface Teardown {
  teardown(fn: () => unknown): unknown
}

/** A directory that goes with the test. */
export function tempDir(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface ServingFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** Writes a fresh serving certificate of this authority; again in the same place, to rotate it. */
export async function writeServing(directory: string, authority: Authority): Promise<ServingFiles> {
  const { cert, key } = await authority.issue()
  const files = { certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') }
  writeFileSync(files.certFile, cert)
  writeFileSync(files.keyFile, key, { mode: 0o600 })
  return files
}

export interface KubeconfigOptions {
  readonly server: string
  /** PEM; nothing where the server is plain HTTP. */
  readonly ca?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly clientCert?: { readonly cert: string; readonly key: string }
  readonly exec?: { readonly command: string; readonly args?: readonly string[] }
}

/** Writes a kubeconfig of one cluster, one user and one context; its path. (JSON is YAML.) */
export function writeKubeconfig(
  directory: string,
  options: KubeconfigOptions,
  name = 'kubeconfig',
): string {
  const { server, ca, token, tokenFile, clientCert, exec } = options
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const user = {
    ...(token !== undefined && { token }),
    ...(tokenFile !== undefined && { tokenFile }),
    ...(clientCert && {
      'client-certificate-data': base64(clientCert.cert),
      'client-key-data': base64(clientCert.key),
    }),
    ...(exec && {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        interactiveMode: 'Never',
        args: [],
        ...exec,
      },
    }),
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: { server, ...(ca && { 'certificate-authority-data': base64(ca) }) },
      },
    ],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  }
  const path = join(directory, name)
  writeFileSync(path, JSON.stringify(config, undefined, 2), { mode: 0o600 })
  return path
}
