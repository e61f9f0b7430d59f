import type { Identity } from '../identity.js'
import { Refusal } from '../refusal.js'
import { groupsClaimOf } from './absent-groups.js'
import { checkClaims, foreignIssuer, issuerOf, type ClaimsOptions } from './claims.js'
import type { TokenRules } from './configuration.js'
import { createDistributedClaim } from './distributed-claims.js'
import { hintsFor } from './explain-hints.js'
import { createGroupSelection } from './group-selection.js'
import { checkedClaimsOptions } from './issuer.js'
import type { Keys, Proof } from './keys.js'
import { openKeySource, type KeySource, type Surroundings } from './key-source.js'
import { createMapping, type IdentityLimits } from './mapping.js'
import { parseToken, type Claims, type ParsedToken } from './token.js'
import { traced, type Rule, type TraceStep } from './trace.js'

export interface ExplainOptions {
  readonly rules: readonly TokenRules[]
  readonly limits: IdentityLimits
  readonly signingAlgs: readonly string[]
  readonly clockSkewSeconds: number
  /** Of issuers that name no authority of their own. @default the system's roots */
  readonly ca?: string | Buffer | undefined
  /** Whether issuers are asked for their keys and for claims elsewhere; without, signatures stay unproven. */
  readonly online: boolean
  readonly surroundings?: Surroundings | undefined
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: (() => number) | undefined
}

export interface Explanation {
  /** `unproven`: it would be accepted if its signature is right. `unknown`: the issuer could not be asked. */
  readonly verdict: 'accepted' | 'refused' | 'unproven' | 'unknown'
  /** What serve would answer with: the first one in its order. */
  readonly refusal?: Refusal
  /** Whose rules were applied. */
  readonly issuer?: string
  readonly header?: {
    readonly alg?: string | undefined
    readonly kid?: string | undefined
    readonly typ?: string | undefined
  }
  /** In the order in which serve applies them. */
  readonly steps: readonly ExplainedStep[]
  /** Whom the token is for, where every rule about that holds. */
  readonly identity?: Identity
  /** Its groups that are not sent, by `--allowed-groups` and `--denied-groups`; absent where there are none. */
  readonly leftOut?: readonly string[]
  /** What may be behind it, and what to do: a sentence each. */
  readonly hints: readonly string[]
}

export interface ExplainedStep extends TraceStep {
  /** What the token says in `claim`, where that was refused. */
  readonly found?: unknown
}

/**
 * Walks a token through every rule that serve would apply, with serve's own rules, and on after one that refuses:
 * text, issuer, audience, times, signature, claims, names. Neither the signature nor the text of the token
 * is in what comes out.
 */
export async function explainToken(
  text: string,
  options: ExplainOptions,
  signal: AbortSignal,
): Promise<Explanation> {
  const steps: TraceStep[] = []
  const walk = traced(step => void steps.push(step))
  const peeked = peek(text)
  let strict: ParsedToken | undefined
  walk.apply({ rule: 'token' }, () => {
    strict = parseToken(text)
  })
  // What serve does not read is read as leniently as can be, to tell what else there is.
  const token = strict ?? peeked?.token
  const rules = token && rulesFor(token, options.rules)
  let identity: Identity | undefined
  /** With the claims that it only points at. */
  let complete: ParsedToken | undefined
  if (token !== undefined && rules === undefined) {
    walk.apply({ rule: 'issuer.url', claim: 'iss' }, () => {
      throw foreignIssuer(token)
    })
  }
  if (token !== undefined && rules !== undefined) {
    const claimsOptions = checkedClaimsOptions(rules, options)
    checkClaims(token, claimsOptions, (options.now ?? Date.now)() / 1000, walk)
    const signature = { rule: 'signature' }
    if (strict === undefined) walk.skip(signature, 'the token is not as it must be')
    else if (!options.online) walk.skip(signature, 'the issuer was not asked')
    else if (!options.signingAlgs.includes(token.alg)) walk.skip(signature, 'alg is not accepted')
    else {
      const asked = await askIssuer(token, { rules, claimsOptions, options, steps, signal })
      complete = { ...token, claims: asked }
    }
    try {
      const map = createMapping({ ...options.limits, rules })
      identity = map((complete ?? token).claims, step => void steps.push(step))
    } catch (error) {
      // It is among the steps.
      if (!(error instanceof Refusal)) throw error
    }
  }
  const refusal = steps.find(step => step.refusal !== undefined)?.refusal
  const verdict = verdictOf(refusal, steps)
  const leftOut = leftOutOf(steps, options.limits)
  return {
    verdict,
    ...(refusal !== undefined && { refusal }),
    ...(rules !== undefined && { issuer: rules.issuer.url }),
    ...(peeked !== undefined && { header: peeked.header }),
    steps: steps.map(step => withClaim(step, complete ?? token)),
    ...(identity !== undefined && { identity }),
    ...(leftOut.length > 0 && { leftOut }),
    hints: hintsFor({ token: complete ?? token, rules, all: options.rules, steps, leftOut }),
  }
}

/** Also where those that are sent are too many: what was left out is why there are not even more. */
function leftOutOf(steps: readonly TraceStep[], limits: IdentityLimits): readonly string[] {
  const mapped = steps.find(({ rule }) => rule === 'claimMappings.groups')?.value
  if (!Array.isArray(mapped)) return []
  const select = createGroupSelection({ ...limits, maxGroups: Infinity })
  return select(mapped.filter(group => typeof group === 'string')).leftOut
}

function withClaim(step: TraceStep, token: ParsedToken | undefined): ExplainedStep {
  const found = step.claim === undefined ? undefined : token?.claims.get(step.claim)
  return step.verdict === 'refused' && found !== undefined ? { ...step, found } : step
}

/** Of one configured issuer the rules are applied to any token, to tell what else there is. */
function rulesFor(token: ParsedToken, all: readonly TokenRules[]): TokenRules | undefined {
  const named = all.find(({ issuer }) => issuer.url === issuerOf(token))
  return named ?? (all.length === 1 ? all[0] : undefined)
}

function verdictOf(
  refusal: Refusal | undefined,
  steps: readonly TraceStep[],
): Explanation['verdict'] {
  if (refusal !== undefined) return refusal.status === 503 ? 'unknown' : 'refused'
  return steps.some(({ rule, verdict }) => rule === 'signature' && verdict === 'skipped')
    ? 'unproven'
    : 'accepted'
}

interface Asking {
  readonly rules: TokenRules
  readonly claimsOptions: ClaimsOptions
  readonly options: ExplainOptions
  /** Of what was found out so far; those of the asking go behind. */
  readonly steps: TraceStep[]
  readonly signal: AbortSignal
}

/** Asks the issuer for its keys, and then for the groups that the token only points at. Gives its claims. */
async function askIssuer(token: ParsedToken, asking: Asking): Promise<Claims> {
  const { rules, options, steps, signal } = asking
  const { ca, surroundings } = options
  const { url: issuerUrl, discoveryURL: discoveryUrl, certificateAuthority } = rules.issuer
  const source = openKeySource({
    issuerUrl,
    discoveryUrl,
    ca: certificateAuthority ?? ca,
    surroundings: surroundings ?? {},
  })
  try {
    steps.push(await signatureStep(source.keys, token, signal))
    return await completeClaims(token, source, asking)
  } finally {
    await source.close()
  }
}

async function signatureStep(
  keys: Keys,
  token: ParsedToken,
  signal: AbortSignal,
): Promise<TraceStep> {
  const rule = 'signature'
  try {
    const proof = await verified(keys, token, signal)
    if (!(proof instanceof Refusal)) return { rule, value: 'by a key of the issuer', verdict: 'ok' }
    return refusedStep({ rule }, proof)
  } catch (error) {
    return refusedStep({ rule }, error)
  }
}

function refusedStep(rule: Rule, error: unknown): TraceStep {
  const refusal = Refusal.from(error)
  return { ...rule, verdict: 'refused', why: refusal.message, refusal }
}

/** As serve: what a token points at is fetched once nothing else speaks against the token. */
async function completeClaims(
  { claims }: ParsedToken,
  { keys, getText }: KeySource,
  { rules, claimsOptions, options, steps, signal }: Asking,
): Promise<Claims> {
  const claim = groupsClaimOf(rules)
  if (claim === undefined || claims.has(claim) || !claims.has('_claim_names')) return claims
  const rule = { rule: '_claim_sources', claim }
  if (steps.some(({ refusal }) => refusal !== undefined)) {
    steps.push({
      ...rule,
      verdict: 'skipped',
      why: 'nothing is fetched for a token that is refused',
    })
    return claims
  }
  const now = options.now ?? Date.now
  const elsewhere = createDistributedClaim({ claim, claimsOptions, keys, getText, now })
  try {
    const whole = await elsewhere.complete(claims, 'explained', signal)
    if (whole.claims !== claims) {
      steps.push({ ...rule, value: whole.claims.get(claim), verdict: 'ok' })
    }
    return whole.claims
  } catch (error) {
    steps.push(refusedStep(rule, error))
    return claims
  }
}

/** Requests are not kept waiting for the very first keys for long; who asks for an explanation has time. */
async function verified(
  keys: Keys,
  token: ParsedToken,
  signal: AbortSignal,
): Promise<Proof | Refusal> {
  try {
    return await keys.verify(token, 'explained', signal)
  } catch (error) {
    if (keys.answered || signal.aborted) throw error
    return await verified(keys, token, signal)
  }
}

interface Peeked {
  readonly token: ParsedToken
  readonly header: NonNullable<Explanation['header']>
}

/** Reads what can be read of a token, well-formed or not; nothing of it is ever believed. */
function peek(text: string): Peeked | undefined {
  const [head = '', body = ''] = text.split('.', 3)
  const header = members(head)
  const claims = members(body)
  if (header === undefined || claims === undefined) return undefined
  const said = (name: string): string | undefined => {
    const value = header.get(name)
    return typeof value === 'string' ? value.slice(0, 200) : undefined
  }
  const kid = said('kid')
  const token = { compact: '', alg: said('alg') ?? '', ...(kid !== undefined && { kid }), claims }
  return { token, header: { alg: said('alg'), kid, typ: said('typ') } }
}

function members(part: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined
  } catch {
    return undefined
  }
}
