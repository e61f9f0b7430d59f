import { stringify } from 'yaml'

export interface KwokOptions {
  readonly nodeFolder: string
  readonly containerLog: string
  readonly forwardedPort: number
}

/**
 * What kwok does with nodes and pods: nodes are ready, pods run as soon as they are there and go as soon as
 * they are told to; commands run on this machine; every log is one file; every forwarded port is one port.
 */
export function kwokConfiguration(options: KwokOptions): string {
  const { nodeFolder, containerLog, forwardedPort } = options
  const documents = [
    stage(
      'node-ready',
      'Node',
      [notYet('.status.conditions.[] | select(.type == "Ready") | .status', 'True')],
      {
        statusTemplate: nodeStatus,
      },
    ),
    stage('pod-running', 'Pod', [notYet('.status.phase', 'Running'), stays], {
      statusTemplate: podStatus,
    }),
    stage('pod-gone', 'Pod', [{ key: '.metadata.deletionTimestamp', operator: 'Exists' }], {
      finalizers: { empty: true },
      delete: true,
    }),
    everywhere('ClusterExec', { execs: [{ local: { workDir: nodeFolder } }] }),
    everywhere('ClusterLogs', { logs: [{ logsFile: containerLog, follow: true }] }),
    everywhere('ClusterAttach', { attaches: [{ logsFile: containerLog }] }),
    everywhere('ClusterPortForward', {
      forwards: [{ target: { address: '127.0.0.1', port: forwardedPort } }],
    }),
  ]
  return documents.map(document => stringify(document)).join('---\n')
}

const apiVersion = 'kwok.x-k8s.io/v1alpha1'

const stage = (name: string, kind: string, matchExpressions: readonly object[], next: object) => ({
  apiVersion,
  kind: 'Stage',
  metadata: { name },
  spec: { resourceRef: { apiGroup: 'v1', kind }, selector: { matchExpressions }, next },
})

const everywhere = (kind: string, spec: object) => ({
  apiVersion,
  kind,
  metadata: { name: 'everywhere' },
  spec,
})

const notYet = (key: string, value: string) => ({ key, operator: 'NotIn', values: [value] })
const stays = { key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' }

const nodeStatus = `
phase: Running
conditions:
- type: Ready
  status: "True"
  reason: Simulated
  message: ready
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
`

const podStatus = `
phase: Running
startTime: {{ Now | Quote }}
conditions:
- type: Ready
  status: "True"
  lastTransitionTime: {{ Now | Quote }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state:
    running:
      startedAt: {{ Now | Quote }}
{{ end }}
`
