import { ApiError } from './api-error.js'
import { authorize, type Rule } from './rbac.js'

/** Whoever is asking, as the stand-in sees them. */
export interface Caller {
  readonly username: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** What a token stands for; `undefined` when it stands for nobody. */
export type Authenticate = (
  token: string,
) =>
  | { readonly username: string; readonly groups: readonly string[]; readonly uid?: string }
  | undefined

const anonymous: Caller = {
  username: 'system:anonymous',
  groups: ['system:unauthenticated'],
  extra: {},
}

/**
 * Whom a request is from, after impersonation: every name that it asks for is authorised first, as
 * kube-apiserver does (`endpoints/filters/impersonation`).
 * @param headers raw, names and values alternating; values as Latin-1, one code unit a byte
 * @throws 401 for a token nobody has, 403 for a name the caller may not take, 400 for a half-said one
 */
export function identify(
  headers: readonly string[],
  authenticate: Authenticate,
  rules: readonly Rule[],
): Caller {
  const caller = authenticated(headers, authenticate)
  const asked = impersonation(headers)
  if (asked === undefined) return caller

  const check = (
    resource: string,
    name: string,
    more: { namespace?: string; subresource?: string },
  ) => {
    const group = resource === 'uids' || resource === 'userextras' ? 'authentication.k8s.io' : ''
    authorize(rules, caller, {
      verb: 'impersonate',
      group,
      resource,
      name,
      namespace: more.namespace ?? '',
      subresource: more.subresource ?? '',
    })
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(asked.username)
  if (account) check('serviceaccounts', account[2] ?? '', { namespace: account[1] ?? '' })
  else check('users', asked.username, {})
  for (const group of asked.groups) check('groups', group, {})
  for (const [key, values] of Object.entries(asked.extra)) {
    for (const value of values) check('userextras', value, { subresource: key })
  }
  if (asked.uid !== undefined) check('uids', asked.uid, {})

  const implied =
    account && asked.groups.length === 0
      ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`]
      : []
  return member({ ...asked, groups: [...asked.groups, ...implied] })
}

/** The caller, in `system:authenticated` too. */
export function member(caller: Caller): Caller {
  const own = caller.username === anonymous.username ? anonymous.groups : ['system:authenticated']
  return { ...caller, groups: [...new Set([...caller.groups, ...own])] }
}

function authenticated(headers: readonly string[], authenticate: Authenticate): Caller {
  const [credential] = values(headers, 'authorization')
  if (credential === undefined) return anonymous
  const [, token] = /^bearer +(\S+)$/i.exec(credential) ?? []
  const known = token === undefined ? undefined : authenticate(token)
  if (known === undefined) throw ApiError.unauthorized()
  return member({ ...known, extra: {} })
}

function impersonation(headers: readonly string[]): Caller | undefined {
  const username = values(headers, 'impersonate-user')[0] ?? ''
  const groups = values(headers, 'impersonate-group')
  const uid = values(headers, 'impersonate-uid')[0] ?? ''
  const extra = extras(headers)
  if (username === '') {
    if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return undefined
    throw ApiError.badRequest('requested groups, uid or extra without impersonating a user')
  }
  return { username, groups, extra, ...(uid !== '' && { uid }) }
}

function extras(headers: readonly string[]): Record<string, string[]> {
  const prefix = 'impersonate-extra-'
  const found: Record<string, string[]> = {}
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase() ?? ''
    if (!name.startsWith(prefix)) continue
    const encoded = name.slice(prefix.length)
    // What cannot be decoded stands for itself, as in `unescapeExtraKey`.
    const key = /%(?![0-9a-f]{2})/.test(encoded) ? encoded : unescape(encoded)
    ;(found[key] ??= []).push(utf8(headers[index + 1] ?? ''))
  }
  return found
}

function values(headers: readonly string[], name: string): string[] {
  return headers.flatMap((field, index) =>
    index % 2 === 0 && field.toLowerCase() === name ? [utf8(headers[index + 1] ?? '')] : [],
  )
}

/** Go reads header bytes as UTF-8; Node hands them out as Latin-1. */
function utf8(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8')
}

function unescape(encoded: string): string {
  const bytes = encoded.replace(/%([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return utf8(bytes)
}
