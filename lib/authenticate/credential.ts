import type { RequestHead } from '../exchange.js'
import { Refusal } from '../refusal.js'
import { Secret } from '../secret.js'
import type { Credential } from './authenticator.js'

/**
 * Finds the one credential of a request, in its raw header list. Every place that can carry one is
 * counted before any is read: of two, nobody can say which the client, a proxy before us or the API
 * server would have believed.
 *
 * @param connection what was found is remembered by it, as long as it lives
 * @throws Refusal `credential_missing`, `credential_ambiguous`, `credential_scheme`, `credential_malformed`
 */
export function findCredential(head: RequestHead, connection?: object): Credential | undefined {
  let count = 0
  let only: Presented = ''
  for (const [name, value] of head.headers) {
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') continue
    count += 1
    only = value
  }
  if (head.upgrade === 'websocket') {
    for (const presented of bearerProtocols(head)) {
      count += 1
      only = presented
    }
  }
  if (count === 0) return undefined
  if (count > 1) throw new Refusal('credential_ambiguous')
  if (typeof only !== 'string') return { kind: 'bearer', token: new Secret(only(), 'token') }
  const last = connection && presented.get(connection)
  if (last?.value === only) return last.credential
  const credential = { kind: 'bearer', token: new Secret(bearer(only), 'token') } as const
  if (connection !== undefined) presented.set(connection, { value: only, credential })
  return credential
}

/** Of each connection what it presented last: with most it is the same each time, and need not be read again. */
const presented = new WeakMap<object, { readonly value: string; readonly credential: Credential }>()

/** A credential that is there, read only once it is known to be alone: the field's value, or how to. */
type Presented = string | (() => string)

const bearerProtocol = 'base64url.bearer.authorization.k8s.io.'

/**
 * The token that browsers, which cannot set `Authorization` on a WebSocket, send as a subprotocol. Like
 * at the API server it must stand beside a real one. Anywhere else than on such an upgrade it is none.
 * (`k8s.io/apiserver/pkg/authentication/request/websocket`)
 */
function* bearerProtocols(head: RequestHead): Generator<() => string> {
  const protocols = head.headers
    .filter(([name]) => name.toLowerCase() === 'sec-websocket-protocol')
    .flatMap(([, value]) => value.split(','))
    .map(protocol => protocol.trim())
    .filter(protocol => protocol !== '')
  const alone = protocols.every(protocol => protocol.startsWith(bearerProtocol))
  for (const protocol of protocols) {
    if (!protocol.startsWith(bearerProtocol)) continue
    yield () => {
      if (alone) throw new Refusal('credential_malformed', 'a bearer subprotocol without another')
      return fromProtocol(protocol.slice(bearerProtocol.length))
    }
  }
}

/** Base64url of the token; dashboards also send it padded. */
function fromProtocol(encoded: string): string {
  const text = encoded.replace(/={1,2}$/, '')
  const decoded = Buffer.from(text, 'base64url')
  const token = decoded.toString('latin1')
  if (decoded.toString('base64url') !== text || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Refusal('credential_malformed', 'the bearer subprotocol is not base64url of a token')
  }
  return token
}

/** RFC 6750 2.1, without its leniency: one blank, visible ASCII, nothing after it. */
const bearerToken = /^bearer ([\x21-\x7e]+)$/i

function bearer(value: string): string {
  const token = bearerToken.exec(value)?.[1]
  if (token !== undefined) return token
  throw new Refusal(/^bearer\s+\S/i.test(value) ? 'credential_malformed' : 'credential_scheme')
}
