import { isBracketed } from './addresses.js'
import { noOverload } from './fault.js'
import { Opaque, type Value } from './values.js'

/**
 * A URL as Go's `net/url` takes it apart, which is not quite what WHATWG's rules make of it. Its parts are
 * kept as bytes (Latin-1), since an escape may stand for any of them.
 */
export class Url extends Opaque {
  readonly typeName = 'kubernetes.URL'
  readonly scheme: string
  readonly #host: string
  readonly #path: string
  readonly #query: string
  readonly #whole: string

  constructor(parts: UrlParts) {
    super()
    this.scheme = parts.scheme
    this.#host = parts.host
    this.#path = parts.path
    this.#query = parts.query
    this.#whole = JSON.stringify(parts)
  }

  toString(): string {
    return asText(this.#whole)
  }

  equals(other: Value): boolean {
    if (!(other instanceof Url)) throw noOverload('_==_')
    return this.#whole === other.#whole
  }

  get host(): string {
    return asText(this.#host)
  }

  get hostname(): string {
    const name = this.#host.slice(0, this.#host.length - this.#colonPort.length)
    return asText(/^\[.*\]$/.test(name) ? name.slice(1, -1) : name)
  }

  get port(): string {
    return this.#colonPort.slice(1)
  }

  get escapedPath(): string {
    return asText(this.#path)
  }

  /** Parts that are no pair of escaped texts are left out. */
  get query(): ReadonlyMap<string, readonly string[]> {
    const pairs = new Map<string, string[]>()
    for (const part of this.#query.split('&')) {
      if (part === '' || part.includes(';')) continue
      const equals = part.indexOf('=')
      const [name, value] = [
        equals < 0 ? part : part.slice(0, equals),
        equals < 0 ? '' : part.slice(equals + 1),
      ].map(text => (badEscape(text) === undefined ? asText(unescaped(text, ' ')) : undefined))
      if (name === undefined || value === undefined) continue
      const values = pairs.get(name)
      if (values === undefined) pairs.set(name, [value])
      else values.push(value)
    }
    return pairs
  }

  get #colonPort(): string {
    return /:[0-9]*$/.exec(this.#host)?.[0] ?? ''
  }
}

interface UrlParts {
  readonly scheme: string
  readonly opaque: string
  readonly user: string
  readonly host: string
  /** Escaped. */
  readonly path: string
  readonly query: string
  readonly fragment: string
}

/** What is wrong with a URL, in Go's words. */
export class UrlFault {
  readonly says: string
  constructor(says: string) {
    this.says = says
  }
}

/** Whether a text is an absolute URL, or a path, by Go's `ParseRequestURI`, which knows of no fragment. */
export function faultOfUrl(text: string): UrlFault | undefined {
  const parts = takeApart(asBytes(text), true)
  return parts instanceof UrlFault ? parts : undefined
}

/** Reads what `faultOfUrl` finds no fault with. */
export function parseUrl(text: string): Url | UrlFault {
  const bytes = asBytes(text)
  const fault = faultOfUrl(text)
  if (fault !== undefined) return fault
  const hash = bytes.indexOf('#')
  const parts = takeApart(hash < 0 ? bytes : bytes.slice(0, hash), false)
  if (parts instanceof UrlFault) return parts
  const fragment = hash < 0 ? '' : bytes.slice(hash + 1)
  return badEscape(fragment) ?? new Url({ ...parts, fragment })
}

const asBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
const asText = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8')

function takeApart(bytes: string, request: boolean): UrlParts | UrlFault {
  // oxlint-disable-next-line no-control-regex
  if (/[\0-\x1f\x7f]/.test(bytes)) {
    return new UrlFault('net/url: invalid control character in URL')
  }
  if (bytes === '' && request) return new UrlFault('empty url')
  const nothing: UrlParts = {
    scheme: '',
    opaque: '',
    user: '',
    host: '',
    path: '',
    query: '',
    fragment: '',
  }
  if (bytes === '*') return { ...nothing, path: '*' }
  if (bytes.startsWith(':')) return new UrlFault('missing protocol scheme')
  const written = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(bytes)?.[1]
  const scheme = (written ?? '').toLowerCase()
  const rest = written === undefined ? bytes : bytes.slice(written.length + 1)
  const mark = rest.indexOf('?')
  const hierarchy = mark < 0 ? rest : rest.slice(0, mark)
  const query = mark < 0 ? '' : rest.slice(mark + 1)
  if (!hierarchy.startsWith('/')) {
    if (scheme !== '') return { ...nothing, scheme, opaque: hierarchy, query }
    if (request) return new UrlFault('invalid URI for request')
    if (/^[^/]*:/.test(hierarchy)) {
      return new UrlFault('first path segment in URL cannot contain colon')
    }
  }
  const hasAuthority =
    hierarchy.startsWith('//') && (scheme !== '' || (!request && !hierarchy.startsWith('///')))
  const [, authority = ''] = hasAuthority ? (/^\/\/([^/]*)/.exec(hierarchy) ?? []) : []
  const at = authority.lastIndexOf('@')
  const host = hostOf(scheme, authority.slice(at + 1))
  if (host instanceof UrlFault) return host
  const user = authority.slice(0, Math.max(0, at))
  if (!/^[A-Za-z0-9._:~!$&'()*+,;=%@-]*$/.test(user)) {
    return new UrlFault('net/url: invalid userinfo')
  }
  const path = hasAuthority ? hierarchy.slice(2 + authority.length) : hierarchy
  const fault = badEscape(user) ?? badEscape(path)
  return fault ?? { ...nothing, scheme, user, host, path: escapePath(path), query }
}

function hostOf(scheme: string, host: string): string | UrlFault {
  const bracket = host.lastIndexOf('[')
  if (bracket > 0) return new UrlFault('invalid IP-literal')
  if (bracket === 0) return bracketedHost(host)
  const strict = scheme === 'http' || scheme === 'https'
  const colon = strict ? host.indexOf(':') : host.lastIndexOf(':')
  const port = colon < 0 ? '' : host.slice(colon)
  return badPort(port) ?? badHost(host) ?? unescaped(host, '+')
}

function bracketedHost(host: string): string | UrlFault {
  const end = host.lastIndexOf(']')
  if (end < 0) return new UrlFault("missing ']' in host")
  const port = host.slice(end + 1)
  const name = host.slice(1, end)
  const zone = name.indexOf('%25')
  const fault =
    badPort(port) ??
    badHost(zone < 0 ? name : name.slice(0, zone)) ??
    (zone < 0 ? undefined : badEscape(name.slice(zone)))
  if (fault !== undefined) return fault
  const plain = unescaped(name, '+')
  if (!isBracketed(plain)) return new UrlFault('invalid IP-literal')
  return `[${plain}]${port}`
}

const badPort = (port: string): UrlFault | undefined =>
  /^(?::[0-9]*)?$/.test(port) ? undefined : new UrlFault(`invalid port "${port}" after host`)

/** In a host only what is beyond ASCII may be escaped. */
function badHost(host: string): UrlFault | undefined {
  const fault = badEscape(host)
  if (fault !== undefined) return fault
  const ascii = /%(?!25)[0-7][0-9a-fA-F]/.exec(host)?.[0]
  if (ascii !== undefined) return new UrlFault(`invalid URL escape "${ascii}"`)
  const strange = /[ #/?@\\^`{|}]/.exec(host)?.[0]
  if (strange === undefined) return undefined
  return new UrlFault(`invalid character ${JSON.stringify(strange)} in host name`)
}

function badEscape(bytes: string): UrlFault | undefined {
  const escape = /%(?![0-9a-fA-F]{2}).{0,2}/s.exec(bytes)?.[0]
  if (escape === undefined) return undefined
  return new UrlFault(`invalid URL escape ${JSON.stringify(asText(escape))}`)
}

const unescaped = (bytes: string, plus: ' ' | '+'): string =>
  bytes
    .replaceAll('+', plus)
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )

/** What is escaped as it may be stays as it is; else all that must be is, and nothing else. */
function escapePath(path: string): string {
  if (/^[A-Za-z0-9\-_.~!$&'()*+,;=:@[\]%/]*$/.test(path)) return path
  return unescaped(path, '+').replace(
    /[^A-Za-z0-9\-_.~$&+,/:;=@]/g,
    byte => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
