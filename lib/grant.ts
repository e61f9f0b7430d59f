import type { Identity } from './identity.js'
import type { Secret } from './secret.js'

/** How the API server will learn who is calling. */
export type Credential =
  /** The caller's own token, and `Impersonate-*` beside it where the API server would see somebody else. */
  | { readonly whose: 'caller'; readonly token: Secret; readonly impersonate: boolean }
  /** The gateway's credential. There is no way to say this without impersonation. */
  | { readonly whose: 'gateway' }
  /** None, and nothing that names anybody: the API server decides what somebody unknown may do. */
  | { readonly whose: 'nobody' }

/**
 * Why a grant was given; the `decision` of the access line and the metrics. `…_other`: the caller asked to act
 * as somebody else (`kubectl --as`).
 */
export type Decision =
  | 'own_token'
  | 'own_token_impersonating'
  | 'own_token_impersonating_other'
  | 'gateway_impersonating'
  | 'gateway_impersonating_other'
  | 'anonymous'
  | 'token_passthrough'

/**
 * Permission to act upstream as someone. It cannot be spelled out by hand (private field), and only
 * `lib/impersonate/policy.ts` makes one: lint refuses the import elsewhere, `test/architecture.test.ts`
 * looks again.
 */
export class Grant {
  readonly #minted = true
  /** Nobody that we know where a token is passed through; nobody is impersonated then. */
  readonly as: Identity | undefined
  readonly credential: Credential
  readonly decision: Decision

  private constructor(as: Identity | undefined, credential: Credential, decision: Decision) {
    this.as = as
    this.credential = Object.freeze(credential)
    this.decision = decision
    Object.freeze(this)
  }

  /** The gateway's own credential speaks for `as`: always with `Impersonate-User`. */
  static byGateway(as: Identity): Grant {
    return new Grant(as, { whose: 'gateway' }, 'gateway_impersonating')
  }

  /** The same for an identity that the caller asked for, and may act as. */
  static byGatewayAsOther(as: Identity): Grant {
    return new Grant(as, { whose: 'gateway' }, 'gateway_impersonating_other')
  }

  /** The caller's token goes along, and the identity that he asks the API server for with it. */
  static byCallerAsOther(as: Identity, token: Secret): Grant {
    return new Grant(
      as,
      { whose: 'caller', token, impersonate: true },
      'own_token_impersonating_other',
    )
  }

  /** The caller's token goes along; `impersonate` adds the mapped identity, and RBAC decides upstream. */
  static byCaller(as: Identity, token: Secret, { impersonate }: { impersonate: boolean }): Grant {
    const decision = impersonate ? 'own_token_impersonating' : 'own_token'
    return new Grant(as, { whose: 'caller', token, impersonate }, decision)
  }

  /** Nobody's credential goes along. */
  static byNobody(anonymous: Identity): Grant {
    return new Grant(anonymous, { whose: 'nobody' }, 'anonymous')
  }

  /** A token that is none of ours goes as it is, and is all that says who is calling. */
  static byForeign(token: Secret): Grant {
    return new Grant(undefined, { whose: 'caller', token, impersonate: false }, 'token_passthrough')
  }

  static isGrant(value: object): value is Grant {
    return #minted in value && value.#minted
  }
}
