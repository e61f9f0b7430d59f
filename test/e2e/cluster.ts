import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createAuthority, type Authority, type KeyPair } from '../actors/certificates.js'
import { writeKubeconfig } from '../actors/files.js'
import { apiClient, type ApiClient } from './api-client.js'
import type { Binaries } from './binaries.js'
import { kwokConfiguration } from './kwok-configuration.js'
import { freePorts, startServer, type ServerProcess } from './server-process.js'

/** One kube-apiserver. */
export interface ApiServer {
  readonly url: string
  readonly auditLog: string
}

/** A Kubernetes cluster whose control plane is real and whose nodes are not, or not there. */
export interface Cluster {
  readonly ca: string
  /** Of `system:masters`. */
  readonly admin: KeyPair
  /** Knows no issuer. */
  readonly apiServer: ApiServer
  /** Of the same cluster; takes the issuer's tokens itself, with names that begin with `oidc:`. */
  readonly trusting: ApiServer
  /** What both of them are started with, save for their ports and logs of audit. */
  readonly apiServerFlags: readonly string[]
  /** Where commands on the nodes run. */
  readonly nodeFolder: string
  /** What `logs` shows and `attach` follows, in the format of container runtimes. */
  readonly containerLog: string
  /** Whether anything answers where kubelets would. */
  readonly nodes: boolean
  /** Addresses of kubelets, by the name of the node. */
  readonly kubeletPorts: Readonly<Record<'kwok' | 'exec', number>>
  close(): Promise<void>
}

export interface ClusterOptions {
  readonly binaries: Binaries
  readonly folder: string
  readonly issuer: { readonly url: string; readonly ca: string; readonly clientId: string }
  /** On 127.0.0.1: where a port-forward to any pod ends. */
  readonly forwardedPort: number
}

/**
 * Starts etcd, two kube-apiservers (RBAC on, anonymous off), kwok for the nodes, and a node that runs commands
 * as a kubelet does, as far as there are programs for nodes; all on the loopback. Resolves when all of them are ready.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { binaries, folder } = options
  const running: ServerProcess[] = []
  const close = async (): Promise<void> => {
    // etcd last: an API server without it takes its time to stop.
    for (const server of running.splice(0).toReversed()) await server.stop()
  }
  try {
    const [etcd = 0, peer = 0, plain = 0, trusting = 0, kwok = 0, exec = 0] = await freePorts(6)
    const authority = createAuthority('cluster')
    const files = await writeFiles(folder, authority, options)
    const start: Start = (name, path, args) => {
      const server = startServer(name, path, args, { folder })
      running.push(server)
      return server
    }
    await start('etcd', binaries.etcd, etcdFlags(join(folder, 'etcd'), etcd, peer)).ready(() =>
      answers(`http://127.0.0.1:${etcd}/health`),
    )

    const admin = await authority.issue({
      client: { commonName: 'admin', organizations: ['system:masters'] },
    })
    const common = commonFlags(files, etcd)
    const apiServer = async (name: string, port: number, extra: readonly string[]) => {
      const auditLog = join(folder, `${name}-audit.log`)
      const url = `https://127.0.0.1:${port}`
      const flags = [...common, `--secure-port=${port}`, `--audit-log-path=${auditLog}`]
      const client = apiClient({ url, ca: authority.ca }, admin)
      try {
        await start(name, binaries['kube-apiserver'], [...flags, ...extra]).ready(async () =>
          isUsable(client),
        )
      } finally {
        client.close()
      }
      return { url, auditLog }
    }
    const first = await apiServer('kube-apiserver', plain, [])
    const second = await apiServer('kube-apiserver-trusting', trusting, [
      `--oidc-issuer-url=${options.issuer.url}`,
      `--oidc-client-id=${options.issuer.clientId}`,
      `--oidc-ca-file=${files.issuerCa}`,
      '--oidc-username-claim=sub',
      '--oidc-username-prefix=oidc:',
      '--oidc-groups-claim=groups',
      '--oidc-groups-prefix=oidc:',
    ])

    const ports = { kwok, exec }
    if (binaries.nodes !== undefined) {
      const server = { url: first.url, ca: authority.ca, admin }
      await startNodes(start, binaries.nodes, { server, files, ports })
    }
    return {
      ca: authority.ca,
      admin,
      apiServer: first,
      trusting: second,
      apiServerFlags: common,
      nodeFolder: files.nodeFolder,
      containerLog: files.containerLog,
      nodes: binaries.nodes !== undefined,
      kubeletPorts: ports,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

type Start = (name: string, path: string, args: readonly string[]) => ServerProcess

interface NodesOptions {
  readonly server: { readonly url: string; readonly ca: string; readonly admin: KeyPair }
  readonly files: Files
  readonly ports: Cluster['kubeletPorts']
}

async function startNodes(
  start: Start,
  programs: NonNullable<Binaries['nodes']>,
  { server: { url, ca, admin }, files, ports }: NodesOptions,
): Promise<void> {
  const kubeconfig = writeKubeconfig(
    files.folder,
    { server: url, ca, clientCert: admin },
    'kwok.kubeconfig',
  )
  await start('kwok', programs.kwok, [
    `--config=${files.kwok}`,
    `--kubeconfig=${kubeconfig}`,
    '--manage-all-nodes=true',
    '--node-ip=127.0.0.1',
    `--node-port=${ports.kwok}`,
    `--server-address=127.0.0.1:${ports.kwok}`,
    `--tls-cert-file=${files.cert}`,
    `--tls-private-key-file=${files.key}`,
  ]).ready(() => answers(`http://127.0.0.1:${ports.kwok}/healthz`))
  const execNode = start('exec-node', programs['exec-node'], [
    `--listen=127.0.0.1:${ports.exec}`,
    `--tls-cert-file=${files.cert}`,
    `--tls-private-key-file=${files.key}`,
    `--client-ca-file=${files.ca}`,
    `--folder=${files.nodeFolder}`,
  ])
  const kubelet = apiClient({ url: `https://127.0.0.1:${ports.exec}`, ca }, admin)
  await execNode.ready(async () => (await kubelet.ask('GET', '/healthz')).status === 200)
  kubelet.close()
}

const etcdFlags = (data: string, port: number, peer: number): readonly string[] => [
  `--data-dir=${data}`,
  `--listen-client-urls=http://127.0.0.1:${port}`,
  `--advertise-client-urls=http://127.0.0.1:${port}`,
  `--listen-peer-urls=http://127.0.0.1:${peer}`,
  `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
  `--initial-cluster=default=http://127.0.0.1:${peer}`,
  '--unsafe-no-fsync',
  '--log-level=warn',
]

const commonFlags = (files: Files, etcd: number): readonly string[] => [
  `--etcd-servers=http://127.0.0.1:${etcd}`,
  '--bind-address=127.0.0.1',
  '--advertise-address=127.0.0.1',
  '--endpoint-reconciler-type=none',
  `--tls-cert-file=${files.cert}`,
  `--tls-private-key-file=${files.key}`,
  `--client-ca-file=${files.ca}`,
  '--anonymous-auth=false',
  '--authorization-mode=RBAC',
  // No controller makes the service accounts that it wants.
  '--disable-admission-plugins=ServiceAccount',
  '--service-cluster-ip-range=10.0.0.0/24',
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-key-file=${files.serviceAccountKey}`,
  `--service-account-signing-key-file=${files.serviceAccountKey}`,
  `--kubelet-client-certificate=${files.kubeletClientCert}`,
  `--kubelet-client-key=${files.kubeletClientKey}`,
  `--kubelet-certificate-authority=${files.ca}`,
  '--kubelet-preferred-address-types=InternalIP',
  `--audit-policy-file=${files.auditPolicy}`,
]

type Files = Awaited<ReturnType<typeof writeFiles>>

async function writeFiles(folder: string, authority: Authority, options: ClusterOptions) {
  const file = (name: string, content: string): string => {
    const path = join(folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const nodeFolder = join(folder, 'node')
  mkdirSync(nodeFolder)
  const containerLog = file('container.log', '')
  const serving = await authority.issue()
  const kubeletClient = await authority.issue({
    client: { commonName: 'kube-apiserver', organizations: ['kubelet-clients'] },
  })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    folder,
    ca: file('ca.crt', authority.ca),
    cert: file('serving.crt', serving.cert),
    key: file('serving.key', serving.key),
    kubeletClientCert: file('kubelet-client.crt', kubeletClient.cert),
    kubeletClientKey: file('kubelet-client.key', kubeletClient.key),
    serviceAccountKey: file(
      'service-account.key',
      privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    ),
    issuerCa: file('issuer-ca.crt', options.issuer.ca),
    auditPolicy: file('audit-policy.json', JSON.stringify(auditPolicy)),
    kwok: file(
      'kwok.yaml',
      kwokConfiguration({ nodeFolder, containerLog, forwardedPort: options.forwardedPort }),
    ),
    nodeFolder,
    containerLog,
  }
}

const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
}

/** Its default roles and namespaces are there too. */
async function isUsable(client: ApiClient): Promise<boolean> {
  for (const path of ['/readyz', '/api/v1/namespaces/default']) {
    if ((await client.ask('GET', path)).status !== 200) return false
  }
  return true
}

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const asked = request(url, { agent: false }, response => {
      response.resume()
      response.once('end', () => resolve(response.statusCode === 200))
    })
    asked.once('error', reject)
    asked.end()
  })
