import type { RequestHead } from '../exchange.js'
import { Refusal } from '../refusal.js'
import { Secret } from '../secret.js'
import type { Credential } from './authenticator.js'

/**
 * Finds the one credential of a request, in its raw header list. Every place that can carry one is
 * counted before any is read: of two, nobody can say which the client, a proxy before us or the API
 * server would have believed.
 * @throws Refusal `credential_missing`, `credential_ambiguous`, `credential_malformed`
 */
export function findCredential(head: RequestHead): Credential {
  const presented = [...authorizations(head)]
  const [only] = presented
  if (only === undefined) throw new Refusal('credential_missing')
  if (presented.length > 1) throw new Refusal('credential_ambiguous')
  return { kind: 'bearer', token: new Secret(only(), 'token') }
}

/** A credential that is there, read only once it is known to be alone. */
type Presented = () => string

function* authorizations(head: RequestHead): Generator<Presented> {
  for (const [name, value] of head.headers) {
    if (name.length === 13 && name.toLowerCase() === 'authorization') yield () => bearer(value)
  }
}

/** RFC 6750 2.1, without its leniency: one blank, visible ASCII, nothing after it. */
const bearerToken = /^bearer ([\x21-\x7e]+)$/i

function bearer(value: string): string {
  const token = bearerToken.exec(value)?.[1]
  if (token === undefined) throw new Refusal('credential_malformed')
  return token
}
