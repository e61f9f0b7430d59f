/**
 * A row of the table: a configuration, a token, what kube-apiserver makes of them, and what this gateway
 * makes of them where that is something else. The subjects are those of kube-apiserver's own tests of its
 * OIDC authenticator (`plugin/pkg/authenticator/token/oidc` and `pkg/apis/apiserver/validation` of
 * `k8s.io/apiserver`, 1.36); each outcome in `apiServer` was seen from that very authenticator.
 */
export interface Row {
  /** The claim that the row makes. */
  readonly says: string
  /** The document, less `apiVersion` and `kind`; as text where the text itself is what is judged. */
  readonly configuration: Readonly<Record<string, unknown>> | string
  /** Absent where the configuration alone is judged. */
  readonly token?: Token
  /** What the issuer answers, by path, beside discovery and keys. `{{URL}}` stands for its address. */
  readonly endpoints?: Readonly<Record<string, Answer>>
  readonly apiServer: Outcome
  readonly ours?: Difference
}

export interface Token {
  /** As JSON text where the text itself counts. `{{URL}}` stands for the issuer's address. */
  readonly claims: Readonly<Record<string, unknown>> | string
  /** @default RS256 */
  readonly alg?: string
  /** False: signed with a key that the issuer does not publish. @default true */
  readonly published?: boolean
}

export interface Answer {
  readonly status?: number
  /** Signed by the issuer; `body` is text as it stands. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly body?: string
  readonly published?: boolean
}

export type Outcome =
  | User
  /** Authentication fails. */
  | 'rejected'
  /** No authenticator of the configuration is asked: the token is another issuer's. */
  | 'another issuer'
  /** The configuration is good; no token was judged. */
  | 'loads'
  | Faults

export interface User {
  readonly user: string
  readonly groups?: readonly string[]
  readonly uid?: string
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** The configuration is refused, and these fields are what is wrong with it. */
export interface Faults {
  readonly faults: readonly string[]
}

export interface Difference {
  readonly outcome: Outcome | { readonly refusal: string } | { readonly unavailable: string }
  readonly because: string
}

export const issuerUrl = 'https://issuer.example'

/** Far enough from any clock that judges these rows. */
export const longAgo = 1_500_000_000
export const farAway = 4_000_000_000

/** A token's claims, good in themselves. */
export const claims = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  iss: issuerUrl,
  aud: 'my-client',
  exp: farAway,
  username: 'jane',
  ...more,
})

const issuer = { url: issuerUrl, audiences: ['my-client'] }
const username = { claim: 'username', prefix: '' }

interface Authenticator {
  readonly issuer?: Readonly<Record<string, unknown>>
  readonly mappings?: Readonly<Record<string, unknown>>
  readonly claimRules?: readonly unknown[]
  readonly userRules?: readonly unknown[]
}

/** An entry of `jwt` that is good in itself, with `more` over it. */
export const authenticator = (more: Authenticator = {}): Record<string, unknown> => ({
  issuer: { ...issuer, ...more.issuer },
  ...(more.claimRules && { claimValidationRules: more.claimRules }),
  claimMappings: { username, ...more.mappings },
  ...(more.userRules && { userValidationRules: more.userRules }),
})

/** A configuration of one issuer. */
export const one = (more: Authenticator = {}): { readonly jwt: readonly unknown[] } => ({
  jwt: [authenticator(more)],
})

export const claim = (name: string, prefix = ''): Record<string, string> => ({
  claim: name,
  prefix,
})
export const expression = (cel: string): Record<string, string> => ({ expression: cel })

/** The difference that most rows have. */
export const blankIsForbidden =
  'a user, group, uid or extra that is blank, also before its prefix, is refused with 403'
