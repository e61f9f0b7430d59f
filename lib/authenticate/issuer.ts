import { Refusal } from '../refusal.js'
import { createAbsentGroups, groupsClaimOf } from './absent-groups.js'
import type { Verdict } from './authenticator.js'
import { checkClaims, type ClaimsOptions } from './claims.js'
import type { TokenRules } from './configuration.js'
import { createDistributedClaim, type CompleteClaims } from './distributed-claims.js'
import type { GetText } from './issuer-client.js'
import type { Keys, Proof } from './keys.js'
import { createMapping, type IdentityLimits, type Mapping } from './mapping.js'
import { supportedAlgs } from './signing-key.js'
import type { ParsedToken } from './token.js'
import type { Judgement } from './verdicts.js'

export interface IssuerOptions {
  readonly rules: TokenRules
  readonly limits: IdentityLimits
  readonly claimsOptions: ClaimsOptions
  readonly keys: Keys
  /** How claims are fetched that a token only points at. */
  readonly getText: GetText
  /** Milliseconds since the epoch, for the claims. */
  readonly now: () => number
}

/** Decides about the tokens of one issuer by one set of rules. */
export interface Issuer {
  readonly rules: TokenRules
  /** False once other rules have taken its place: what it has said is worth nothing from then on. */
  readonly live: boolean
  /** Whatever the claims say alone comes without a promise. */
  judge(token: ParsedToken, digest: string, signal: AbortSignal): Promise<Judgement> | Judgement
  /** Steps of the same judgement, for who wants to explain one. */
  readonly claimsOptions: ClaimsOptions
  readonly map: Mapping
  retire(): void
}

export function createIssuer(options: IssuerOptions): Issuer {
  const { rules, claimsOptions, keys, now } = options
  const map = createMapping({ ...options.limits, rules })
  const lookForGroups = createAbsentGroups({ rules, now })
  const { getText } = options
  const claim = groupsClaimOf(rules)
  const elsewhere =
    claim === undefined
      ? undefined
      : createDistributedClaim({ claim, claimsOptions, keys, getText, now })
  let live = true

  const prove = async (
    token: ParsedToken,
    expiresAt: number,
    digest: string,
    signal: AbortSignal,
  ): Promise<Judgement> => {
    // What this throws is no verdict, and passes.
    let proof = await keys.verify(token, digest, signal)
    if (proof instanceof Refusal) return { verdict: rejected(proof) }
    let whole: CompleteClaims
    try {
      whole = (await elsewhere?.complete(token.claims, digest, signal)) ?? {
        claims: token.claims,
        proof: { live: true },
      }
    } catch (error) {
      // A claim that could not be had is no verdict either; one that is no good is.
      if (!(error instanceof Refusal) || error.status >= 500) throw error
      return { verdict: rejected(error) }
    }
    // To fetch takes its time: the token may have ended, and the key may have been withdrawn meanwhile.
    if (now() >= expiresAt * 1000) return { verdict: rejected(new Refusal('token_expired')) }
    if (!proof.live) proof = await keys.verify(token, digest, signal)
    if (proof instanceof Refusal) return { verdict: rejected(proof) }
    const judgement = conclude(whole, proof, expiresAt)
    const fetched = whole.claims !== token.claims
    const { verdict } = judgement
    if (fetched && verdict.outcome === 'rejected') elsewhere?.refuse(digest, verdict.refusal)
    return judgement
  }

  const conclude = (whole: CompleteClaims, proof: Proof, expiresAt: number): Judgement => {
    try {
      const identity = map(whole.claims)
      lookForGroups(whole.claims)
      // Remembered for hours: it must hold on to no more than this, least of all to the claims.
      const { proof: fetched } = whole
      const verdict = Object.freeze({ outcome: 'authenticated', identity, expiresAt } as const)
      return {
        verdict,
        proof: {
          get live() {
            return live && proof.live && fetched.live
          },
        },
      }
    } catch (error) {
      return { verdict: rejected(error) }
    }
  }

  return {
    rules,
    get live() {
      return live
    },
    judge: (token, digest, signal) => {
      try {
        const expiresAt = checkClaims(token, claimsOptions, now() / 1000)
        return prove(token, expiresAt, digest, signal)
      } catch (error) {
        return { verdict: rejected(error) }
      }
    },
    claimsOptions,
    map,
    retire: () => {
      live = false
    },
  }
}

/** @throws TypeError for options that could only verify wrongly */
export function checkedClaimsOptions(
  rules: TokenRules,
  { signingAlgs, clockSkewSeconds }: Pick<ClaimsOptions, 'signingAlgs' | 'clockSkewSeconds'>,
): ClaimsOptions {
  const { url: issuerUrl } = rules.issuer
  const audiences = Object.freeze([...rules.issuer.audiences])
  if (!URL.canParse(issuerUrl) || new URL(issuerUrl).protocol !== 'https:') {
    throw new TypeError('the issuer must be an https address')
  }
  if (audiences.length === 0 || audiences.includes('')) {
    throw new TypeError('audiences must name at least one, and no empty one')
  }
  if (signingAlgs.length === 0 || !signingAlgs.every(alg => supportedAlgs.has(alg))) {
    throw new TypeError('signingAlgs must name asymmetric algorithms only')
  }
  if (!Number.isFinite(clockSkewSeconds) || clockSkewSeconds < 0) {
    throw new TypeError('clockSkewSeconds must be a finite number, not negative')
  }
  return { issuerUrl, audiences, signingAlgs: Object.freeze([...signingAlgs]), clockSkewSeconds }
}

/** The pure steps throw what they know; from here on it is a verdict. Anything else is a fault of ours. */
export function rejected(error: unknown): Extract<Verdict, { outcome: 'rejected' }> {
  if (!(error instanceof Refusal)) throw error
  return { outcome: 'rejected', refusal: error }
}
