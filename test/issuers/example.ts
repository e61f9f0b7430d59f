import { readFileSync } from 'node:fs'
import { createIssuers, type Issuers } from '../../lib/authenticate/issuers.js'
import { loadConfiguration } from '../../lib/authenticate/load-configuration.js'
import type { IdentityLimits } from '../../lib/authenticate/mapping.js'
import { supportedAlgs } from '../../lib/authenticate/signing-key.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { createFakeClock, turns, type FakeClock } from '../authenticate/fake-clock.js'
import { createSigner, signed, type Signer } from '../authenticate/tokens.js'

export type Claims = Readonly<Record<string, unknown>>

/** The folder of an issuer under `examples/`, as far as it can be run. */
export interface Example {
  /** The claims that its page shows, and what they become there. */
  readonly claims: Claims
  readonly identity: unknown
  readonly configuration: string
}

export function readExample(folder: string): Example {
  const read = (file: string): string =>
    readFileSync(new URL(`../../examples/${folder}/${file}`, import.meta.url), 'utf8')
  const blocks = [...read('README.md').matchAll(/^```json\n([^]*?)^```$/gm)]
  const [claims, identity] = blocks.map(([, block = '']): unknown => JSON.parse(block))
  return {
    // The first block of every such page.
    claims: claims as Claims,
    identity,
    configuration: read('authentication-configuration.yaml'),
  }
}

/** The issuer of an example without a network, and the gateway in front of it. */
export interface Running {
  readonly issuers: Issuers
  readonly clock: FakeClock
  /** What the issuer answers where it publishes its keys; thrown when it is an error. */
  answer(keys: unknown): void
  /** How often it was asked for them. */
  readonly fetches: number
  /** The identity, or `abstained`, or what was rejected or thrown with which code and reason. */
  said(claims: Claims, signer?: Signer): Promise<unknown>
  close(): Promise<void>
}

/** A key of Amazon's, Okta's and everybody else's kind; tests that rotate bring more. */
export const signer = createSigner('RS256', 'key')

export async function run(
  { configuration, claims }: Pick<Example, 'configuration' | 'claims'>,
  options: Partial<IdentityLimits> & { readonly keys?: unknown } = {},
): Promise<Running> {
  const result = loadConfiguration(configuration)
  if ('faults' in result) throw new Error(JSON.stringify(result.faults))
  const [rules] = result.loaded.rules
  if (rules === undefined) throw new Error('there is no issuer')
  const { url, discoveryURL = `${url}/.well-known/openid-configuration` } = rules.issuer
  const { keys = { keys: [signer.jwk] }, ...limits } = options
  let published = keys
  let fetches = 0
  const clock = createFakeClock()
  const issuers = createIssuers({
    rules: [rules],
    limits: { allowReservedUsers: [], allowReservedGroups: [], maxGroups: 256, ...limits },
    signingAlgs: [...supportedAlgs],
    clockSkewSeconds: 30,
    // A second after the token was made.
    now: () => (Number(claims['iat']) + 1) * 1000 + clock.now(),
    clock,
    random: () => 0,
    getJson: async address => {
      if (address === discoveryURL) return { issuer: url, jwks_uri: `${url}/keys` }
      if (address !== `${url}/keys`) throw new Error(`asked for ${address}`)
      fetches += 1
      if (published instanceof Error) throw published
      return published
    },
  })
  await clock.advance(0)
  await turns()
  return {
    issuers,
    clock,
    answer: next => {
      published = next
    },
    get fetches() {
      return fetches
    },
    said: async (claims, by = signer) => {
      const token = new Secret(signed(by, claims), 'token')
      try {
        const { signal } = new AbortController()
        const verdict = await issuers.authenticate({ kind: 'bearer', token }, { signal })
        if (verdict.outcome === 'abstained') return 'abstained'
        if (verdict.outcome === 'authenticated') return verdict.identity
        return `rejected ${verdict.refusal.code}: ${verdict.refusal.message}`
      } catch (error) {
        return `threw ${Refusal.from(error).code}`
      }
    },
    close: () => issuers.close(),
  }
}
