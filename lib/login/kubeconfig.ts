import { stringify } from 'yaml'

export interface ClientKubeconfigOptions {
  /** Where clients reach the gateway: an https URL. */
  readonly server: string
  /** PEM, of the authority of the gateway's certificate. @default the system's roots */
  readonly serverCa?: string | undefined
  /** Of cluster, user and context. */
  readonly name: string
  readonly issuerUrl: string
  readonly clientId: string
  /** PEM, of the authority of the issuer's certificate. @default the system's roots */
  readonly issuerCa?: string | undefined
  /** Asked for beside `openid`, for claims that the issuer gives only so. */
  readonly scopes: readonly string[]
}

/**
 * A kubeconfig for users of the gateway, in YAML. It holds no secret, so one serves all of them: the token
 * comes from kubelogin, installed as `kubectl oidc-login`, each time one is needed.
 */
export function clientKubeconfig(options: ClientKubeconfigOptions): string {
  const { server, serverCa, name, issuerUrl, clientId, issuerCa, scopes } = options
  const args = [
    'oidc-login',
    'get-token',
    `--oidc-issuer-url=${issuerUrl}`,
    `--oidc-client-id=${clientId}`,
    ...scopes.map(scope => `--oidc-extra-scope=${scope}`),
    ...(issuerCa === undefined ? [] : [`--certificate-authority-data=${base64(issuerCa)}`]),
  ]
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name,
          cluster: {
            server,
            ...(serverCa !== undefined && { 'certificate-authority-data': base64(serverCa) }),
          },
        },
      ],
      users: [
        {
          name,
          user: {
            exec: {
              apiVersion: 'client.authentication.k8s.io/v1',
              command: 'kubectl',
              args,
              interactiveMode: 'IfAvailable',
              installHint:
                'install kubelogin (https://github.com/int128/kubelogin) as kubectl-oidc_login',
              provideClusterInfo: false,
            },
          },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: name } }],
      'current-context': name,
    },
    { lineWidth: 0 },
  )
}

const base64 = (pem: string): string => Buffer.from(pem).toString('base64')
