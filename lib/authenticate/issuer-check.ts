import { noConnection, type Finding } from '../finding.js'
import type { GetJson } from './issuer-client.js'
import { createPublishedKeys } from './published-keys.js'
import type { SigningKey } from './signing-key.js'

export interface IssuerCheckOptions {
  readonly issuerUrl: string
  /** Where its discovery document is, when that is not below `issuerUrl`. */
  readonly discoveryUrl?: string | undefined
  readonly signingAlgs: readonly string[]
  /** Claims that names are made of, with what says so. */
  readonly claims: ReadonlyArray<readonly [claim: string, where: string]>
  readonly getJson: GetJson
}

/**
 * Asks an issuer for what the gateway needs of it, by the gateway's own way, and tells what came of it:
 * discovery, keys, algorithms, and whether discovery lists the claims that names are made of. Never rejects.
 */
export async function checkIssuer(
  { issuerUrl, discoveryUrl, signingAlgs, claims, getJson }: IssuerCheckOptions,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const about = `issuer ${issuerUrl}`
  let discovery: unknown
  let keysUrl: string | undefined
  const published = createPublishedKeys({
    issuerUrl,
    discoveryUrl,
    getJson: async (url, aborted) => {
      if (discovery !== undefined) keysUrl = url
      const answer = await getJson(url, aborted)
      discovery ??= answer
      return answer
    },
  })
  try {
    const keys = await published(signal, { rediscover: false })
    return [
      { outcome: 'ok', about, says: `reached; its keys are at ${keysUrl ?? ''}` },
      keysFinding(about, keys, signingAlgs),
      ...discoveryFindings(about, discovery, signingAlgs, claims),
    ]
  } catch (error) {
    return [failed(about, error, { issuerUrl, discoveryUrl, discovery, keysUrl })]
  }
}

function failed(
  about: string,
  error: unknown,
  at: {
    readonly issuerUrl: string
    readonly discoveryUrl: string | undefined
    readonly discovery: unknown
    readonly keysUrl: string | undefined
  },
): Finding {
  const { says, untrusted } = noConnection(error)
  const named = member(at.discovery, 'issuer')
  const what =
    at.keysUrl !== undefined
      ? `its keys at ${at.keysUrl}`
      : `its discovery document at ${at.discoveryUrl ?? `${at.issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`}`
  const change = untrusted
    ? 'name the authority of its certificate (--oidc-ca-file, or certificateAuthority in the file)'
    : at.keysUrl === undefined && typeof named === 'string' && named !== at.issuerUrl
      ? `it calls itself ${JSON.stringify(named.slice(0, 200))}: the issuer must be configured as exactly that`
      : says.startsWith('answered with status 404')
        ? 'the address of the issuer must be complete, with its path'
        : 'see whether this machine can reach it by this address'
  return { outcome: 'failed', about, says: `${what}: ${says}`, change }
}

function keysFinding(about: string, keys: readonly SigningKey[], algs: readonly string[]): Finding {
  const usable = keys.filter(key => algs.some(alg => key.fits(alg)))
  const names = keys.map(({ kid }) => (kid === undefined ? 'without kid' : JSON.stringify(kid)))
  const shown = names.slice(0, 8).join(', ')
  if (usable.length > 0) {
    return { outcome: 'ok', about, says: `${usable.length} of ${keys.length} keys fit: ${shown}` }
  }
  return keys.length === 0
    ? {
        outcome: 'failed',
        about,
        says: 'it publishes no key, so no token can be verified',
        change: 'an issuer such as Rancher publishes keys once it has a client: add one',
      }
    : {
        outcome: 'failed',
        about,
        says: `none of its keys fits ${algs.join(', ')}: ${shown}`,
        change: 'name what it signs with in --oidc-signing-algs',
      }
}

/** Discovery need not be complete, so what it leaves out is a warning at most. */
function discoveryFindings(
  about: string,
  discovery: unknown,
  algs: readonly string[],
  claims: IssuerCheckOptions['claims'],
): Finding[] {
  const findings: Finding[] = []
  const signs = strings(member(discovery, 'id_token_signing_alg_values_supported'))
  if (signs !== undefined && !signs.some(alg => algs.includes(alg))) {
    findings.push({
      outcome: 'warning',
      about,
      says: `says that it signs with ${signs.slice(0, 10).join(', ')}`,
      change: `--oidc-signing-algs accepts ${algs.join(', ')} alone`,
    })
  }
  const listed = strings(member(discovery, 'claims_supported'))
  for (const [claim, where] of claims) {
    if (listed === undefined || listed.includes(claim)) continue
    findings.push({
      outcome: 'warning',
      about,
      says: `does not list the claim ${JSON.stringify(claim)} of ${where}`,
      change: 'see with explain what a token of it carries; a client may have to ask for a scope',
    })
  }
  return findings
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

const strings = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) && value.every(each => typeof each === 'string') ? value : undefined
