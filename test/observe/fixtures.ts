import type { Exchange } from '../../lib/channels.js'
import type { HeaderList, Outcome, RequestContext } from '../../lib/exchange.js'
import { requestInfo } from '../../lib/request-info.js'

/** The context of a request that was received at monotonic time 0. */
export function context(method: string, target: string, headers: HeaderList = []): RequestContext {
  return {
    id: '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1',
    receivedAt: 0,
    head: { protocol: 'HTTP/2.0', method, target, headers, hasBody: false },
    info: requestInfo(method, target),
    peer: { address: '192.0.2.7', encrypted: true },
    signal: new AbortController().signal,
  }
}

/** An exchange that ended well after 12.345678 ms, unless told otherwise. */
export function exchange(
  about: Partial<Exchange> & { readonly context: RequestContext },
  outcome: Partial<Outcome> = {},
): Exchange {
  return {
    endedAt: 12.345_678,
    ...about,
    outcome: { status: 200, bytes: 1234, ended: 'complete', ...outcome },
  }
}
