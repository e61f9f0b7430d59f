import { randomUUID } from 'node:crypto'
import type { HeaderList, Protocol, RequestHead } from '../exchange.js'
import { Refusal } from '../refusal.js'

/** A request's head as Node's parsers hand it over, before anybody judged it. */
export interface ReceivedHead {
  readonly protocol: string
  readonly method: string
  readonly target: string
  /** Names and values in turn; pseudo-header fields (RFC 9113, 8.3) among them. */
  readonly rawHeaders: readonly string[]
  /** Whether the client sends a body, where the protocol's framing says so outside the header (HTTP/2). */
  readonly bodyFollows?: boolean
  /**
   * Whether the parser took it for an upgrade, by a rule of its own: then nobody reads a body; and where it did
   * not, nobody can switch.
   */
  readonly parserSwitched?: boolean
}

/** Bounds of a header block, as INTERFACE promises them. */
export const maxHeaderBytes = 128 * 1024
export const maxHeaderLines = 1_000

const protocols: ReadonlySet<string> = new Set<Protocol>(['HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0'])
const isProtocol = (text: string): text is Protocol => protocols.has(text)

/**
 * Judges a head, and returns what the rest of the gateway may rely on.
 *
 * Stricter than Node's parsers, which accept what two programs in a row may read differently: a
 * `Transfer-Encoding` that is not just `chunked`, several `Host` fields, targets with an authority.
 * @throws Refusal
 */
export function readHead(received: ReceivedHead): RequestHead {
  const { protocol, method, target } = received
  const headers = readFields(received)
  const http2 = protocol === 'HTTP/2.0'
  if (!isProtocol(protocol)) throw new Refusal('request_malformed', 'unknown protocol version')
  if (method === 'CONNECT' || method === 'TRACE') throw new Refusal('method_not_allowed')
  if (!token.test(method)) throw new Refusal('request_malformed', 'the method is not a token')
  if (!originForm.test(target)) throw new Refusal('request_target')

  let hosts = 0
  let lengths = 0
  let length = 0
  let codings = 0
  let upgrades = 0
  let upgrade: string | undefined
  let options = ''
  for (const [name, value] of headers) {
    // Only fields that matter here; told apart by length first, since every request passes.
    switch (name.length) {
      case 4:
        if (is(name, 'host')) {
          hosts += 1
          if (!authority.test(value)) throw new Refusal('request_authority', 'malformed Host')
        }
        break
      case 6:
        if (is(name, 'expect') && value.toLowerCase() !== '100-continue') {
          throw new Refusal('expectation_failed')
        }
        break
      case 7:
        if (is(name, 'upgrade')) {
          upgrades += 1
          upgrade = value.toLowerCase()
        }
        break
      case 10:
        if (is(name, 'connection')) options += `,${value.toLowerCase()}`
        break
      case 14:
        if (is(name, 'content-length')) {
          lengths += 1
          length = Number(value)
          if (!/^\d{1,15}$/.test(value)) throw new Refusal('request_framing', 'Content-Length')
        }
        break
      case 17:
        if (is(name, 'transfer-encoding')) {
          codings += 1
          if (value.toLowerCase() !== 'chunked') {
            throw new Refusal('request_framing', 'a Transfer-Encoding other than chunked')
          }
        }
        break
      default:
    }
  }
  if (hosts > 1 || (hosts === 0 && protocol === 'HTTP/1.1')) {
    throw new Refusal('request_authority', 'not exactly one Host')
  }
  if (codings > 1 || lengths > 1 || (codings > 0 && lengths > 0)) {
    throw new Refusal('request_framing', 'more than one statement about the length of the body')
  }
  if (codings > 0 && protocol !== 'HTTP/1.1') {
    throw new Refusal('request_framing', `Transfer-Encoding in ${protocol}`)
  }
  if (http2) checkAuthority(received.rawHeaders, headers)
  const hasBody = received.bodyFollows ?? (codings > 0 || length > 0)
  const head = { protocol, method, target, headers, hasBody }
  if (upgrade === undefined || protocol !== 'HTTP/1.1' || !lists(options, 'upgrade')) {
    if (hasBody && received.parserSwitched === true) throw new Refusal('upgrade_body')
    return head
  }
  if (upgrades > 1 || (upgrade !== 'websocket' && upgrade !== 'spdy/3.1')) {
    throw new Refusal('upgrade_protocol')
  }
  if (hasBody) throw new Refusal('upgrade_body')
  // Node overlooks the option where a tab follows it.
  if (received.parserSwitched === false) {
    throw new Refusal('request_malformed', 'an upgrade that the parser took for none')
  }
  return { ...head, upgrade }
}

const is = (name: string, lower: string): boolean => name === lower || name.toLowerCase() === lower

const lists = (options: string, wanted: string): boolean =>
  options.split(',').some(option => option.trim() === wanted)

/** RFC 9110, 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** One slash, then visible ASCII; no fragment. `//host` could be read as an authority. */
const originForm = /^\/(?:[\x21\x22\x24-\x2e\x30-\x7e][\x21\x22\x24-\x7e]*)?$/
/** Characters of `uri-host [":" port]` (RFC 3986, 3.2.2). */
const authority = /^[A-Za-z0-9\-._~!$&'()*+,;=:%[\]]+$/

function readFields({ protocol, rawHeaders }: ReceivedHead): HeaderList {
  const fields: Array<readonly [string, string]> = []
  let bytes = 0
  let lines = rawHeaders.length / 2
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    const value = rawHeaders[at + 1]!
    bytes += name.length + value.length + 4
    if (protocol === 'HTTP/2.0') {
      if (name.startsWith(':')) {
        // HTTP/1.1 says it in `Host`; the others are its request line.
        if (name !== ':authority') lines -= 1
        continue
      }
      if (!token.test(name) || unsafeValue.test(value) || connectionSpecific(name, value)) {
        throw new Refusal('request_malformed', 'a header field that HTTP/2 does not allow')
      }
    }
    fields.push([name, value])
  }
  if (lines > maxHeaderLines) throw new Refusal('headers_too_large', 'too many lines')
  if (bytes > maxHeaderBytes) throw new Refusal('headers_too_large', 'too many bytes')
  return fields
}

// oxlint-disable-next-line no-control-regex -- these are the ones that end a field in HTTP/1
const unsafeValue = /[\0\r\n]/

/** RFC 9113, 8.2.2. */
const connectionSpecific = (name: string, value: string): boolean =>
  name === 'connection' ||
  name === 'keep-alive' ||
  name === 'proxy-connection' ||
  name === 'transfer-encoding' ||
  name === 'upgrade' ||
  (name === 'te' && value !== 'trailers')

/** `:authority` and `Host` must agree where both are there, and one must be (RFC 9113, 8.3.1). */
function checkAuthority(rawHeaders: readonly string[], headers: HeaderList): void {
  const host = headers.find(([name]) => name === 'host')?.[1]
  let named: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at] === ':authority') named = rawHeaders[at + 1]
  }
  if (named === undefined && host === undefined) {
    throw new Refusal('request_authority', 'neither :authority nor Host')
  }
  if (named !== undefined && !authority.test(named)) {
    throw new Refusal('request_authority', 'malformed :authority')
  }
  if (named !== undefined && host !== undefined && named.toLowerCase() !== host.toLowerCase()) {
    throw new Refusal('request_authority', ':authority and Host differ')
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The `Audit-ID` of an exchange: the client's if it sent just one and it is a UUID, else a new one. */
export function auditId(rawHeaders: readonly string[]): string {
  let found: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    if (name.length !== 8 || name.toLowerCase() !== 'audit-id') continue
    if (found !== undefined) return randomUUID()
    found = rawHeaders[at + 1]!
  }
  return found !== undefined && uuid.test(found) ? found : randomUUID()
}
