/** A kubeconfig of one cluster `c`, one user `u`, and the current context `here`; YAML has JSON in it. */
export function kubeconfig(about: {
  readonly server: string
  readonly cluster?: Readonly<Record<string, unknown>>
  readonly ca?: string
  readonly user?: Readonly<Record<string, unknown>>
}): string {
  const { server, cluster, ca, user = {} } = about
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [
      { name: 'here', context: { cluster: 'c', user: 'u' } },
      { name: 'nobody', context: { cluster: 'c', user: 'missing' } },
      { name: 'nowhere', context: { cluster: 'missing', user: 'u' } },
    ],
    clusters: [
      {
        name: 'c',
        cluster: {
          server,
          ...(ca !== undefined && {
            'certificate-authority-data': Buffer.from(ca).toString('base64'),
          }),
          ...cluster,
        },
      },
    ],
    users: [{ name: 'u', user }],
  })
}
