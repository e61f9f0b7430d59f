import type { GetJson } from './issuer-client.js'
import { readSigningKey, type SigningKey } from './signing-key.js'

export interface PublishedKeysOptions {
  readonly issuerUrl: string
  /** The very address of the discovery document. @default the well-known one below the issuer */
  readonly discoveryUrl?: string | undefined
  readonly getJson: GetJson
}

/**
 * Asks an issuer which keys it signs with. Rejects with the reason when it does not say so properly.
 * `rediscover` asks first where the keys are, even if that is known.
 */
export type PublishedKeys = (
  signal: AbortSignal,
  options: { readonly rediscover: boolean },
) => Promise<readonly SigningKey[]>

/** OpenID Connect Discovery 1.0, section 4, as far as keys need it. */
export function createPublishedKeys({
  issuerUrl,
  discoveryUrl = wellKnown(issuerUrl),
  getJson,
}: PublishedKeysOptions): PublishedKeys {
  const discover = (signal: AbortSignal): Promise<string> =>
    readDiscovery(issuerUrl, discoveryUrl, getJson, signal)
  let known: string | undefined

  return async (signal, { rediscover }) => {
    const before = known
    if (before === undefined || rediscover) {
      known = await discover(signal)
      return read(await getJson(known, signal))
    }
    try {
      return read(await getJson(before, signal))
    } catch (error) {
      // Perhaps they have moved. Where they have not, asking again would only be a second request.
      known = await discover(signal)
      if (known === before) throw error
      return read(await getJson(known, signal))
    }
  }
}

const wellKnown = (issuerUrl: string): string =>
  `${issuerUrl.endsWith('/') ? issuerUrl.slice(0, -1) : issuerUrl}/.well-known/openid-configuration`

async function readDiscovery(
  issuerUrl: string,
  discoveryUrl: string,
  getJson: GetJson,
  signal: AbortSignal,
): Promise<string> {
  const document = members(await getJson(discoveryUrl, signal))
  // Another issuer's document would bring another issuer's keys (section 4.3).
  if (document.get('issuer') !== issuerUrl) throw new Error('discovery names another issuer')
  const address = document.get('jwks_uri')
  if (typeof address !== 'string' || !URL.canParse(address)) {
    throw new Error('discovery names no jwks_uri')
  }
  if (new URL(address).protocol !== 'https:') throw new Error('jwks_uri is not https')
  return address
}

const maxKeys = 256

/** No keys at all is an answer. Keys none of which can be used is a mistake, better waited out. */
function read(answer: unknown): readonly SigningKey[] {
  const published = members(answer).get('keys')
  if (!Array.isArray(published)) throw new Error('the key set has no list of keys')
  const keys = published.slice(0, maxKeys).flatMap(key => readSigningKey(key) ?? [])
  if (keys.length === 0 && published.length > 0) throw new Error('the key set has no usable key')
  return keys
}

function members(answer: unknown): ReadonlyMap<string, unknown> {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    throw new Error('answered with something else than a JSON object')
  }
  return new Map(Object.entries(answer))
}
