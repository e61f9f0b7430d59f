import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { Refusal } from '../refusal.js'
import { checkClaims, type ClaimsOptions } from './claims.js'
import { sourceOf, type ClaimSource } from './claim-sources.js'
import type { GetText } from './issuer-client.js'
import type { Keys, Proof } from './keys.js'
import { parseToken, type Claims } from './token.js'

/*
 * OpenID Connect Core 5.6.2: a token can say that one of its claims is to be had elsewhere, as another token.
 *
 *  - The address is part of what the issuer has signed, and is looked at once the signature is proven. https, no
 *    redirects, bounded in size and time, by the issuer's own authority.
 *  - What it answers must be a token of the same issuer, for the same audience, in its time and signed with one of
 *    its keys. So nobody else is asked for anything: kube-apiserver would look for the keys of whatever
 *    issuer the answer names.
 *  - That it cannot be had is not known to be the token's fault: it throws. That what came is no good is a rejection.
 */

export interface DistributedClaimOptions {
  /** The one claim that is asked for. */
  readonly claim: string
  /** What the answer is held against. */
  readonly claimsOptions: ClaimsOptions
  readonly keys: Pick<Keys, 'verify'>
  readonly getText: GetText
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** The claims with what was fetched, and for how long that counts; a proof keeps no claims alive. */
export interface CompleteClaims {
  readonly claims: Claims
  readonly proof: Proof
}

const nothingFetched: Proof = { live: true }

/** A token whose claim could not be fetched, or was no good, or led to no identity, does not ask again for so long. */
const backOffMs = 10_000

export interface DistributedClaim {
  /**
   * The claims with the one that is to be had elsewhere.
   * @throws Refusal of this token from before; `token_claim`; `issuer_unavailable` when it cannot be had
   */
  complete(
    claims: Claims,
    digest: string,
    signal: AbortSignal,
  ): Promise<CompleteClaims> | CompleteClaims
  /** The token was refused for what was fetched: for a while that stands, and nothing is fetched for it. */
  refuse(digest: string, refusal: Refusal): void
}

/**
 * Completes the claims of a proven token, without a promise where there is nothing to fetch: a claim in the token
 * itself wins, and what is aggregated (a `JWT` in place of an `endpoint`) is not read, as in kube-apiserver.
 */
export function createDistributedClaim(options: DistributedClaimOptions): DistributedClaim {
  const { claim, now } = options
  const failed = new LRUCache<string, { readonly until: number; readonly refusal: Refusal }>({
    max: 1_000,
  })

  const refuse = (digest: string, refusal: Refusal): void => {
    failed.set(digest, { until: now() + backOffMs, refusal })
  }

  const fetchFor = async (
    claims: Claims,
    { endpoint, accessToken }: ClaimSource & { readonly endpoint: string },
    digest: string,
    signal: AbortSignal,
  ): Promise<CompleteClaims> => {
    const before = failed.get(digest)
    if (before !== undefined && now() < before.until) throw before.refusal
    try {
      const text = await options.getText(endpoint, accessToken, signal).catch(unavailable)
      const { value, proof } = await read(text.trim(), options, signal)
      return { claims: new Map(claims).set(claim, value), proof }
    } catch (error) {
      if (error instanceof Refusal && !signal.aborted) refuse(digest, error)
      throw error
    }
  }

  const unavailable = (error: unknown): never => {
    const why = error instanceof Error ? error.message : String(error)
    throw new Refusal('issuer_unavailable', `the claim ${quoted(claim)} cannot be fetched: ${why}`)
  }

  return {
    complete: (claims, digest, signal) => {
      const source = claims.has(claim) ? undefined : sourceOf(claims, claim)
      const { endpoint = '' } = source ?? {}
      if (source === undefined || endpoint === '') return { claims, proof: nothingFetched }
      return fetchFor(claims, { ...source, endpoint: checked(endpoint) }, digest, signal)
    },
    refuse,
  }
}

async function read(
  text: string,
  { claim, claimsOptions, keys, now }: DistributedClaimOptions,
  signal: AbortSignal,
): Promise<{ readonly value: unknown; readonly proof: Proof }> {
  try {
    const answer = parseToken(text)
    const expiresAt = checkClaims(answer, claimsOptions, now() / 1000)
    if (!answer.claims.has(claim)) throw new Refusal('token_claim', 'it does not hold the claim')
    const digest = createHash('sha256').update(text).digest('base64url')
    const proof = await keys.verify(answer, digest, signal)
    if (proof instanceof Refusal) throw proof
    return {
      value: answer.claims.get(claim),
      proof: {
        get live() {
          return proof.live && now() < expiresAt * 1000
        },
      },
    }
  } catch (error) {
    // Of the keys it could not be known: that is another matter than an answer that is wrong.
    if (!(error instanceof Refusal) || error.status !== 401) throw error
    throw new Refusal(
      'token_claim',
      `what was fetched for the claim ${quoted(claim)}: ${error.message}`,
    )
  }
}

function checked(endpoint: string): string {
  if (!URL.canParse(endpoint) || new URL(endpoint).protocol !== 'https:') {
    throw new Refusal('token_claim', 'a source of claims is no https address')
  }
  return endpoint
}

const quoted = (claim: string): string => JSON.stringify(claim)
