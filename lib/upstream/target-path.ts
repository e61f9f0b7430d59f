import { Refusal } from '../refusal.js'

/**
 * Where a request target is at the API server: behind the path that the kubeconfig names, byte for byte. Behind such
 * a path other things may live on the same host, which do not know `Impersonate-*` and would take a request for
 * the gateway's own: a target that could be read as leading out of it is refused.
 *
 * @param basePath without a slash at its end; empty where the API server has the host to itself
 * @throws Refusal `request_target`
 */
export function pathBelow(basePath: string, target: string): string {
  if (basePath !== '' && mayClimb.test(target)) throw new Refusal('request_target', 'dot segments')
  return basePath + target
}

/**
 * A dot segment (RFC 3986, 5.2.4) before the query, in every spelling that somebody reads as one: dots and slashes
 * percent-encoded, once or again, backslashes, parameters behind it.
 */
const mayClimb =
  /^[^?]*(?:[/\\]|%(?:25)*(?:2f|5c))(?:\.|%(?:25)*2e){1,2}(?:[/\\;?]|%(?:25)*(?:2f|5c|3b|3f)|$)/i
