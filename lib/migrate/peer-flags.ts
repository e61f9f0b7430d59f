/** The programs of the name kube-oidc-proxy, after the repository that each comes from. */
export const peers = ['tremolosecurity', 'rafpe', 'jetstack'] as const
export type Peer = (typeof peers)[number]

export interface PeerFlag {
  /** How its value is written there: a switch may stand alone, a list has commas or is repeated. */
  readonly kind: 'text' | 'switch' | 'list' | 'repeated'
  /** `same`: it goes on under its name. `judged`: translated by a rule of its own. Else why it ends. */
  readonly here: 'same' | 'judged' | { readonly ends: string }
}

const same = (kind: PeerFlag['kind'] = 'text'): PeerFlag => ({ kind, here: 'same' })
const judged = (kind: PeerFlag['kind'] = 'text'): PeerFlag => ({ kind, here: 'judged' })
const ends = (says: string, kind: PeerFlag['kind'] = 'text'): PeerFlag => ({
  kind,
  here: { ends: says },
})

const inKubeconfig = 'write it into a kubeconfig, and name that file with --kubeconfig'
const review = 'reviews are bounded and remembered by rules of the gateway, without a flag'
const tlsOfNode = 'TLS is as Node has it, from --tls-min-version on'
const oneLog = 'the log is JSON lines on standard error'
const auditByPath = 'an audit log is configured by --audit-log-path alone'

/**
 * The flags of kube-oidc-proxy: its own (`cmd/app/options`), and those that it takes over from
 * k8s.io/apiserver (serving, audit), k8s.io/cli-runtime (kubeconfig) and k8s.io/component-base (log).
 */
const peerFlags: Readonly<Record<string, PeerFlag>> = {
  'oidc-issuer-url': same(),
  'oidc-client-id': same(),
  'oidc-ca-file': same(),
  'oidc-username-claim': same(),
  'oidc-username-prefix': judged(),
  'oidc-groups-claim': same(),
  'oidc-groups-prefix': same(),
  'oidc-signing-algs': same('list'),
  'oidc-required-claim': same('repeated'),
  // As the chart of TremoloSecurity writes them, in one value.
  'oidc-required-claims': judged('list'),
  'oidc-tls-client-cert-file': ends('the gateway shows the issuer no certificate of its own'),
  'oidc-tls-client-key-file': ends('the gateway shows the issuer no certificate of its own'),
  'authentication-config': same(),
  'readiness-require-all-issuers': ends(
    'the gateway is ready when one issuer is usable; gateway_issuer_ready tells of each',
    'switch',
  ),

  'disable-impersonation': judged('switch'),
  'token-passthrough': same('switch'),
  'token-passthrough-audiences': same('list'),
  'token-passthrough-request-timeout': ends(review),
  'token-passthrough-cache-success-ttl': ends(review),
  'token-passthrough-cache-failure-ttl': ends(review),
  'subject-access-review-timeout': ends(review),
  'subject-access-review-cache-allow-ttl': ends(review),
  'subject-access-review-cache-deny-ttl': ends(review),
  'max-impersonation-header-values': ends('a request is bounded by 1,000 header lines'),
  'extra-user-headers': same('repeated'),
  'extra-user-header-client-ip': same('switch'),
  'trusted-proxies': same('list'),
  'allow-reserved-groups': same('list'),

  'bind-address': same(),
  'secure-port': judged(),
  'tls-cert-file': same(),
  'tls-private-key-file': same(),
  'tls-min-version': judged(),
  'cert-dir': ends('a self-signed certificate is made at each start, and kept in no file'),
  'tls-cipher-suites': ends(tlsOfNode, 'list'),
  'tls-curve-preferences': ends(tlsOfNode, 'list'),
  'tls-sni-cert-key': ends('there is one certificate: put all names into it', 'repeated'),
  'http2-max-streams-per-connection': ends('streams are bounded by a rule of the gateway'),
  'disable-http2-serving': ends('HTTP/2 and HTTP/1.1 are both served; clients choose', 'switch'),
  'permit-port-sharing': ends('the port is not shared', 'switch'),
  'permit-address-sharing': ends('the address is not shared', 'switch'),
  'readiness-probe-port': judged(),
  'metrics-bind-address': ends('/metrics is on the admin port, beside /readyz'),
  'flush-interval': ends('every answer is passed on as it comes'),

  kubeconfig: same(),
  context: same(),
  server: ends(inKubeconfig),
  cluster: ends(inKubeconfig),
  user: ends(inKubeconfig),
  namespace: ends('it has no effect'),
  token: ends(inKubeconfig),
  username: ends(
    'basic authentication is not supported; use a token, exec or a client certificate',
  ),
  password: ends(
    'basic authentication is not supported; use a token, exec or a client certificate',
  ),
  'certificate-authority': ends(inKubeconfig),
  'client-certificate': ends(inKubeconfig),
  'client-key': ends(inKubeconfig),
  'tls-server-name': ends(inKubeconfig),
  'insecure-skip-tls-verify': ends(inKubeconfig, 'switch'),
  'request-timeout': ends('an ordinary request has 70 s for the head of its answer'),
  'disable-compression': ends('bodies are passed on as they are', 'switch'),
  'cache-dir': ends('it has no effect'),
  as: ends('the gateway takes no identity but its own'),
  'as-group': ends('the gateway takes no identity but its own', 'repeated'),
  'as-uid': ends('the gateway takes no identity but its own'),
  'kube-client-qps': ends('what the gateway asks itself is not throttled'),
  'kube-client-burst': ends('what the gateway asks itself is not throttled'),

  'audit-log-path': same(),
  'audit-policy-file': ends(auditByPath),
  v: judged(),
  'logging-format': ends(oneLog),
  vmodule: ends(oneLog),
  'log-flush-frequency': ends(oneLog),
  logtostderr: ends(oneLog, 'switch'),
  alsologtostderr: ends(oneLog, 'switch'),
  'log-file': ends(oneLog),
  'log-dir': ends(oneLog),
  'log-file-max-size': ends(oneLog),
  stderrthreshold: ends(oneLog),
}

/** Families too large to name, such as every knob of the audit back ends. */
export function peerFlag(name: string): PeerFlag | undefined {
  if (Object.hasOwn(peerFlags, name)) return peerFlags[name]
  return /^audit-(log|webhook)-/.test(name) ? ends(auditByPath) : undefined
}

/** Values that are never printed. */
export const secretFlags: ReadonlySet<string> = new Set(['token', 'password'])

/** One letter there. */
export const shorthands: Readonly<Record<string, string>> = {
  P: 'readiness-probe-port',
  s: 'server',
  n: 'namespace',
  v: 'v',
}
