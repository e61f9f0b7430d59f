import type { Values } from './values.js'

export interface ExtraSettings {
  /** By lower-case key, as the API server reads it. */
  readonly fixed: Readonly<Record<string, readonly string[]>>
  readonly clientIp: boolean
}

/** Extra of every user: `key=value,key2=value`, as kube-oidc-proxy writes it; one key may have several values. */
export function resolveExtra(values: Values): ExtraSettings {
  const name = 'extra-user-headers'
  const fixed = new Map<string, string[]>()
  for (const text of values.list(name)) {
    const entries = fieldsOf(text)
    if (entries === undefined) {
      values.fault(name, 'has a quote that is not closed, or text beside a quoted one', text)
    }
    for (const entry of entries ?? []) {
      const equals = entry.indexOf('=')
      const key = entry.slice(0, Math.max(equals, 0)).toLowerCase()
      const value = entry.slice(equals + 1)
      if (!isPlain(key) || !isPlain(value)) {
        values.fault(name, 'must be key=value, neither of them blank or padded', entry)
      } else if (key === 'remote-client-ip') {
        values.fault(name, 'has a key of the gateway; use --extra-user-header-client-ip', entry)
      } else fixed.set(key, [...(fixed.get(key) ?? []), value])
    }
  }
  const clientIp = values.switched('extra-user-header-client-ip')
  for (const flag of [name, 'extra-user-header-client-ip'] as const) {
    const neverImpersonates =
      values.choice('impersonation') === 'never' || values.switched('disable-impersonation')
    if (values.given(flag) && neverImpersonates) {
      values.fault(flag, "has no effect on the caller's own token; it needs Impersonate-*")
    }
  }
  return { fixed: Object.fromEntries(fixed), clientIp }
}

const isPlain = (text: string): boolean =>
  text !== '' && text === text.trim() && !/\p{Cc}/u.test(text) && text.isWellFormed()

/** The fields of one line of CSV (RFC 4180), which is what that program reads; undefined when it is none. */
function fieldsOf(line: string): readonly string[] | undefined {
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (;;) {
    const found = field.exec(line)
    if (!found) return undefined
    const [, quoted, plain = '', end] = found
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === '') return fields
  }
}
