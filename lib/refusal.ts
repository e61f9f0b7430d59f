/**
 * Every way this gateway says no, with what the client may learn of it. The key is the reason code of
 * the access line and of `gateway_refusals_total{reason}`.
 */
const refusals = {
  request_malformed: [400, 'BadRequest', 'the request is malformed'],
  request_framing: [400, 'BadRequest', 'the framing of the request is ambiguous'],
  request_target: [400, 'BadRequest', 'the request target must be an absolute path'],
  request_authority: [400, 'BadRequest', 'the request must name exactly one host'],
  impersonation_malformed: [
    400,
    'BadRequest',
    'the impersonation headers must name exactly one user, in one spelling',
  ],
  credential_ambiguous: [400, 'BadRequest', 'more than one credential was presented'],
  upgrade_protocol: [400, 'BadRequest', 'this protocol cannot be upgraded to'],
  upgrade_body: [400, 'BadRequest', 'an upgrade must not carry a body'],
  method_not_allowed: [405, 'MethodNotAllowed', 'the method is not allowed'],
  request_timeout: [408, 'Timeout', 'the request was not sent in time'],
  expectation_failed: [417, 'ExpectationFailed', 'only 100-continue can be expected'],
  headers_too_large: [431, 'RequestHeaderFieldsTooLarge', 'the request header is too large'],

  credential_missing: [401, 'Unauthorized', 'no credential was presented'],
  credential_scheme: [401, 'Unauthorized', 'only a bearer token is accepted'],
  credential_malformed: [401, 'Unauthorized', 'the credential is not a well-formed bearer token'],
  token_malformed: [401, 'Unauthorized', 'the token is malformed'],
  token_type: [401, 'Unauthorized', 'the token is of a type that is not accepted'],
  token_algorithm: [
    401,
    'Unauthorized',
    'the token is signed with an algorithm that is not accepted',
  ],
  token_unknown: [401, 'Unauthorized', 'the API server does not accept the token'],
  token_issuer: [401, 'Unauthorized', 'the token was issued by somebody else'],
  token_audience: [401, 'Unauthorized', 'the token is meant for somebody else'],
  token_expired: [401, 'Unauthorized', 'the token has expired'],
  token_not_yet_valid: [401, 'Unauthorized', 'the token is not valid yet'],
  token_key: [401, 'Unauthorized', 'the token is signed with an unknown key'],
  token_signature: [401, 'Unauthorized', 'the signature of the token is wrong'],
  token_claim: [401, 'Unauthorized', 'a claim of the token is missing or not as required'],

  identity_unusable: [403, 'Forbidden', 'the identity cannot be represented'],
  identity_reserved: [403, 'Forbidden', 'the identity is reserved'],
  impersonation_refused: [403, 'Forbidden', 'impersonation is not allowed'],
  impersonation_denied: [
    403,
    'Forbidden',
    'impersonating this user, group, uid or extra is not allowed',
  ],
  too_many_in_flight: [429, 'TooManyRequests', 'the user has too many requests in flight'],
  too_many_groups: [431, 'RequestHeaderFieldsTooLarge', 'the identity has too many groups'],

  issuer_unavailable: [503, 'ServiceUnavailable', 'the identity provider could not be reached'],
  keys_unavailable: [
    503,
    'ServiceUnavailable',
    'no signing key of the identity provider is known yet',
  ],
  token_review_unavailable: [
    503,
    'ServiceUnavailable',
    'whose token this is could not be found out',
  ],
  access_review_unavailable: [
    503,
    'ServiceUnavailable',
    'whether impersonation is allowed could not be found out',
  ],
  draining: [503, 'ServiceUnavailable', 'the gateway is shutting down'],

  upstream_unreachable: [502, 'BadGateway', 'the API server could not be reached'],
  upstream_malformed: [502, 'BadGateway', 'the API server gave a malformed answer'],
  upstream_credential: [502, 'BadGateway', 'the API server refused the credential of the gateway'],
  upstream_timeout: [504, 'Timeout', 'the API server did not answer in time'],

  client_gone: [499, 'ClientClosedRequest', 'the client left'],
  invariant: [500, 'InternalError', 'internal error'],
  internal: [500, 'InternalError', 'internal error'],
} as const satisfies Record<string, readonly [status: number, reason: string, says: string]>

export type RefusalCode = keyof typeof refusals

/** Every code there is. */
export const refusalCodes = Object.keys(refusals) as readonly RefusalCode[]

/** The body that Kubernetes clients understand (`metav1.Status`). */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: Readonly<Record<string, never>>
  readonly status: 'Failure'
  readonly message: string
  readonly reason: string
  readonly code: number
}

/** How many there were where so many are allowed. Numbers give nothing away. */
export interface Figures {
  readonly found: number
  readonly most: number
}

/** A no to one request: thrown by any stage, answered by the edge. */
export class Refusal extends Error {
  readonly code: RefusalCode
  readonly status: number
  readonly reason: string
  readonly #said: string

  /**
   * @param detail for the log alone; the client is told only what the table says, and `figures` behind
   * it. No client bytes unless quoted and bounded, never a token.
   */
  constructor(
    code: RefusalCode,
    detail?: string,
    options: { readonly cause?: unknown; readonly figures?: Figures } = {},
  ) {
    const { figures, ...rest } = options
    const [status, reason, says] = refusals[code]
    const said = figures === undefined ? says : `${says}: ${figures.found}, at most ${figures.most}`
    super(detail ?? said, rest)
    this.#said = said
    this.name = 'Refusal'
    this.code = code
    this.status = status
    this.reason = reason
  }

  /** Anything unforeseen becomes an internal refusal whose cause only the log sees. */
  static from(error: unknown): Refusal {
    return error instanceof Refusal ? error : new Refusal('internal', undefined, { cause: error })
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.#said,
      reason: this.reason,
      code: this.status,
    }
  }
}
