import type { Peer } from './peer-flags.js'
import type { Difference } from './translation.js'

export interface Compared {
  readonly peer: Peer
  /** The flags given there, by name. */
  readonly given: ReadonlyMap<string, readonly string[]>
  /** False with `--disable-impersonation`. */
  readonly impersonates: boolean
  /** What the translation does with the client's own `Impersonate-*`. */
  readonly clientImpersonation: string
  /** Whether the issuer had to move into an AuthenticationConfiguration. */
  readonly fromFile: boolean
}

/**
 * What behaves otherwise under the translated command line. Of the other program only what its source
 * says is told (`cmd/app`, `pkg/proxy`, `pkg/probe`); the rest says what happens here.
 */
export function differencesFrom(compared: Compared): readonly Difference[] {
  return [...ofIdentity(compared), ...ofCredentials(compared), ...ofRunning(compared)]
}

function ofIdentity({ peer, given, impersonates, fromFile }: Compared): Difference[] {
  const lines: Difference[] = []
  const required = given.has('oidc-required-claim') || given.has('oidc-required-claims')
  if (required) {
    lines.push([
      '--oidc-required-claim',
      peer === 'tremolosecurity'
        ? 'is read there and not enforced; here a token without that value is refused with 401'
        : 'is enforced there and here: 401',
    ])
  }
  if (fromFile) {
    const says =
      'with it every RS, PS and ES algorithm and EdDSA is accepted; --oidc-signing-algs ends'
    lines.push(['--authentication-config', says])
  }
  if (given.has('authentication-config')) {
    const says = 'is read as it stands: user and group names are what it says, there and here'
    lines.push(['--authentication-config', says])
  }
  lines.push([
    'system: names',
    peer === 'rafpe'
      ? 'refused with 403, as there; the group system:authenticated in a token too, unless --allow-reserved-groups names it'
      : 'a token that carries such a user or group is refused with 403, unless --allow-reserved-users or --allow-reserved-groups names it',
  ])
  lines.push([
    'names',
    'blank, padded, over 1,024 bytes or with control characters: refused with 403; more groups than --max-groups (256): 431',
  ])
  if (impersonates) {
    lines.push([
      'system:authenticated',
      'is added to the groups there; here the API server adds it, and no right to impersonate it is needed',
    ])
    if (peer !== 'jetstack') {
      const says =
        'a token’s jti may arrive as the extra authentication.kubernetes.io/credential-id there; here it is not sent unless --credential-id-extra says so'
      lines.push(['jti', says])
    }
  }
  return lines
}

function ofCredentials({ impersonates, clientImpersonation }: Compared): Difference[] {
  const lines: Difference[] = [
    impersonates
      ? [
          '--unsafe-use-service-account-token',
          'is what happens there without a flag: requests go on with the credential of the program, which may impersonate; where the API server accepts the issuer, leave it out and no such credential is needed',
        ]
      : ['--impersonation=never', 'is what --disable-impersonation is called here'],
    [
      'token',
      'only canonical JWTs with typ JWT or at+jwt, or none, are accepted; exp is required; anything else is 401',
    ],
  ]
  const as = clientsOwn(impersonates, clientImpersonation)
  if (as !== undefined) lines.push(['kubectl --as', as])
  return lines
}

function clientsOwn(impersonates: boolean, here: string): string | undefined {
  if (here === 'authorize') {
    return impersonates
      ? 'is checked by SubjectAccessReview, as there; the extras originaluser.jetstack.io-* are not written'
      : 'reaches the API server, which decides, as there'
  }
  if (here === 'strip') {
    return 'is honoured there; here it is left out, and the answer carries a warning'
  }
  return undefined
}

function ofRunning({ peer, given }: Compared): Difference[] {
  const lines: Difference[] = []
  if (peer !== 'rafpe') {
    const says =
      'X-Forwarded-For is read from any client there; here only from the networks of --trusted-proxies'
    lines.push(['client address', says])
  }
  lines.push([
    'refusals',
    'are text/plain there; here a Kubernetes Status with an Audit-ID, which kubectl prints',
  ])
  lines.push([
    '/ready',
    peer === 'tremolosecurity'
      ? 'stays 200 there once it has been; here /ready and /readyz turn 503 again when no key of an issuer is known, and at shutdown'
      : 'here /ready and /readyz are 503 when no key of an issuer is known, and at shutdown',
  ])
  lines.push([
    'admin port',
    'also has /livez and /metrics, and like there listens on all addresses: --admin-bind-address=127.0.0.1 is for sidecars only',
  ])
  lines.push(['log', 'JSON lines on standard error, one for each request'])
  if (!given.has('tls-cert-file')) {
    const says = 'without --tls-cert-file it is self-signed and another one at every start'
    lines.push(['serving certificate', says])
  }
  if (/^VersionTLS1[01]$/.test(given.get('tls-min-version')?.[0] ?? '')) {
    lines.push(['--tls-min-version', 'VersionTLS12 is the oldest'])
  }
  lines.push([
    'upgrades',
    'to websocket and SPDY/3.1 alone; the API server’s redirects are passed on and never followed',
  ])
  return lines
}
