import { stringify } from 'yaml'

export interface KubeconfigOptions {
  /** `https://…` */
  readonly server: string
  /** PEM of what signed the server's certificate. */
  readonly ca: string
  /** What the cluster is called in the file. */
  readonly cluster: string
  /** One context a user, of the same name; the first is current. */
  readonly users: readonly { readonly name: string; readonly token: string }[]
}

/** A kubeconfig that stands alone: certificate and tokens are in it. */
export function kubeconfig({ server, ca, cluster, users }: KubeconfigOptions): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: cluster,
        cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
      },
    ],
    users: users.map(({ name, token }) => ({ name, user: { token } })),
    contexts: users.map(({ name }) => ({ name, context: { cluster, user: name } })),
    'current-context': users[0]?.name ?? '',
  })
}
