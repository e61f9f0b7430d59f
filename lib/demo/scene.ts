import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority } from './certificates.js'
import { startIssuer, type Issuer } from './issuer.js'
import { kubeconfig } from './kubeconfig.js'
import { startKubernetesApi, type KubernetesApi } from './kubernetes-api.js'

export interface SceneOptions {
  /** Where the files go; made when it is missing. */
  readonly folder: string
  /** Of the gateway, on 127.0.0.1. */
  readonly port: number
  /** A real cluster instead of the stand-in. */
  readonly cluster?: { readonly kubeconfig: string; readonly context?: string }
  /** How often something happens in the stand-in by itself. @default 2_000 ms */
  readonly activityMs?: number
}

/** Everything a gateway needs around it, set up; and how to start the gateway into it. */
export interface Scene {
  readonly issuer: Issuer
  /** Absent with a real cluster. */
  readonly api?: KubernetesApi
  /** Of `serve`, complete. */
  readonly serveFlags: readonly string[]
  /** File for kubectl: contexts alice and bob, whose tokens are good for an hour. */
  readonly kubeconfigFile: string
  close(): Promise<void>
}

/**
 * Sets the scene: an issuer, a Kubernetes API unless there is a real one, one authority for all of their
 * certificates, and in `folder`, readable by its owner alone, the files that the gateway and kubectl want.
 */
export async function setScene(options: SceneOptions): Promise<Scene> {
  const { folder, cluster } = options
  const closers: Array<() => Promise<void>> = []
  const close = async (): Promise<void> => {
    await Promise.all(closers.splice(0).map(end => end()))
  }
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const authority = await createAuthority()
    // Before a real cluster nobody may become alice by merely saying so.
    const issuer = await startIssuer({ authority, passwordless: cluster === undefined })
    closers.push(() => issuer.close())
    const activityMs = options.activityMs ?? 2_000
    const api = cluster ? undefined : await startKubernetesApi({ authority, activityMs })
    if (api) closers.push(() => api.close())

    const file = async (name: string, content: string): Promise<string> => {
      const path = join(folder, name)
      // A file that was there keeps its mode when it is written to.
      await rm(path, { force: true })
      await writeFile(path, content, { mode: 0o600, flag: 'wx' })
      return path
    }
    const serving = await authority.issue(['127.0.0.1', 'localhost'])
    const ca = await file('ca.crt', authority.ca)
    const cert = await file('serving.crt', serving.cert)
    const key = await file('serving.key', serving.key)
    const upstream = api ? await file('gateway.kubeconfig', forGateway(api)) : cluster?.kubeconfig
    const users = await Promise.all(
      ['alice', 'bob'].map(async name => ({ name, token: await issuer.tokenFor(name) })),
    )
    const server = `https://127.0.0.1:${options.port}`
    const clients = { server, ca: authority.ca, cluster: 'gateway', users }
    return {
      issuer,
      ...(api && { api }),
      kubeconfigFile: await file('kubeconfig', kubeconfig(clients)),
      serveFlags: [
        '--bind-address=127.0.0.1',
        `--secure-port=${options.port}`,
        '--admin-port=0',
        `--tls-cert-file=${cert}`,
        `--tls-private-key-file=${key}`,
        `--oidc-issuer-url=${issuer.url}`,
        `--oidc-client-id=${issuer.clientId}`,
        `--oidc-ca-file=${ca}`,
        '--oidc-username-claim=sub',
        '--oidc-username-prefix=-',
        '--oidc-groups-claim=groups',
        `--kubeconfig=${upstream}`,
        ...(cluster?.context === undefined ? [] : [`--context=${cluster.context}`]),
        // Of a real cluster people have an administrator's.
        ...(cluster ? ['--allow-overprivileged-credential'] : []),
        '--unsafe-use-service-account-token',
      ],
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function forGateway({ url, ca, gatewayToken }: KubernetesApi): string {
  const users = [{ name: 'gateway', token: gatewayToken }]
  return kubeconfig({ server: url, ca, cluster: 'stand-in', users })
}
