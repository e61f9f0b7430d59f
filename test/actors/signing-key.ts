import {
  constants,
  createHmac,
  generateKeyPair,
  sign,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'

export type Algorithm =
  'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA'

/** A key of an issuer: what it signs with, and what it publishes. */
export interface SigningKey {
  readonly kid: string
  readonly alg: Algorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** The public half, as a key set shows it. */
  readonly jwk: JsonWebKey & { readonly kid: string; readonly alg: string; readonly use: string }
}

const generate = promisify(generateKeyPair)

/** Makes a fresh key. Moduli have 2048 bits: fewer are refused by verifiers. */
export async function createSigningKey(kid: string, alg: Algorithm = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await pair(alg)
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
  return { kid, alg, privateKey, publicKey, jwk }
}

function pair(alg: Algorithm): Promise<{ privateKey: KeyObject; publicKey: KeyObject }> {
  if (alg === 'EdDSA') return generate('ed25519')
  if (alg.startsWith('ES')) return generate('ec', { namedCurve: curves[alg.slice(2)] ?? 'P-256' })
  return generate('rsa', { modulusLength: 2048 })
}

const curves: Readonly<Record<string, string>> = { '256': 'P-256', '384': 'P-384', '512': 'P-521' }

/**
 * Signs bytes as `alg` says, `HS*` with the key's public PEM as the secret (the classic confusion), `none`
 * with nothing. What a header claims is not looked at.
 * @throws TypeError for any other name
 */
export function signature(key: SigningKey, alg: string, signed: Uint8Array): Buffer {
  const bits = alg.slice(2)
  const hash = `sha${bits}`
  if (alg === 'none') return Buffer.alloc(0)
  if (alg === 'EdDSA') return sign(null, signed, key.privateKey)
  if (alg.startsWith('HS')) {
    const secret = key.publicKey.export({ type: 'spki', format: 'pem' })
    return createHmac(hash, secret).update(signed).digest()
  }
  if (alg.startsWith('RS')) return sign(hash, signed, key.privateKey)
  if (alg.startsWith('ES')) {
    return sign(hash, signed, { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  }
  if (!alg.startsWith('PS')) throw new TypeError(`alg: ${alg}`)
  return sign(hash, signed, {
    key: key.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  })
}
