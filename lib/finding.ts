/** What looking at one thing has shown. */
export interface Finding {
  /** `warning`: it works, and may surprise; `failed`: it does not work. */
  readonly outcome: 'ok' | 'warning' | 'failed'
  /** What was looked at, in a few words. */
  readonly about: string
  readonly says: string
  /** What to do, where there is something. */
  readonly change?: string
}

/** Why a connection over TLS did not come about, and whether trust was the reason. */
export interface NoConnection {
  readonly says: string
  /** The certificate is of an authority that is not trusted. */
  readonly untrusted: boolean
}

/** Reads the reason out of what Node, undici or OpenSSL throw: the innermost cause that has a code. */
export function noConnection(error: unknown): NoConnection {
  const { code, message } = innermost(error)
  const known = reasons.get(code)
  return {
    says: known ?? (message === '' ? code : (message.split('\n', 1)[0]?.slice(0, 200) ?? '')),
    untrusted: untrusted.has(code),
  }
}

function innermost(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) }
  const several: unknown = error instanceof AggregateError ? error.errors[0] : undefined
  const inner = error.cause ?? several
  if (inner instanceof Error) return innermost(inner)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return { code, message: error.message }
}

const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

const reasons = new Map([
  ...[...untrusted].map(
    code => [code, 'its certificate is of an authority that is not trusted'] as const,
  ),
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for other names'],
  ['ENOTFOUND', 'its name cannot be resolved'],
  ['EAI_AGAIN', 'its name cannot be resolved'],
  ['ECONNREFUSED', 'the connection is refused'],
  ['ECONNRESET', 'the connection was reset'],
  ['EPROTO', 'it does not speak TLS as expected'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'it does not speak TLS'],
  ['UND_ERR_CONNECT_TIMEOUT', 'no connection in time'],
  ['ETIMEDOUT', 'no connection in time'],
])
