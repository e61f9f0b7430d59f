import { createHash, createPublicKey, type JsonWebKey } from 'node:crypto'
import { compactVerify, createLocalJWKSet } from 'jose'
import type { ParsedToken } from './token.js'

/** One public key that an issuer signs with. */
export interface SigningKey {
  readonly kid: string | undefined
  /** The same text for the same key under the same name, and for no other. */
  readonly fingerprint: string
  /** Whether the key can be meant at all by a token signed with this algorithm. */
  fits(alg: string): boolean
  /** Whether the token is signed with this key. */
  verify(token: ParsedToken): Promise<boolean>
}

const rsa = { kty: 'RSA', crv: undefined }
const kinds: Readonly<Record<string, { readonly kty: string; readonly crv: string | undefined }>> =
  {
    RS256: rsa,
    RS384: rsa,
    RS512: rsa,
    PS256: rsa,
    PS384: rsa,
    PS512: rsa,
    ES256: { kty: 'EC', crv: 'P-256' },
    ES384: { kty: 'EC', crv: 'P-384' },
    ES512: { kty: 'EC', crv: 'P-521' },
    EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  }

/** The algorithms that a token can be verified with: all asymmetric. */
export const supportedAlgs: ReadonlySet<string> = new Set(Object.keys(kinds))

const minRsaBits = 2048

/**
 * Makes a signing key of what an issuer published, or `undefined` when it is none: not a public key, not
 * for signatures, of a kind or size that is not accepted. Issuers publish keys for other uses beside
 * their signing keys, so an unusable one is nothing to complain about.
 */
export function readSigningKey(published: unknown): SigningKey | undefined {
  if (typeof published !== 'object' || published === null || Array.isArray(published))
    return undefined
  const jwk = new Map<string, unknown>(Object.entries(published))
  const kid = jwk.get('kid')
  const alg = jwk.get('alg')
  const operations = jwk.get('key_ops')
  // A private key that was published proves nothing about who signed.
  if (jwk.has('d')) return undefined
  if (kid !== undefined && typeof kid !== 'string') return undefined
  if (alg !== undefined && (typeof alg !== 'string' || !supportedAlgs.has(alg))) return undefined
  if (jwk.has('use') && jwk.get('use') !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return undefined
  }
  const kty = jwk.get('kty')
  const crv = kty === 'RSA' ? undefined : jwk.get('crv')
  const algs = Object.entries(kinds)
    .filter(([name, kind]) => kind.kty === kty && kind.crv === crv && (alg ?? name) === name)
    .map(([name]) => name)
  const thumbprint = thumbprintOf(published)
  if (algs.length === 0 || thumbprint === undefined) return undefined

  const resolve = createLocalJWKSet({ keys: [published] })
  return {
    kid,
    fingerprint: JSON.stringify([kid ?? null, alg ?? null, thumbprint]),
    fits: alg => algs.includes(alg),
    verify: async token => {
      try {
        await compactVerify(token.compact, resolve, { algorithms: [token.alg] })
        return true
      } catch {
        // Whatever there is against this token and this key, they do not belong together.
        return false
      }
    },
  }
}

/** Of the key material alone, so that its spelling does not count. */
function thumbprintOf(published: object): string | undefined {
  try {
    const key = createPublicKey({ key: published as JsonWebKey, format: 'jwk' })
    const bits = key.asymmetricKeyDetails?.modulusLength
    if (bits !== undefined && bits < minRsaBits) return undefined
    return createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest('hex')
  } catch {
    return undefined
  }
}
