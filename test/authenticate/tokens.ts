import {
  constants,
  createHmac,
  generateKeyPairSync,
  sign,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'

/** A key pair as an issuer has it: one half published, the other signing. */
export interface Signer {
  readonly kid?: string
  readonly alg: string
  /** As published. */
  readonly jwk: JsonWebKey
  readonly privateKey: KeyObject
}

export function createSigner(alg = 'RS256', kid?: string): Signer {
  const { privateKey, publicKey } = generate(alg)
  const jwk = {
    ...publicKey.export({ format: 'jwk' }),
    ...(kid !== undefined && { kid }),
    use: 'sig',
  }
  return { ...(kid !== undefined && { kid }), alg, jwk, privateKey }
}

function generate(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' })
  if (alg === 'ES512') return generateKeyPairSync('ec', { namedCurve: 'P-521' })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

/** A part of a token: bytes or text as they are, anything else as JSON. */
export type Part = Buffer | string | object

export const encode = (part: Part): string =>
  (Buffer.isBuffer(part)
    ? part
    : Buffer.from(typeof part === 'string' ? part : JSON.stringify(part))
  ).toString('base64url')

/** Signs whatever it is given; nothing is checked, so that tests can sign nonsense. */
export function signed(signer: Signer, claims: Part, header?: Part): string {
  const head = header ?? {
    alg: signer.alg,
    typ: 'JWT',
    ...(signer.kid !== undefined && { kid: signer.kid }),
  }
  const input = `${encode(head)}.${encode(claims)}`
  return `${input}.${signature(signer, input).toString('base64url')}`
}

function signature({ alg, privateKey }: Signer, input: string): Buffer {
  const data = Buffer.from(input)
  if (alg === 'EdDSA') return sign(null, data, privateKey)
  const hash = `sha${alg.slice(2)}`
  if (alg.startsWith('ES')) return sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  if (!alg.startsWith('PS')) return sign(hash, data, privateKey)
  const padding = constants.RSA_PKCS1_PSS_PADDING
  return sign(hash, data, {
    key: privateKey,
    padding,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  })
}

export function hmacSigned(secret: string | Buffer, claims: Part, header: Part): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
