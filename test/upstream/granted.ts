import { performance } from 'node:perf_hooks'
import type { HeaderList, Protocol, RequestContext } from '../../lib/exchange.js'
import type { Granted } from '../../lib/gateway.js'
import { Grant } from '../../lib/grant.js'
import type { Identity } from '../../lib/identity.js'
import { requestInfo } from '../../lib/request-info.js'
import { Secret } from '../../lib/secret.js'

export const auditId = '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1'
export const alice: Identity = { username: 'alice', groups: ['dev', 'ops'], extra: {} }
export const callersToken = new Secret('caller.s.token', 'bearer token')

export const byGateway = Grant.byGateway(alice)
export const byCaller = Grant.byCaller(alice, callersToken, { impersonate: false })
export const byCallerAs = (as: Identity): Grant =>
  Grant.byCaller(as, callersToken, { impersonate: true })

export interface About {
  readonly method?: string
  readonly target?: string
  readonly headers?: HeaderList
  readonly protocol?: Protocol
  readonly hasBody?: boolean
}

/** A request that the edge found well-formed. */
export function context(about: About = {}): RequestContext {
  const { method = 'GET', target = '/api/v1/pods', headers = [] } = about
  const { protocol = 'HTTP/1.1', hasBody = false } = about
  return {
    id: auditId,
    receivedAt: performance.now(),
    head: { protocol, method, target, headers, hasBody },
    info: requestInfo(method, target),
    peer: { address: '192.0.2.7', encrypted: true },
    signal: new AbortController().signal,
  }
}

/** The same, with leave to go upstream. */
export const granted = (
  about: About = {},
  grant: Grant = byCaller,
  { stripped = false } = {},
): Granted => ({
  context: context(about),
  identity: grant.as ?? alice,
  token: callersToken,
  expiresAt: Infinity,
  grant,
  stripped,
})
