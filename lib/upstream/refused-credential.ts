import type { HeaderList } from '../exchange.js'
import type { Granted } from '../gateway.js'

/**
 * Whether this answer says no to the gateway's own credential: then it is not for the client, who would be
 * told that its own is wrong.
 *
 * Behind `…/proxy/…` stands somebody's own program with a login of its own; the API server itself would say
 * no in one of its own formats.
 */
export function isOwnCredentialRefused(
  { grant, context }: Granted,
  status: number,
  fields: HeaderList,
): boolean {
  if (status !== 401 || grant.credential.whose !== 'gateway') return false
  if (context.info.longRunning !== 'proxy') return true
  const type = fields.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
  return /^application\/(json|yaml|cbor|vnd\.kubernetes\.)/i.test(type)
}
