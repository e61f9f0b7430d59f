import { Refusal } from '../refusal.js'
import { checkClaimSources } from './claim-sources.js'
import type { Claims, ParsedToken } from './token.js'
import { untraced, type Steps } from './trace.js'

export interface ClaimsOptions {
  /** Compared exactly with `iss`. */
  readonly issuerUrl: string
  /** One of them must be in `aud`. */
  readonly audiences: readonly string[]
  /** Accepted values of `alg`. */
  readonly signingAlgs: readonly string[]
  /** How far `nbf` and `iat` may lie in the future. `exp` is taken as it stands. */
  readonly clockSkewSeconds: number
}

/**
 * Checks all that can be known without a key: algorithm, issuer, audience, times. It comes before
 * the signature, so that only a token that would otherwise be good can make us ask the issuer for keys.
 * @param steps are told of each check, for who wants to explain them
 * @returns `exp`, seconds since the epoch; `undefined` only where steps are traced
 * @throws Refusal `token_algorithm`, `token_issuer`, `token_audience`, `token_claim`, `token_expired`,
 *   `token_not_yet_valid`
 */
export function checkClaims(token: ParsedToken, options: ClaimsOptions, nowSeconds: number): number
export function checkClaims(
  token: ParsedToken,
  options: ClaimsOptions,
  nowSeconds: number,
  steps: Steps,
): number | undefined
export function checkClaims(
  token: ParsedToken,
  options: ClaimsOptions,
  nowSeconds: number,
  steps: Steps = untraced,
): number | undefined {
  const { alg, claims } = token
  steps.apply({ rule: 'header.alg' }, () => {
    if (options.signingAlgs.includes(alg)) return alg
    throw new Refusal('token_algorithm', `alg ${quoted(alg)} is not accepted`)
  })
  steps.apply({ rule: 'issuer.url', claim: 'iss' }, () => {
    if (issuerOf(token) === options.issuerUrl) return options.issuerUrl
    throw foreignIssuer(token)
  })
  steps.apply({ rule: 'issuer.audiences', claim: 'aud' }, () =>
    checkAudience(claims.get('aud'), options.audiences),
  )
  steps.apply({ rule: 'claims' }, () => {
    checkTexts(claims)
    checkClaimSources(claims)
  })
  const expiresAt = steps.apply({ rule: 'exp', claim: 'exp' }, () => {
    const time = timeOf(claims, 'exp')
    if (time === undefined) throw new Refusal('token_claim', 'the claim exp is missing')
    if (nowSeconds >= time) throw new Refusal('token_expired')
    return time
  })
  for (const claim of ['nbf', 'iat']) {
    steps.apply({ rule: claim, claim }, () => {
      const time = timeOf(claims, claim)
      if (time === undefined || time <= nowSeconds + options.clockSkewSeconds) return time
      throw new Refusal('token_not_yet_valid', `${claim} lies in the future`)
    })
  }
  return expiresAt
}

/** `iss`, before anything is proven; Google's tokens may say it without its scheme. */
export function issuerOf({ claims }: ParsedToken): unknown {
  const issuer = claims.get('iss')
  return issuer === 'accounts.google.com' ? 'https://accounts.google.com' : issuer
}

export function foreignIssuer({ claims }: ParsedToken): Refusal {
  return new Refusal(
    'token_issuer',
    `iss ${quoted(claims.get('iss'))} is not the configured issuer`,
  )
}

/**
 * RFC 7519 4.1.3. An array with anything but strings in it is no audience at all, whatever else it holds.
 * @returns those that are ours
 */
function checkAudience(claim: unknown, audiences: readonly string[]): readonly string[] {
  const named: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  if (!named.every(name => typeof name === 'string')) {
    throw new Refusal('token_audience', 'aud is missing, or neither a string nor strings')
  }
  const ours = named.filter(name => audiences.includes(name))
  if (ours.length === 0) throw new Refusal('token_audience')
  return ours
}

/**
 * What is a string in every token, whoever asks for it; `null` is none. The API server refuses tokens that
 * say otherwise before it maps anything.
 */
function checkTexts(claims: Claims): void {
  for (const name of ['sub', 'nonce', 'at_hash']) {
    const value = claims.get(name) ?? ''
    if (typeof value !== 'string') {
      throw new Refusal('token_claim', `the claim ${name} is not a string`)
    }
  }
}

/** A NumericDate. JSON can write `1e400`, which is read as infinity: never expiring. */
function timeOf(claims: Claims, name: string): number | undefined {
  if (!claims.has(name)) return undefined
  const value = claims.get(name)
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new Refusal('token_claim', `the claim ${name} is not a finite number`)
  }
  return value
}

/** For the log: what a stranger wrote, bounded, with nothing in it that could break a line. */
function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 200)) : `of type ${typeof value}`
}
