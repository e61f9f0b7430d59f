import { Refusal } from '../refusal.js'
import type { Authenticator, Verdict } from './authenticator.js'
import { checkClaims, type ClaimsOptions } from './claims.js'
import type { Clock } from './clock.js'
import { createIssuerClient, type GetJson } from './issuer-client.js'
import { createKeys, type KeysPolicy } from './keys.js'
import { createMapping, type MappingOptions } from './mapping.js'
import { createPublishedKeys } from './published-keys.js'
import { supportedAlgs } from './signing-key.js'
import { parseToken, type ParsedToken } from './token.js'
import { createVerdicts, type Judgement } from './verdicts.js'

export interface IssuerOptions extends ClaimsOptions {
  readonly mapping: MappingOptions
  /** PEM. @default the system's roots */
  readonly ca?: string | Buffer | undefined
  readonly keys?: KeysPolicy | undefined
  /** Milliseconds since the epoch, for the claims. @default Date.now */
  readonly now?: (() => number) | undefined
  /** Monotonic time, for the keys. @default the process's own */
  readonly clock?: Clock | undefined
  /** In [0, 1), for jitter. @default Math.random */
  readonly random?: (() => number) | undefined
  /** How documents are fetched. @default an https client of its own */
  readonly getJson?: GetJson | undefined
}

/** Decides about the tokens of one OpenID Connect issuer. */
export interface IssuerAuthenticator extends Authenticator {
  /** Whether a key is known: until then every token is refused as unavailable. */
  readonly ready: boolean
  /** For the readiness page: `ready`, or what is wrong. */
  state(): string
  /** The issuer is known by another authority from now on; asks for its keys at once. */
  setCa(ca: string | Buffer | undefined): void
  close(): Promise<void>
}

/**
 * Starts asking the issuer for its keys at once, and does not wait for them.
 * @throws TypeError for options that could only verify wrongly
 */
export function createIssuer(options: IssuerOptions): IssuerAuthenticator {
  const { issuerUrl } = options
  const claimsOptions = checked(options)
  const now = options.now ?? Date.now
  const map = createMapping(options.mapping)
  const client = createIssuerClient({ ca: options.ca })
  const keys = createKeys({
    issuerUrl,
    published: createPublishedKeys({ issuerUrl, getJson: options.getJson ?? client.getJson }),
    policy: options.keys,
    clock: options.clock,
    random: options.random,
  })

  const judge = (
    text: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<Judgement> | Judgement => {
    let token: ParsedToken
    let expiresAt: number
    try {
      token = parseToken(text)
      expiresAt = checkClaims(token, claimsOptions, now() / 1000)
    } catch (error) {
      return { verdict: rejected(error) }
    }
    return prove(token, expiresAt, digest, signal)
  }

  const prove = async (
    token: ParsedToken,
    expiresAt: number,
    digest: string,
    signal: AbortSignal,
  ): Promise<Judgement> => {
    // What this throws is no verdict, and passes.
    const proof = await keys.verify(token, digest, signal)
    if (proof instanceof Refusal) return { verdict: rejected(proof) }
    try {
      const identity = map(token.claims)
      const verdict = Object.freeze({ outcome: 'authenticated', identity, expiresAt } as const)
      return { verdict, proof }
    } catch (error) {
      return { verdict: rejected(error) }
    }
  }

  const verdicts = createVerdicts({ judge, now })
  return {
    name: issuerUrl,
    authenticate: (credential, waiting) => verdicts.decide(credential.token.reveal(), waiting),
    get ready() {
      return keys.ready
    },
    state: () => keys.state(),
    setCa: ca => {
      client.setCa(ca)
      keys.refresh()
    },
    close: async () => {
      await keys.close()
      await client.close()
    },
  }
}

function checked(options: IssuerOptions): ClaimsOptions {
  const { issuerUrl, clockSkewSeconds } = options
  const audiences = Object.freeze([...options.audiences])
  const signingAlgs = Object.freeze([...options.signingAlgs])
  if (!URL.canParse(issuerUrl) || new URL(issuerUrl).protocol !== 'https:') {
    throw new TypeError('issuerUrl must be an https address')
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
  return { issuerUrl, audiences, signingAlgs, clockSkewSeconds }
}

/** The pure steps throw what they know; from here on it is a verdict. Anything else is a fault of ours. */
function rejected(error: unknown): Verdict {
  if (!(error instanceof Refusal)) throw error
  return { outcome: 'rejected', refusal: error }
}
