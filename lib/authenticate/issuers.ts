import { facts } from '../channels.js'
import { Refusal } from '../refusal.js'
import type { Authenticator } from './authenticator.js'
import { foreignIssuer, issuerOf } from './claims.js'
import type { TokenRules } from './configuration.js'
import { checkedClaimsOptions, createIssuer, rejected, type Issuer } from './issuer.js'
import { openKeySource, type KeySource, type Surroundings } from './key-source.js'
import type { IdentityLimits } from './mapping.js'
import { parseToken, peekIssuer, type ParsedToken } from './token.js'
import { createVerdicts, type Judgement } from './verdicts.js'

export interface IssuersOptions extends Surroundings {
  readonly rules: readonly TokenRules[]
  readonly limits: IdentityLimits
  /** Accepted values of `alg`. */
  readonly signingAlgs: readonly string[]
  /** How far `nbf` and `iat` may lie in the future. `exp` is taken as it stands. */
  readonly clockSkewSeconds: number
  /** Milliseconds since the epoch, for the claims. @default Date.now */
  readonly now?: (() => number) | undefined
}

/** How it stands with one issuer. */
export interface IssuerState {
  readonly url: string
  readonly ready: boolean
  /** `ready`, or what is wrong. */
  readonly state: string
}

/** Decides about the tokens of all configured issuers: each by the one that its `iss` names, and by no other. */
export interface Issuers extends Authenticator {
  /** Whether the keys of one of them are known, or there is none to wait for. */
  readonly ready: boolean
  states(): readonly IssuerState[]
  /** Other rules are in force from now on. What stays as it was keeps its keys and its verdicts. */
  replace(rules: readonly TokenRules[]): void
  /** All issuers that name no authority of their own are known by this one; asks for their keys at once. */
  setCa(ca: string | Buffer | undefined): void
  close(): Promise<void>
}

/** How often a token is judged anew because the rules changed meanwhile. */
const maxRounds = 3

/**
 * Starts asking the issuers for their keys at once, and does not wait for them.
 * @param ca of issuers that name no authority of their own. @default the system's roots
 * @throws TypeError for options that could only verify wrongly
 */
export function createIssuers(options: IssuersOptions, ca?: string | Buffer): Issuers {
  const now = options.now ?? Date.now
  let commonCa = ca
  let current: ReadonlyMap<string, Member> = new Map()
  /** What was replaced and is not closed yet. */
  const leaving = new Set<Promise<void>>()

  const replace = (rules: readonly TokenRules[]): void => {
    const before = current
    const next = new Map(rules.map(one => [one.issuer.url, join(one, before.get(one.issuer.url))]))
    current = next
    for (const [url, member] of before) {
      const successor = next.get(url)
      if (successor?.issuer !== member.issuer) member.issuer.retire()
      if (successor?.source === member.source) continue
      if (successor === undefined) facts.issuerRemoved.publish({ issuer: url })
      const closed = member.source.close().finally(() => leaving.delete(closed))
      leaving.add(closed)
    }
  }

  /** Keys belong to an issuer and the place that it publishes them at, whatever is then asked of tokens. */
  const join = (rules: TokenRules, before: Member | undefined): Member => {
    if (before?.issuer.rules.description === rules.description) return before
    const claimsOptions = checkedClaimsOptions(rules, options)
    const { url, discoveryURL, certificateAuthority } = rules.issuer
    const known = before?.issuer.rules.issuer
    const stays = before !== undefined && known?.discoveryURL === discoveryURL
    const source = stays
      ? before.source
      : openKeySource({
          issuerUrl: url,
          discoveryUrl: discoveryURL,
          ca: certificateAuthority ?? commonCa,
          surroundings: options,
        })
    if (stays && known?.certificateAuthority !== certificateAuthority) {
      source.setCa(certificateAuthority ?? commonCa)
    }
    const { limits } = options
    const { keys, getText } = source
    const issuer = createIssuer({ rules, limits, claimsOptions, keys, getText, now })
    return { issuer, source }
  }

  const judge = (
    text: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<Judgement> | Judgement => {
    let token: ParsedToken
    try {
      token = parseToken(text)
    } catch (error) {
      return { verdict: unparsed(text, error) }
    }
    const member = memberOf(issuerOf(token))
    if (member === undefined) {
      return { verdict: { outcome: 'abstained', refusal: foreignIssuer(token) } }
    }
    const judging = member.issuer.judge(token, digest, signal)
    return judging instanceof Promise
      ? stillTrue(judging, member.issuer, token, digest, signal)
      : judging
  }

  /** Rules that changed while a key was waited for have the last word. */
  const stillTrue = async (
    first: Promise<Judgement>,
    by: Issuer,
    token: ParsedToken,
    digest: string,
    signal: AbortSignal,
  ): Promise<Judgement> => {
    let judgement = await first
    let judge = by
    for (let round = 1; !judge.live; round += 1) {
      const successor = memberOf(issuerOf(token))?.issuer
      if (successor === undefined) {
        return { verdict: { outcome: 'abstained', refusal: foreignIssuer(token) } }
      }
      if (round >= maxRounds) throw new Refusal('issuer_unavailable', 'its rules keep changing')
      judge = successor
      // One after the other: each is by the rules that the one before had not heard of.
      // oxlint-disable-next-line no-await-in-loop
      judgement = await successor.judge(token, digest, signal)
    }
    return judgement
  }

  const memberOf = (issuer: unknown): Member | undefined =>
    typeof issuer === 'string' ? current.get(issuer) : undefined

  /** What cannot be read may be another's; what says that it is ours is not. */
  const unparsed = (text: string, error: unknown): Judgement['verdict'] => {
    const verdict = rejected(error)
    return memberOf(peekIssuer(text)) === undefined
      ? { outcome: 'abstained', refusal: verdict.refusal }
      : verdict
  }

  replace(options.rules)
  const verdicts = createVerdicts({ judge, now })
  const members = (): readonly Member[] => [...current.values()]
  return {
    name: 'issuers',
    authenticate: (credential, waiting) => verdicts.decide(credential.token.reveal(), waiting),
    get ready() {
      return current.size === 0 || members().some(({ source }) => source.keys.ready)
    },
    states: () =>
      [...current].map(([url, { source }]) => ({
        url,
        ready: source.keys.ready,
        state: source.keys.state(),
      })),
    replace,
    setCa: next => {
      commonCa = next
      for (const { issuer, source } of members()) {
        if (issuer.rules.issuer.certificateAuthority === undefined) source.setCa(next)
      }
    },
    close: async () => {
      await Promise.all([...leaving, ...members().map(({ source }) => source.close())])
    },
  }
}

interface Member {
  readonly issuer: Issuer
  readonly source: KeySource
}
