import type { HeaderList } from '../exchange.js'
import type { Identity } from '../identity.js'
import { flawOf } from '../name.js'
import { Refusal } from '../refusal.js'

/**
 * Whether the client says anything about impersonation itself: a field whose name, with `_` and `%2D`
 * read as `-`, begins with `Impersonate`, whatever may follow.
 */
export function asksToImpersonate(headers: HeaderList): boolean {
  return headers.some(([name]) => isAbout(name))
}

const isAbout = (name: string): boolean =>
  name.length >= 11 && name.slice(0, 11).toLowerCase() === 'impersonate'

/**
 * The identity that a client asks for (`kubectl --as`), read as the API server reads it; `undefined` when none
 * is named in the API server's own spelling. Nothing is added that the API server adds by itself.
 * (`processImpersonationHeaders` in `k8s.io/apiserver/pkg/endpoints/filters/impersonation`)
 *
 * Stricter where a second reading is possible: of several users the API server takes the first, and a name
 * that it would trim is another one.
 *
 * @param mostNames of groups and values of extra together: each is a question to the API server
 * @throws Refusal `impersonation_malformed`, `identity_unusable`, `identity_reserved`, `too_many_groups`
 */
export function readAsked(headers: HeaderList, mostNames: number): Identity | undefined {
  const users: string[] = []
  const uids: string[] = []
  const groups = new Set<string>()
  const extra = new Map<string, string[]>()
  let odd = 0
  let names = 0
  for (const [field, value] of headers) {
    if (!isAbout(field)) continue
    const name = field.toLowerCase()
    if (name === 'impersonate-user') users.push(said(value, 'user name'))
    else if (name === 'impersonate-uid') uids.push(said(value, 'uid'))
    else if (name === 'impersonate-group') groups.add(said(value, 'group'))
    else if (name.startsWith(extraPrefix)) {
      const key = extraKey(name.slice(extraPrefix.length))
      extra.set(key, [...(extra.get(key) ?? []), said(value, 'extra')])
      names += 1
    } else odd += 1
  }
  const [username] = users
  const asks = users.length + uids.length + groups.size + extra.size > 0
  if (!asks) return undefined
  if (username === undefined) throw malformed('without Impersonate-User')
  if (users.length > 1 || uids.length > 1) throw malformed('more than one user or uid')
  if (odd > 0) throw malformed('in more than one spelling')
  const found = names + groups.size
  if (found > mostNames) {
    throw new Refusal('too_many_groups', undefined, { figures: { found, most: mostNames } })
  }
  return Object.freeze({
    username,
    ...(uids[0] !== undefined && { uid: uids[0] }),
    groups: Object.freeze([...groups]),
    extra: Object.freeze(
      Object.fromEntries([...extra].map(([key, values]) => [key, Object.freeze(values)])),
    ),
  })
}

const extraPrefix = 'impersonate-extra-'

const originalUserDomain = 'original-user.impersonation-gateway.io'

/** The keys of extra under which the gateway says who asked; nobody else may. */
export const originalUser = {
  name: `${originalUserDomain}/name`,
  groups: `${originalUserDomain}/groups`,
  uid: `${originalUserDomain}/uid`,
} as const

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decoded(bytes: Buffer, what: string): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Refusal('identity_unusable', `the ${what} asked for is not UTF-8`)
  }
}

/** A header value, one code unit a byte, as the name that it stands for. */
function said(value: string, what: string): string {
  const name = decoded(Buffer.from(value, 'latin1'), what)
  const flaw = flawOf(name)
  if (flaw !== undefined) throw new Refusal('identity_unusable', `the ${what} asked for ${flaw}`)
  return name
}

/**
 * The key in a field name, already in lower case: percent-decoded, or as it stands where it cannot be
 * (`url.PathUnescape`). A key with capitals is refused: the API server would read another one in the field
 * name that we would have to write for it.
 */
function extraKey(encoded: string): string {
  const isEncoded = !/%(?![0-9a-f]{2})/.test(encoded)
  const bytes = isEncoded
    ? Buffer.from(
        encoded.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
        'latin1',
      )
    : Buffer.from(encoded, 'latin1')
  const key = decoded(bytes, 'key of extra')
  const flaw = flawOf(key) ?? (key === key.toLowerCase() ? undefined : 'is not in lower case')
  if (flaw !== undefined)
    throw new Refusal('identity_unusable', `the key of extra asked for ${flaw}`)
  if (key === originalUserDomain || key.startsWith(`${originalUserDomain}/`)) {
    throw new Refusal('identity_reserved', 'the key of extra asked for is that of the gateway')
  }
  return key
}

const malformed = (why: string): Refusal => new Refusal('impersonation_malformed', why)
