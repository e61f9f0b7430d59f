/** What a flag's value is; the command line and the file are read, and the help is written, from it. */
export type FlagKind =
  | 'text'
  | 'file'
  | 'switch'
  | 'number'
  | 'duration'
  | 'choice'
  /** Repeated, or separated by commas. */
  | 'list'
  /** Repeated; a comma belongs to the value. */
  | 'repeated'

export interface Flag {
  readonly section: Section
  readonly kind: FlagKind
  /** What stands for the value in the help; a switch has none. */
  readonly placeholder?: string
  /** As a user would write it; read by the same code as what users write. */
  readonly default?: string
  readonly choices?: readonly string[]
  readonly help: string
}

export const sections = [
  'Clients',
  'Administration',
  'Issuer',
  'API server',
  'Impersonation',
  'Process',
] as const
type Section = (typeof sections)[number]

/** Every flag of `serve`, once: names and meanings are kube-apiserver's wherever it has one. */
export const serveFlags = {
  'bind-address': {
    section: 'Clients',
    kind: 'text',
    placeholder: 'ip',
    default: '0.0.0.0',
    help: 'Address where clients connect.',
  },
  'secure-port': {
    section: 'Clients',
    kind: 'number',
    placeholder: 'port',
    default: '8443',
    help: 'Port where clients connect; 0 takes a free one.',
  },
  'tls-cert-file': {
    section: 'Clients',
    kind: 'file',
    placeholder: 'file',
    help: 'Serving certificate and its chain in PEM, reloaded when the file changes. Without it the certificate is self-signed.',
  },
  'tls-private-key-file': {
    section: 'Clients',
    kind: 'file',
    placeholder: 'file',
    help: 'Private key of --tls-cert-file.',
  },
  'tls-min-version': {
    section: 'Clients',
    kind: 'choice',
    choices: ['VersionTLS12', 'VersionTLS13'],
    placeholder: 'version',
    default: 'VersionTLS12',
    help: 'Oldest TLS version spoken with clients.',
  },
  'insecure-plain-http': {
    section: 'Clients',
    kind: 'switch',
    help: 'No TLS with clients: it ends in front of the gateway. Beyond loopback it needs --trusted-proxies and the caller-token mode.',
  },
  'max-in-flight-per-user': {
    section: 'Clients',
    kind: 'number',
    placeholder: 'count',
    default: '0',
    help: 'Most requests of one user at a time, and as many watches, logs and upgrades beside them; more are answered with 429. 0 for no limit.',
  },
  'trusted-proxies': {
    section: 'Clients',
    kind: 'list',
    placeholder: 'cidr',
    help: 'Networks whose X-Forwarded-For is believed.',
  },
  'admin-bind-address': {
    section: 'Administration',
    kind: 'text',
    placeholder: 'ip',
    default: '127.0.0.1',
    help: 'Address of /livez, /readyz and /metrics, in plain HTTP.',
  },
  'admin-port': {
    section: 'Administration',
    kind: 'number',
    placeholder: 'port',
    default: '8080',
    help: 'Port of /livez, /readyz and /metrics; 0 takes a free one.',
  },
  'oidc-issuer-url': {
    section: 'Issuer',
    kind: 'text',
    placeholder: 'url',
    help: 'Issuer of the tokens: https, exactly as in their "iss". Required.',
  },
  'oidc-client-id': {
    section: 'Issuer',
    kind: 'text',
    placeholder: 'id',
    help: 'Audience that every token must carry in its "aud". Required.',
  },
  'oidc-ca-file': {
    section: 'Issuer',
    kind: 'file',
    placeholder: 'file',
    help: 'Authorities in PEM that vouch for the issuer, instead of those of the system.',
  },
  'oidc-username-claim': {
    section: 'Issuer',
    kind: 'text',
    placeholder: 'claim',
    default: 'sub',
    help: 'Claim that holds the user name.',
  },
  'oidc-username-prefix': {
    section: 'Issuer',
    kind: 'text',
    placeholder: 'prefix',
    help: 'Put before user names; "-" for none. Without it "<issuer>#", and none when the claim is "email".',
  },
  'oidc-groups-claim': {
    section: 'Issuer',
    kind: 'text',
    placeholder: 'claim',
    help: 'Claim that holds the groups, a string or an array of strings. Without it nobody has groups.',
  },
  'oidc-groups-prefix': {
    section: 'Issuer',
    kind: 'text',
    placeholder: 'prefix',
    help: 'Put before the names of groups.',
  },
  'oidc-signing-algs': {
    section: 'Issuer',
    kind: 'list',
    placeholder: 'alg',
    default: 'RS256',
    help: 'Signature algorithms accepted: RS, PS and ES with 256, 384 and 512, EdDSA.',
  },
  'oidc-clock-skew': {
    section: 'Issuer',
    kind: 'duration',
    placeholder: 'duration',
    default: '30s',
    help: 'How far the issuer\'s clock may be ahead, for "nbf" and "iat"; "exp" is taken as it stands.',
  },
  'oidc-required-claim': {
    section: 'Issuer',
    kind: 'repeated',
    placeholder: 'key=value',
    help: 'Claim that every token must carry with this value.',
  },
  'authentication-config': {
    section: 'Issuer',
    kind: 'file',
    placeholder: 'file',
    help: 'AuthenticationConfiguration of apiserver.config.k8s.io/v1 (or v1beta1) with all issuers and rules, instead of the --oidc-* flags but --oidc-clock-skew; reloaded when the file changes.',
  },
  kubeconfig: {
    section: 'API server',
    kind: 'file',
    placeholder: 'file',
    help: 'Where the API server is and which authority vouches for it; its user only with --unsafe-use-service-account-token. Without it the cluster that the gateway runs in.',
  },
  context: {
    section: 'API server',
    kind: 'text',
    placeholder: 'name',
    help: 'Context of --kubeconfig, instead of its current one.',
  },
  'unsafe-use-service-account-token': {
    section: 'API server',
    kind: 'switch',
    help: "Forward with the gateway's own credential, which may impersonate anybody, instead of the caller's token.",
  },
  'allow-overprivileged-credential': {
    section: 'API server',
    kind: 'switch',
    help: "Start although the gateway's own credential has more rights than this configuration needs, which rbac prints.",
  },
  impersonation: {
    section: 'Impersonation',
    kind: 'choice',
    choices: ['auto', 'always', 'never'],
    placeholder: 'when',
    default: 'auto',
    help: "With the caller's token: whether Impersonate-* goes along. auto asks the API server once a token whom it takes the caller for.",
  },
  'disable-impersonation': {
    section: 'Impersonation',
    kind: 'switch',
    help: 'The same as --impersonation=never.',
  },
  'client-impersonation': {
    section: 'Impersonation',
    kind: 'choice',
    choices: ['strip', 'reject', 'authorize'],
    placeholder: 'what',
    default: 'strip',
    help: "What happens to the client's own Impersonate-*: left out with a warning; refused with 403; or honoured where the caller may (SubjectAccessReview with the gateway's credential, the API server itself with the caller's token).",
  },
  'token-passthrough': {
    section: 'API server',
    kind: 'switch',
    help: "Tokens of no configured issuer, opaque ones too, are forwarded as they are; with the gateway's own credential after a TokenReview.",
  },
  'token-passthrough-audiences': {
    section: 'API server',
    kind: 'list',
    placeholder: 'audience',
    help: 'A token that is passed through must be meant for one of these. Without it the audiences of the API server count.',
  },
  'allow-reserved-users': {
    section: 'Impersonation',
    kind: 'list',
    placeholder: 'name',
    help: 'Users whose name begins with "system:" that a token may nevertheless carry.',
  },
  'allow-reserved-groups': {
    section: 'Impersonation',
    kind: 'list',
    placeholder: 'name',
    help: 'Groups whose name begins with "system:" that a token may nevertheless carry.',
  },
  'allowed-groups': {
    section: 'Impersonation',
    kind: 'list',
    placeholder: 'name',
    help: 'Groups that may be sent to the API server, prefix included; "*" at the end stands for any rest. Others are left out. Without it all may.',
  },
  'denied-groups': {
    section: 'Impersonation',
    kind: 'list',
    placeholder: 'name',
    help: 'Groups that are left out, whatever --allowed-groups says; "*" at the end stands for any rest.',
  },
  'credential-id-extra': {
    section: 'Impersonation',
    kind: 'switch',
    help: 'Send a token\'s "jti" along as the extra authentication.kubernetes.io/credential-id, which needs a rule in RBAC. Validation rules see it in any case.',
  },
  'max-groups': {
    section: 'Impersonation',
    kind: 'number',
    placeholder: 'count',
    default: '256',
    help: 'Most groups a caller may have after --allowed-groups and --denied-groups; one with more is refused, never cut.',
  },
  'close-streams-at-token-expiry': {
    section: 'Clients',
    kind: 'switch',
    help: 'End watches, logs, exec, attach and port-forward when the token that opened them expires: at its "exp" plus --oidc-clock-skew.',
  },
  'extra-user-headers': {
    section: 'Impersonation',
    kind: 'repeated',
    placeholder: 'key=value,…',
    help: 'Extra of every user, sent as Impersonate-Extra-<key> beside Impersonate-User; needs RBAC on each key.',
  },
  'extra-user-header-client-ip': {
    section: 'Impersonation',
    kind: 'switch',
    help: "The client's address as Impersonate-Extra-Remote-Client-Ip beside Impersonate-User; needs RBAC on that key.",
  },
  'log-level': {
    section: 'Process',
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    placeholder: 'level',
    default: 'info',
    help: 'Least level that is logged.',
  },
  'shutdown-grace-period': {
    section: 'Process',
    kind: 'duration',
    placeholder: 'duration',
    default: '60s',
    help: 'How long running requests may go on after SIGTERM.',
  },
  config: {
    section: 'Process',
    kind: 'file',
    placeholder: 'file',
    help: 'YAML file with any of these flags as keys; the command line wins.',
  },
} as const satisfies Record<string, Flag>

export type FlagName = keyof typeof serveFlags
export const flagNames = Object.keys(serveFlags) as readonly FlagName[]

export const isFlagName = (name: string): name is FlagName => Object.hasOwn(serveFlags, name)

/** What somebody wrote for one flag, as text, and where. */
export interface Given {
  /** One, unless the flag is a list. */
  readonly values: readonly string[]
  /** How a fault names the place: `--secure-port`, or `gateway.yaml:3: secure-port`. */
  readonly where: string
}

export type GivenFlags = ReadonlyMap<FlagName, Given>
