import type { TokenRules } from '../../lib/authenticate/configuration.js'
import { rulesOfFlags, type IssuerFlags } from '../../lib/authenticate/flag-configuration.js'
import { createIssuers, type Issuers, type IssuersOptions } from '../../lib/authenticate/issuers.js'
import type { IdentityLimits } from '../../lib/authenticate/mapping.js'
import type { Verdict } from '../../lib/authenticate/authenticator.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { createFakeClock, turns, type FakeClock } from './fake-clock.js'
import type { Signer } from './tokens.js'

export const issuerUrl = 'https://issuer.example'
export const discoveryUrl = `${issuerUrl}/.well-known/openid-configuration`
export const jwksUrl = `${issuerUrl}/keys`
/** Seconds since the epoch at which these tests take place. */
export const nowSeconds = 1_800_000_000

export const claims = (more: object = {}): object => ({
  iss: issuerUrl,
  aud: 'gateway',
  sub: 'alice',
  exp: nowSeconds + 600,
  ...more,
})

export const flags: IssuerFlags = {
  url: issuerUrl,
  audience: 'gateway',
  usernameClaim: 'sub',
  usernamePrefix: '',
  groupsClaim: 'groups',
  groupsPrefix: '',
  requiredClaims: new Map(),
}

export const limits: IdentityLimits = {
  allowReservedUsers: [],
  allowReservedGroups: [],
  maxGroups: 256,
}

const rules: TokenRules = rulesOfFlags(flags)

/** Options of the issuers, and of the one issuer that most tests have. */
export interface SubjectOptions extends Partial<IssuersOptions> {
  readonly issuerUrl?: string
  readonly audiences?: readonly string[]
  readonly ca?: string
}

/** The options as they are given to issuers; without rules those of `flags`. */
export function issuersOptions({
  issuerUrl: url = issuerUrl,
  audiences = ['gateway'],
  ca: _ca,
  ...options
}: SubjectOptions): IssuersOptions {
  return {
    rules: [{ ...rules, issuer: { url, audiences } }],
    limits,
    signingAlgs: ['RS256', 'ES256'],
    clockSkewSeconds: 30,
    ...options,
  }
}

/** How it stands with the one issuer there is. */
export const stateOf = (issuers: Issuers): string => issuers.states()[0]?.state ?? ''

/** An issuer without a network: what it says, and what it was asked. */
export interface FakeIssuer {
  readonly asked: string[]
  readonly getJson: (url: string) => Promise<unknown>
  /** How often the keys were asked for. */
  readonly fetches: number
  publish(...signers: readonly Signer[]): void
  /** Answers this, or throws it when it is an error. */
  answer(jwks: unknown): void
  discovery: unknown
}

export function createFakeIssuer(...signers: readonly Signer[]): FakeIssuer {
  const asked: string[] = []
  let jwks: unknown = { keys: signers.map(signer => signer.jwk) }
  const issuer: FakeIssuer = {
    asked,
    get fetches() {
      return asked.filter(url => !url.includes('.well-known')).length
    },
    publish: (...next) => {
      jwks = { keys: next.map(signer => signer.jwk) }
    },
    answer: next => {
      jwks = next
    },
    discovery: { issuer: issuerUrl, jwks_uri: jwksUrl },
    getJson: async url => {
      asked.push(url)
      await new Promise(resolve => {
        setImmediate(resolve)
      })
      const answer = url === discoveryUrl ? issuer.discovery : jwks
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  return issuer
}

/** An authenticator of a fake issuer, in fake time, and short ways to ask it. */
export interface Subject {
  readonly authenticator: Issuers
  readonly clock: FakeClock
  /** Seconds since the epoch; may be set. */
  seconds: number
  readonly ask: (token: string, signal?: AbortSignal) => Promise<Verdict> | Verdict
  /** The user, or the code of the refusal; whether it was known or could not be is in the prefix. */
  readonly said: (token: string, signal?: AbortSignal) => Promise<string>
}

export async function startSubject(
  issuer: FakeIssuer,
  options: SubjectOptions = {},
): Promise<Subject> {
  const clock = createFakeClock()
  const authenticator = createIssuers(
    issuersOptions({
      now: () => subject.seconds * 1000,
      clock,
      random: () => 0,
      getJson: issuer.getJson,
      ...options,
    }),
    options.ca,
  )
  const subject: Subject = {
    authenticator,
    clock,
    seconds: nowSeconds,
    ask: (token, signal = new AbortController().signal) =>
      authenticator.authenticate({ kind: 'bearer', token: new Secret(token, 'token') }, { signal }),
    said: async (token, signal) => {
      try {
        const verdict = await subject.ask(token, signal)
        return verdict.outcome === 'authenticated'
          ? verdict.identity.username
          : `${verdict.outcome} ${verdict.refusal.code}`
      } catch (error) {
        return `threw ${Refusal.from(error).code}`
      }
    },
  }
  await clock.advance(0)
  await turns()
  return subject
}
