import type { Expression } from './cel/expression.js'

/**
 * `AuthenticationConfiguration` of `apiserver.config.k8s.io/v1`, as it was written: the API server's own field
 * names, so that the path of a fault is a path in the file. The `--oidc-*` flags make one of these too.
 */
export interface AuthenticationConfiguration {
  readonly jwt: readonly JwtAuthenticator[]
  readonly anonymous?: AnonymousAuthentication
}

export interface JwtAuthenticator {
  readonly issuer: {
    readonly url: string
    /** Where the discovery document is, when it is not below `url`; the very address. */
    readonly discoveryURL?: string
    /** PEM. */
    readonly certificateAuthority?: string
    readonly audiences: readonly string[]
    readonly audienceMatchPolicy?: string
    readonly egressSelectorType?: string
  }
  readonly claimValidationRules: readonly ClaimValidationRule[]
  readonly claimMappings: {
    readonly username: PrefixedClaimOrExpression
    readonly groups: PrefixedClaimOrExpression
    readonly uid: ClaimOrExpression
    readonly extra: readonly ExtraMapping[]
  }
  readonly userValidationRules: readonly UserValidationRule[]
}

/** An empty text is none, as in the API server. */
export interface ClaimValidationRule {
  readonly claim?: string
  readonly requiredValue?: string
  readonly expression?: string
  readonly message?: string
}

export interface ClaimOrExpression {
  readonly claim?: string
  readonly expression?: string
}

export interface PrefixedClaimOrExpression extends ClaimOrExpression {
  readonly prefix?: string
}

export interface ExtraMapping {
  readonly key?: string
  readonly valueExpression?: string
}

export interface UserValidationRule {
  readonly expression?: string
  readonly message?: string
}

export interface AnonymousAuthentication {
  readonly enabled: boolean
  /** Without any, every path. */
  readonly conditions: ReadonlyArray<{ readonly path?: string }>
}

/** One JWT authenticator, found valid and compiled: what tokens are judged by. */
export interface TokenRules {
  /** Equal for two that judge alike. */
  readonly description: string
  readonly issuer: {
    readonly url: string
    readonly discoveryURL?: string
    readonly certificateAuthority?: string
    /** A token must be meant for one of them. */
    readonly audiences: readonly string[]
  }
  readonly username: NameRule
  readonly groups?: NameRule
  readonly uid?: NameRule
  readonly extra: ReadonlyArray<{ readonly key: string; readonly expression: Expression }>
  readonly requiredClaims: ReadonlyArray<{
    /** Path of the rule, below this authenticator. */
    readonly path: string
    readonly claim: string
    readonly value: string
  }>
  readonly claimRules: readonly ValidationRule[]
  readonly userRules: readonly ValidationRule[]
}

export type NameRule =
  | { readonly claim: string; /** Empty for none. */ readonly prefix: string }
  | { readonly expression: Expression }

export interface ValidationRule {
  readonly path: string
  readonly expression: Expression
  /** What the log says of a token that it refuses. */
  readonly message?: string
}

/** What is wrong with a configuration. */
export interface ConfigurationFault {
  /** Such as `jwt[0].claimMappings.username.prefix`; empty for the whole of it. */
  readonly path: string
  /** Line in the file, from 1, where that is known. */
  readonly line?: number
  /** The value, where it helps. */
  readonly value?: string
  /** What to change. */
  readonly says: string
}
