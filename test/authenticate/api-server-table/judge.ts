import type { Verdict } from '../../../lib/authenticate/authenticator.js'
import type { TokenRules } from '../../../lib/authenticate/configuration.js'
import { createIssuers, type Issuers } from '../../../lib/authenticate/issuers.js'
import { loadConfiguration } from '../../../lib/authenticate/load-configuration.js'
import { createMapping } from '../../../lib/authenticate/mapping.js'
import { supportedAlgs } from '../../../lib/authenticate/signing-key.js'
import type { Identity } from '../../../lib/identity.js'
import { Refusal } from '../../../lib/refusal.js'
import { Secret } from '../../../lib/secret.js'
import { createAuthority } from '../../actors/certificates.js'
import { until } from '../fake-clock.js'
import { startHttpsIssuer } from '../https-issuer.js'
import { createSigner, signed, type Signer } from '../tokens.js'
import type { Answer, Difference, Row, Token } from './row.js'

/** What this gateway makes of rows. */
export interface Judge {
  judge(row: Row): Promise<unknown>
  close(): Promise<void>
}

/** The same where claims and rules are all that counts: nothing is signed, nobody is asked. */
export function judgeClaims({ configuration, token }: Row): unknown {
  const result = loadConfiguration(
    typeof configuration === 'string' ? configuration : written(configuration),
  )
  if ('faults' in result) return result.faults.map(({ path }) => path)
  const [rules] = result.loaded.rules
  if (rules === undefined || token === undefined || typeof token.claims === 'string') return 'loads'
  try {
    return user(createMapping({ ...limits, rules })(new Map(Object.entries(token.claims))))
  } catch (error) {
    return rejection(Refusal.from(error))
  }
}

const limits = {
  allowReservedUsers: [],
  allowReservedGroups: [],
  maxGroups: 256,
  sendCredentialId: true,
}
const user = ({ username, groups, uid = '', extra }: Identity): unknown => ({
  user: username,
  groups,
  uid,
  extra,
})

/** What a row asks of us, in the words of a judge. */
export function expected({ apiServer, ours }: Row): unknown {
  const asked: Difference['outcome'] = ours?.outcome ?? apiServer
  if (typeof asked === 'string') return asked
  if ('faults' in asked) return asked.faults
  return 'user' in asked ? { groups: [], uid: '', extra: {}, ...asked } : asked
}

/** With an issuer on a real socket, for the rows where it is asked for more than keys. */
export async function startJudge(): Promise<Judge> {
  const authority = createAuthority()
  const server = await startHttpsIssuer(authority)
  const rsa = createSigner('RS256', 'RSA')
  const stranger = createSigner('RS256', 'RSA')
  const keys: readonly Signer[] = [
    rsa,
    ...['ES256', 'ES384', 'ES512', 'EdDSA'].map(alg => createSigner(alg, alg)),
  ]
  server.publish(...keys)

  const placed = (text: string): string => text.replaceAll('{{URL}}', server.url)
  const signerOf = ({ alg = 'RS256', published = true }: Omit<Token, 'claims'>): Signer =>
    published ? (keys.find(key => key.alg === alg) ?? { ...rsa, alg }) : stranger
  const compact = ({ claims, ...how }: Token): string =>
    signed(signerOf(how), placed(typeof claims === 'string' ? claims : JSON.stringify(claims)))

  const serve = (path: string, { status = 200, claims, body = '', published }: Answer): void =>
    server.on(path, (_request, response) => {
      response.statusCode = status
      response.end(
        claims === undefined
          ? body
          : compact({ claims, ...(published === false && { published }) }),
      )
    })

  /** Any issuer, without a network, at the place that its rules name for it. */
  const fetchFor =
    (rules: readonly TokenRules[]) =>
    async (address: string): Promise<unknown> => {
      if (address.endsWith('/keys')) return { keys: keys.map(({ jwk }) => jwk) }
      const named = rules.find(({ issuer }) => issuer.discoveryURL === address)?.issuer.url
      const issuer = named ?? address.replace(/\/\.well-known\/.*$/, '')
      return { issuer, jwks_uri: 'https://keys.example/keys' }
    }

  return {
    judge: async ({ configuration, token, endpoints = {} }) => {
      const text = typeof configuration === 'string' ? configuration : written(configuration)
      const result = loadConfiguration(placed(text))
      if ('faults' in result) return result.faults.map(({ path }) => path)
      if (token === undefined) return 'loads'
      for (const [path, answer] of Object.entries(endpoints)) serve(path, answer)
      const issuers = createIssuers(
        {
          rules: result.loaded.rules,
          limits,
          signingAlgs: [...supportedAlgs],
          clockSkewSeconds: 30,
          ...(text.includes('{{URL}}') ? {} : { getJson: fetchFor(result.loaded.rules) }),
        },
        authority.ca,
      )
      try {
        await until(() => issuers.ready)
        return await outcome(issuers, compact(token))
      } finally {
        await issuers.close()
      }
    },
    close: () => server.close(),
  }
}

const written = (configuration: object): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    ...configuration,
  })

/** Refusals of what the API server would let pass. */
const ours: ReadonlySet<string> = new Set(['identity_unusable', 'identity_reserved'])

async function outcome(issuers: Issuers, token: string): Promise<unknown> {
  const credential = { kind: 'bearer', token: new Secret(token, 'token') } as const
  let verdict: Verdict
  try {
    verdict = await issuers.authenticate(credential, { signal: new AbortController().signal })
  } catch (error) {
    return { unavailable: Refusal.from(error).code }
  }
  if (verdict.outcome === 'authenticated') return user(verdict.identity)
  return verdict.outcome === 'abstained' ? 'another issuer' : rejection(verdict.refusal)
}

const rejection = ({ code }: Refusal): unknown => (ours.has(code) ? { refusal: code } : 'rejected')
