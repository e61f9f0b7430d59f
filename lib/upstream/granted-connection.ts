import { request as httpRequest, type ClientRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { ConnectionOptions } from './cluster.js'
import type { AssertedHeaders } from './headers.js'

export interface GrantedHead {
  readonly method: string
  readonly path: string
  readonly headers: AssertedHeaders
}

/**
 * Opens a connection for one request, which is sent with the next `end`; it takes only a header list that was
 * looked at once more.
 */
export function openGranted(
  { host, ...connection }: ConnectionOptions,
  { method, path, headers }: GrantedHead,
): ClientRequest {
  const send = connection.protocol === 'http:' ? httpRequest : httpsRequest
  // Node takes a raw list here, which its types leave out (`http.ClientRequest`, `headers`).
  const options: RequestOptions & { readonly allowHalfOpen: true; readonly headers: unknown } = {
    ...connection,
    // A connection of its own: it will not come back.
    agent: false,
    allowHalfOpen: true,
    method,
    path,
    headers: ['Host', host, ...withoutBody(method, headers)],
    maxHeaderSize: 256 * 1024,
    setHost: false,
  }
  return send(options)
}

/** Says that there is no body where Node would otherwise announce one, in front of the new protocol. */
function withoutBody(method: string, list: readonly string[]): readonly string[] {
  const says = list.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-length')
  return method === 'GET' || says ? list : [...list, 'Content-Length', '0']
}
