import {
  createIssuer,
  type IssuerAuthenticator,
  type IssuerOptions,
} from '../../lib/authenticate/issuer.js'
import type { Verdict } from '../../lib/authenticate/authenticator.js'
import type { MappingOptions } from '../../lib/authenticate/mapping.js'
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

export const mapping: MappingOptions = {
  usernameClaim: 'sub',
  usernamePrefix: '',
  groupsClaim: 'groups',
  groupsPrefix: '',
  requiredClaims: new Map(),
  allowReservedUsers: [],
  allowReservedGroups: [],
  maxGroups: 256,
}

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
  readonly authenticator: IssuerAuthenticator
  readonly clock: FakeClock
  /** Seconds since the epoch; may be set. */
  seconds: number
  readonly ask: (token: string, signal?: AbortSignal) => Promise<Verdict> | Verdict
  /** The user, or the code of the refusal; whether it was known or could not be is in the prefix. */
  readonly said: (token: string, signal?: AbortSignal) => Promise<string>
}

export async function startSubject(
  issuer: FakeIssuer,
  options: Partial<IssuerOptions> = {},
): Promise<Subject> {
  const clock = createFakeClock()
  const authenticator = createIssuer({
    issuerUrl,
    audiences: ['gateway'],
    signingAlgs: ['RS256', 'ES256'],
    clockSkewSeconds: 30,
    mapping,
    now: () => subject.seconds * 1000,
    clock,
    random: () => 0,
    getJson: issuer.getJson,
    ...options,
  })
  const subject: Subject = {
    authenticator,
    clock,
    seconds: nowSeconds,
    ask: (token, signal = new AbortController().signal) =>
      authenticator.authenticate({ kind: 'bearer', token: new Secret(token, 'token') }, { signal }),
    said: async (token, signal) => {
      try {
        const verdict = await subject.ask(token, signal)
        if (verdict.outcome === 'rejected') return `rejected ${verdict.refusal.code}`
        return verdict.outcome === 'authenticated' ? verdict.identity.username : verdict.outcome
      } catch (error) {
        return `threw ${Refusal.from(error).code}`
      }
    },
  }
  await clock.advance(0)
  await turns()
  return subject
}
