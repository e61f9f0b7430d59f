import { Refusal } from '../refusal.js'

/** The claims of a token, by name. A map, so that `__proto__` is a name like any other. */
export type Claims = ReadonlyMap<string, unknown>

/** A token that is well-formed; nothing in it is proven. */
export interface ParsedToken {
  /** The very text that was parsed, for the signature. */
  readonly compact: string
  readonly alg: string
  readonly kid?: string
  readonly claims: Claims
}

/**
 * Parses a JWT in compact serialisation so strictly that one token has one spelling. Whatever passes
 * reads the same to every other parser: what gets verified is what the claims were read from, and a
 * verdict remembered by the text cannot be dodged by writing the text differently.
 * @throws Refusal `token_malformed`; `token_type` for a `typ` other than `JWT` and `at+jwt`
 */
export function parseToken(compact: string): ParsedToken {
  const parts = compact.split('.', 4)
  const [head, body, signature] = parts
  if (parts.length !== 3 || head === undefined || body === undefined || signature === undefined) {
    throw malformed('it has not three parts')
  }
  decode(signature)
  const header = parseObject(decode(head))
  const claims = parseObject(decode(body))

  // Extensions that change what is signed or how it is read (RFC 7515 4.1.11, RFC 7797, zip of JWE).
  for (const name of ['crit', 'b64', 'zip']) {
    if (header.has(name)) throw malformed(`its header has ${name}`)
  }
  const alg = header.get('alg')
  if (typeof alg !== 'string') throw malformed('its header has no alg')
  const kid = header.get('kid')
  if (typeof kid !== 'string' && header.has('kid')) throw malformed('its kid is not a string')
  if (header.has('typ')) checkType(header.get('typ'))
  return { compact, alg, ...(typeof kid === 'string' && { kid }), claims }
}

/**
 * The `iss` that somebody might read in what `parseToken` does not accept: read as leniently as can be, to
 * know whose it is and for nothing else. `undefined` where there is none.
 */
export function peekIssuer(text: string): unknown {
  const body = text.split('.', 3)[1]
  if (body === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'))
    if (typeof claims !== 'object' || claims === null || !('iss' in claims)) return undefined
    return claims.iss === 'accounts.google.com' ? 'https://accounts.google.com' : claims.iss
  } catch {
    return undefined
  }
}

/** Tokens made for something else (logout, DPoP proofs, security events) say so here: RFC 8725 3.11. */
function checkType(typ: unknown): void {
  const type = typeof typ === 'string' ? typ.toLowerCase() : undefined
  if (type !== 'jwt' && type !== 'at+jwt') throw new Refusal('token_type')
}

const alphabet = /^[A-Za-z0-9_-]+$/

/** Canonical base64url only: the last character may not carry bits that decoding drops (RFC 4648 3.5). */
function decode(part: string): Buffer {
  if (!alphabet.test(part)) throw malformed('a part is empty or not base64url')
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') !== part) throw malformed('a part is not canonical base64url')
  return bytes
}

// With `ignoreBOM` a byte order mark stays in the text, where JSON does not allow it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseObject(bytes: Buffer): ReadonlyMap<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    // The parser's error would quote the token.
    throw malformed('a part is not JSON in UTF-8')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('a part is not a JSON object')
  }
  return new Map(Object.entries(value))
}

function malformed(why: string): Refusal {
  return new Refusal('token_malformed', `the token is malformed: ${why}`)
}
