import type { HeaderList, RequestContext } from '../exchange.js'
import type { Grant } from '../grant.js'
import type { Identity } from '../identity.js'
import { Refusal } from '../refusal.js'
import type { Secret } from '../secret.js'

/**
 * The gateway's own credential as a header value; `undefined` where it is a client certificate of the
 * connection instead.
 */
export interface GatewayCredential {
  readonly authorization: Secret | undefined
}

/**
 * The only writer of the header fields that reach the API server: a flat list of names and values,
 * built anew from what the client sent and what the policy granted. Pure; it runs before any socket is
 * touched, so it can still refuse.
 *
 * Of the client's fields the end-to-end ones pass, in order, less every one that could name somebody or
 * claim where the request comes from: those are left out by prefix, never by a list of known names.
 * What `Connection` nominates is looked for among the client's fields alone.
 *
 * `Host` is not in the list: the connection writes its own. Values are Latin-1 code units; a name that
 * is not ASCII goes out as its UTF-8 bytes.
 *
 * @param credential needed exactly when the grant is one of the gateway's credential
 */
export function upstreamHeaders(
  context: RequestContext,
  grant: Grant,
  credential: GatewayCredential | undefined,
): string[] {
  const list: string[] = []
  keepEndToEnd(list, context.head.headers, context.head.protocol === 'HTTP/2.0')
  list.push('X-Forwarded-For', context.peer.address, 'Audit-ID', context.id)
  const { upgrade } = context.head
  if (upgrade !== undefined) list.push('Connection', 'Upgrade', 'Upgrade', upgrade)
  switch (grant.credential.whose) {
    case 'caller':
      list.push('Authorization', grant.credential.token.asBearer())
      if (grant.credential.impersonate) list.push(...spoken(named(grant)))
      break
    case 'gateway':
      if (credential === undefined) throw new Refusal('invariant', 'no credential for this grant')
      list.push(...spoken(named(grant)), ...authorization(credential))
      break
    case 'nobody':
      break
    default:
      return grant.credential satisfies never
  }
  return list
}

function named({ as }: Grant): Identity {
  if (as === undefined) throw new Refusal('invariant', 'nobody to impersonate')
  return as
}

const authorization = (credential: GatewayCredential): readonly string[] =>
  credential.authorization === undefined ? [] : ['Authorization', credential.authorization.reveal()]

declare const asserted: unique symbol

/** A header list that may be sent: `assertGranted` alone makes one, and connections take nothing else. */
export type AssertedHeaders = string[] & { readonly [asserted]: true }

/**
 * The last line: throws `invariant` unless the list about to be sent is what the grant allows, with the
 * credential it names and no other. It reads the list from scratch, so that a fault above cannot excuse
 * itself.
 */
export function assertGranted(
  list: string[],
  grant: Grant,
  own: GatewayCredential | undefined,
): AssertedHeaders {
  const { credential } = grant
  const isOurs = credential.whose === 'gateway'
  const authorization = authorizationOf(credential, own)
  const impersonates = isOurs || (credential.whose === 'caller' && credential.impersonate)
  const expected = impersonates ? namesOf(named(grant)) : nobody
  let authorizations = 0
  let users = 0
  let groups = 0
  let uids = 0
  let extras = 0
  let wrong = isOurs && own === undefined
  for (let at = 0; at < list.length; at += 2) {
    const spelled = list[at]!
    if (!mayGrant(spelled)) continue
    const name = spelled.toLowerCase()
    const value = list[at + 1]
    if (name === 'authorization') {
      authorizations += 1
      wrong ||= value !== authorization
    } else if (name.startsWith('impersonate')) {
      if (name === 'impersonate-user') {
        users += 1
        // Go takes the first of several: a blank one would hide the name after it.
        wrong ||= value !== expected.user || value.trim() === ''
      } else if (name === 'impersonate-group') groups += 1
      else if (name === 'impersonate-uid') uids += 1
      else if (name.startsWith('impersonate-extra-')) extras += 1
      else wrong = true
    }
  }
  wrong ||= authorizations !== (authorization === undefined ? 0 : 1)
  wrong ||= users !== (expected === nobody ? 0 : 1) || groups !== expected.groups
  wrong ||= uids !== expected.uids || extras !== expected.extras
  if (wrong) throw new Refusal('invariant', 'the header list is not what was granted')
  // It has just been looked at: this is what the type says.
  return list as AssertedHeaders
}

/** Every name that says who somebody is begins with an `a` or an `i`, small or capital. */
const mayGrant = (name: string): boolean => {
  const first = name.charCodeAt(0) | 0x20
  return first === 0x61 || first === 0x69
}

/** The one value that `Authorization` may have; `undefined` where there may be none. */
function authorizationOf(
  credential: Grant['credential'],
  own: GatewayCredential | undefined,
): string | undefined {
  if (credential.whose === 'gateway') return own?.authorization?.reveal()
  return credential.whose === 'caller' ? credential.token.asBearer() : undefined
}

/** What a header list says of an identity: the name as it is spelled there, and how many lines of the rest. */
interface Names {
  readonly user: string
  readonly groups: number
  readonly uids: number
  readonly extras: number
}

const nobody: Names = { user: '', groups: 0, uids: 0, extras: 0 }
const counted = new WeakMap<Identity, Names>()

function namesOf(identity: Identity): Names {
  let names = counted.get(identity)
  if (names === undefined) {
    const { username, uid, groups, extra } = identity
    names = {
      user: utf8(username),
      groups: groups.length,
      uids: uid === undefined ? 0 : 1,
      extras: Object.values(extra).reduce((sum, values) => sum + values.length, 0),
    }
    counted.set(identity, names)
  }
  return names
}

function keepEndToEnd(list: string[], headers: HeaderList, http2: boolean): void {
  const nominated = nominatedBy(headers)
  let cookies = -1
  for (const [name, value] of headers) {
    const kind = kindOf(name)
    if (kind === 'ours') continue
    if (nominated?.has(name.toLowerCase())) continue
    if (kind === 'websocket_protocol') {
      const rest = withoutBearer(value)
      if (rest !== '') list.push(name, rest)
    } else if (kind === 'cookie' && http2 && cookies >= 0) {
      // RFC 9113, 8.2.3: the crumbs of one Cookie field come separately.
      list[cookies] += `; ${value}`
    } else {
      list.push(name, value)
      if (kind === 'cookie') cookies = list.length - 1
    }
  }
}

/** What `Connection` asks to be taken out, beyond what never passes anyway. */
function nominatedBy(headers: HeaderList): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (const [name, value] of headers) {
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const part of value.toLowerCase().split(',')) {
      const option = part.trim()
      if (option === 'keep-alive' || option === 'close' || option === '') continue
      // How long the body is stays true on the next connection.
      if (option === 'content-length') continue
      names ??= new Set()
      names.add(option)
    }
  }
  return names
}

type Kind = 'passes' | 'ours' | 'cookie' | 'websocket_protocol'

/** Names seen before; bounded in number and length, since clients choose them. */
const kinds = new Map<string, Kind>()
const rememberedNames = 512
const longestRemembered = 64

function kindOf(name: string): Kind {
  if (name.length > longestRemembered) return judge(spelling(name))
  const known = kinds.get(name)
  if (known !== undefined) return known
  const kind = judge(spelling(name))
  if (kinds.size < rememberedNames) kinds.set(name, kind)
  return kind
}

/** `_` and `%2D` are read as `-`: software behind us may fold them. */
const spelling = (name: string): string =>
  name.toLowerCase().replaceAll('%2d', '-').replaceAll('_', '-')

function judge(name: string): Kind {
  if (name === 'cookie') return 'cookie'
  if (name === 'sec-websocket-protocol') return 'websocket_protocol'
  if (written.has(name) || hopByHop.has(name)) return 'ours'
  return denied.some(prefix => name.startsWith(prefix)) ? 'ours' : 'passes'
}

/** Never the client's: they say who is calling, or from where. */
const denied = [
  'impersonate',
  'x-remote-',
  'x-forwarded-',
  'x-original-',
  'x-auth-request-',
] as const

/** Fields of one connection (RFC 9110, 7.6.1), and `Expect`, which the edge answers. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Written by us, or by the connection. */
const written: ReadonlySet<string> = new Set([
  'audit-id',
  'authorization',
  'forwarded',
  'host',
  'x-real-ip',
])

/** A bearer protocol is a credential on an upgrade alone; anywhere else it goes no further. */
const withoutBearer = (value: string): string =>
  namesBearer(value)
    ? value
        .split(',')
        .map(part => part.trim())
        .filter(part => !part.startsWith(bearerProtocol))
        .join(', ')
    : value

/** Whether a `Sec-WebSocket-Protocol` holds a bearer token. */
export const namesBearer = (value: string): boolean => value.includes(bearerProtocol)

const bearerProtocol = 'base64url.bearer.authorization.k8s.io.'

const said = new WeakMap<Identity, readonly string[]>()

/** The impersonation headers of an identity; rendered once, since the identity never changes. */
function spoken(identity: Identity): readonly string[] {
  let list = said.get(identity)
  if (list === undefined) {
    list = render(identity)
    said.set(identity, list)
  }
  return list
}

const render = ({ username, uid, groups, extra }: Identity): readonly string[] => [
  'Impersonate-User',
  utf8(username),
  ...(uid === undefined ? [] : ['Impersonate-Uid', utf8(uid)]),
  ...groups.flatMap(group => ['Impersonate-Group', utf8(group)]),
  ...Object.entries(extra).flatMap(([key, values]) =>
    values.flatMap(value => [`Impersonate-Extra-${fieldName(key)}`, utf8(value)]),
  ),
]

/** Header values are written as Latin-1, one byte a code unit. */
const utf8 = (value: string): string => Buffer.from(value, 'utf8').toString('latin1')

/** Extra keys are percent-encoded where a field name cannot say them, as client-go does. */
const fieldName = (key: string): string =>
  [...Buffer.from(key, 'utf8')]
    .map(byte => {
      const char = String.fromCharCode(byte)
      return /[!#$&'*+\-.0-9A-Z^_`a-z|~]/.test(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
