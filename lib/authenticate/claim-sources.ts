import { Refusal } from '../refusal.js'
import type { Claims } from './token.js'

/**
 * Holds what a token says about where its claims are against its form, whoever asks for them.
 * @throws Refusal `token_claim`
 */
export function checkClaimSources(claims: Claims): void {
  const sources = members(claims, '_claim_sources')
  for (const source of sources.values()) void parseSource(source)
  for (const name of members(claims, '_claim_names').values()) {
    if (typeof name !== 'string' || !sources.has(name)) throw malformed('_claim_names')
  }
}

/** Where a claim is to be had (OpenID Connect Core 5.6.2). */
export interface ClaimSource {
  readonly endpoint?: string
  readonly accessToken?: string
}

/** @throws Refusal `token_claim` */
export function sourceOf(claims: Claims, claim: string): ClaimSource | undefined {
  const name = members(claims, '_claim_names').get(claim)
  return typeof name === 'string'
    ? parseSource(members(claims, '_claim_sources').get(name))
    : undefined
}

/** `null` is none, as it is to Go. */
function parseSource(source: unknown): ClaimSource {
  const fields = asMembers(source ?? {}, '_claim_sources')
  const endpoint = fields.get('endpoint') ?? ''
  const accessToken = fields.get('access_token') ?? ''
  if (typeof endpoint !== 'string' || typeof accessToken !== 'string') {
    throw malformed('_claim_sources')
  }
  return {
    ...(endpoint !== '' && { endpoint }),
    ...(accessToken !== '' && { accessToken: bearer(accessToken) }),
  }
}

function bearer(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) throw malformed('_claim_sources')
  return token
}

const members = (claims: Claims, name: string): Claims => asMembers(claims.get(name) ?? {}, name)

function asMembers(value: unknown, name: string): Claims {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(name)
  return new Map(Object.entries(value))
}

const malformed = (name: string): Refusal =>
  new Refusal('token_claim', `the claim ${name} is malformed`)
