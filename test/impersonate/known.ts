import type { HeaderList } from '../../lib/exchange.js'
import type { Known } from '../../lib/gateway.js'
import type { Identity } from '../../lib/identity.js'
import { requestInfo } from '../../lib/request-info.js'
import { Secret } from '../../lib/secret.js'

export const alice: Identity = { username: 'alice', groups: ['dev', 'ops'], extra: {} }
export const token = new Secret('caller.s.token', 'bearer token')

/** A request whose caller is known, by a token. */
export const known = (
  headers: HeaderList = [],
  identity: Identity = alice,
): Known & { readonly token: Secret } => ({
  context: {
    id: '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1',
    receivedAt: 0,
    head: { protocol: 'HTTP/1.1', method: 'GET', target: '/api', headers, hasBody: false },
    info: requestInfo('GET', '/api'),
    peer: { address: '192.0.2.7', encrypted: true },
    signal: new AbortController().signal,
  },
  identity,
  token,
  expiresAt: Infinity,
})
