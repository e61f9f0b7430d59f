import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { KubeConfig, type Cluster as KubeCluster } from '@kubernetes/client-node'
import { credentialOf, serviceAccount, type CredentialSource } from './credential.js'

export interface TargetOptions {
  /** Path of a kubeconfig; without it, the cluster that this process runs in. */
  readonly kubeconfig?: string
  /** @default the kubeconfig's current context */
  readonly context?: string
  /** Whether the kubeconfig user's (or service account's) credential is used. Without it, it is never read. */
  readonly useOwnCredential: boolean
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv
}

/** A cluster that cannot be used as configured; the message says what to change. */
export class ClusterFault extends Error {
  override readonly name = 'ClusterFault'
  /** One line a fault, as the command line reports them. */
  readonly faults: readonly string[]

  constructor(message: string) {
    super(message)
    this.faults = [message]
  }
}

/** Where an API server is, how it is trusted, and where our credential for it comes from. */
export interface Target {
  readonly url: URL
  readonly ca: string | undefined
  readonly serverName: string | undefined
  readonly verify: boolean
  readonly namespace: string
  readonly source: CredentialSource | undefined
}

/**
 * Finds the API server that the options name, as it stands now.
 * @param last what was found before: a source of credentials that is still the same goes on with what it has
 * @throws ClusterFault, or what the source of credentials says
 */
export function findTarget(options: TargetOptions, last?: Target): Target {
  return options.kubeconfig === undefined
    ? inCluster(options, last)
    : fromKubeconfig(options.kubeconfig, options, last)
}

function inCluster({ useOwnCredential, env = process.env }: TargetOptions, last?: Target): Target {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = env['KUBERNETES_SERVICE_PORT']
  if (host === undefined || port === undefined) {
    throw new ClusterFault('no API server: give --kubeconfig, or run inside a cluster')
  }
  return {
    url: serverUrl(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    ca: authority(
      readText('/var/run/secrets/kubernetes.io/serviceaccount/ca.crt', 'the cluster CA'),
      'the cluster CA',
    ),
    serverName: undefined,
    verify: true,
    namespace: ownNamespace(),
    source: useOwnCredential ? (last?.source ?? serviceAccount()) : undefined,
  }
}

/** Only what is asked about depends on it: a pod without the file is no fault. */
function ownNamespace(): string {
  const path = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'
  try {
    const namespace = readFileSync(path, 'utf8').trim()
    return namespace === '' ? 'default' : namespace
  } catch {
    return 'default'
  }
}

function fromKubeconfig(
  path: string,
  { context, useOwnCredential }: TargetOptions,
  last?: Target,
): Target {
  const text = readText(path, '--kubeconfig')
  const config = new KubeConfig()
  try {
    config.loadFromString(text)
    config.makePathsAbsolute(dirname(path))
  } catch (error) {
    throw new ClusterFault(`--kubeconfig ${path} is not a kubeconfig${placeOf(error)}`)
  }
  if (context !== undefined) config.setCurrentContext(context)
  const current = config.getContextObject(config.getCurrentContext())
  if (!current) {
    throw new ClusterFault(
      `--kubeconfig ${path} has no context "${config.getCurrentContext()}"; it has ${
        config
          .getContexts()
          .map(({ name }) => `"${name}"`)
          .join(', ') || 'none'
      }`,
    )
  }
  const cluster = config.getCluster(current.cluster)
  if (!cluster) throw new ClusterFault(`--kubeconfig ${path} has no cluster "${current.cluster}"`)
  if (cluster.proxyUrl !== undefined) {
    throw new ClusterFault(`cluster "${cluster.name}" has a proxy-url, which is not supported`)
  }
  return {
    url: serverUrl(cluster.server),
    ca: authorityOf(cluster),
    serverName: cluster.tlsServerName,
    verify: !cluster.skipTLSVerify,
    namespace: current.namespace ?? 'default',
    source: useOwnCredential
      ? credentialOf({ text, path, user: current.user, cluster }, last?.source)
      : undefined,
  }
}

function authorityOf({ name, caData, caFile }: KubeCluster): string | undefined {
  const what = `the CA of cluster "${name}"`
  if (caData !== undefined) return authority(Buffer.from(caData, 'base64').toString('utf8'), what)
  return caFile === undefined ? undefined : authority(readText(caFile, what), what)
}

/** Node takes any text for a CA, and then trusts nobody: a file half written must keep the last good. */
function authority(pem: string, what: string): string {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
  try {
    for (const certificate of certificates) void new X509Certificate(certificate)
  } catch (error) {
    throw new ClusterFault(`${what} holds what is no certificate: ${said(error)}`)
  }
  if (certificates.length === 0) throw new ClusterFault(`${what} holds no certificate`)
  return pem
}

/** Where a YAML parser stumbled. Its words would quote the file, and with it a token. */
function placeOf(error: unknown): string {
  const mark: unknown = error instanceof Error && 'mark' in error ? error.mark : undefined
  if (typeof mark !== 'object' || mark === null || !('line' in mark)) return ''
  return `: look at line ${Number(mark.line) + 1}`
}

function serverUrl(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/
  if (!url || url.search !== '' || url.hash !== '' || url.username !== '') {
    // Not quoted: it may hold a password.
    throw new ClusterFault("the API server's address is not a URL of scheme, host and path")
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback.test(url.hostname))) {
    throw new ClusterFault(
      `the API server's address "${server}" must be https: credentials go over it`,
    )
  }
  return url
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ClusterFault(`${what} cannot be read: ${said(error)}`)
  }
}

/** One line: those that follow in the messages of YAML parsers quote the file, and with it its secrets. */
export const said = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!
