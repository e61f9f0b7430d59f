import { setTimeout as pause } from 'node:timers/promises'
import { apiClient, type ApiClient } from './api-client.js'
import type { Cluster } from './cluster.js'

/** Who there is at the issuer. */
export const users = {
  alice: { email: 'alice@example.com', groups: ['developers', 'ünïcode ✓'] },
  bob: { email: 'bob@example.com', groups: ['viewers'] },
  /** Nobody gave her anything. */
  carol: { email: 'carol@example.com', groups: [] },
} as const

/** What the cluster calls them, as the gateways of the tests map them. */
export const mapped = (name: string): string => `oidc:${name}`

/**
 * Puts into a fresh cluster what the tests find there: two nodes, a pod on each, and what developers and viewers
 * may. Resolves when the pods run, or are said to where no node looks after them.
 */
export async function seed(cluster: Cluster): Promise<void> {
  const { apiServer, ca, admin, kubeletPorts } = cluster
  const client = apiClient({ url: apiServer.url, ca }, admin)
  try {
    for (const [path, object] of objects) await client.must('POST', path, { body: object })
    for (const [name, port] of Object.entries(kubeletPorts)) await addNode(client, name, port)
    for (const [name, node] of Object.entries(pods)) await addPod(client, name, node)
    for (const name of Object.keys(pods)) {
      if (!cluster.nodes) await sayItRuns(client, name)
      await runs(client, name)
    }
  } finally {
    client.close()
  }
}

/** `web` lives with kwok; `shell` where commands get their standard input's end, and exit codes arrive. */
const pods = { web: 'kwok', shell: 'exec' } as const

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const all = ['*']
const reading = ['get', 'list', 'watch']

const objects: readonly (readonly [path: string, object: object])[] = [
  role('developer', [
    {
      apiGroups: [''],
      resources: ['pods', 'pods/log', 'pods/exec', 'pods/attach', 'pods/portforward', 'configmaps'],
      verbs: all,
    },
    { apiGroups: [''], resources: ['namespaces', 'nodes', 'events'], verbs: reading },
  ]),
  bind('developer', { kind: 'Group', name: mapped('developers') }),
  role('viewer', [
    { apiGroups: [''], resources: ['pods', 'configmaps', 'namespaces'], verbs: reading },
  ]),
  bind('viewer', { kind: 'Group', name: mapped('viewers') }),
]

function role(name: string, rules: readonly object[]): readonly [string, object] {
  return [`${rbac}/clusterroles`, { metadata: { name }, rules }]
}

function bind(name: string, subject: object): readonly [string, object] {
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }
  const group = 'namespace' in subject ? '' : 'rbac.authorization.k8s.io'
  const subjects = [{ apiGroup: group, ...subject }]
  return [`${rbac}/clusterrolebindings`, { metadata: { name }, roleRef, subjects }]
}

async function addNode(client: ApiClient, name: string, port: number): Promise<void> {
  await client.must('POST', '/api/v1/nodes', { body: { metadata: { name } } })
  await client.must('PATCH', `/api/v1/nodes/${name}/status`, {
    headers: { 'Content-Type': 'application/merge-patch+json' },
    body: {
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
      },
    },
  })
}

async function addPod(client: ApiClient, name: string, nodeName: string): Promise<void> {
  await client.must('POST', '/api/v1/namespaces/default/pods', {
    body: {
      metadata: { name, labels: { app: name } },
      spec: { nodeName, containers: [{ name: 'main', image: 'none' }] },
    },
  })
}

async function sayItRuns(client: ApiClient, name: string): Promise<void> {
  const main = { name: 'main', image: 'none', imageID: '', ready: true, restartCount: 0 }
  await client.must('PATCH', `/api/v1/namespaces/default/pods/${name}/status`, {
    headers: { 'Content-Type': 'application/merge-patch+json' },
    body: {
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ ...main, state: { running: {} } }],
      },
    },
  })
}

async function runs(client: ApiClient, name: string): Promise<void> {
  for (let left = 240; left > 0; left -= 1) {
    const pod = await client.must('GET', `/api/v1/namespaces/default/pods/${name}`)
    const { status } = pod.json() as { readonly status: { readonly phase: string } }
    if (status.phase === 'Running') return
    await pause(250)
  }
  throw new Error(`pod ${name} does not run: kwok did not look after it`)
}
