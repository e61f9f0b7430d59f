import type { Identity } from '../identity.js'

export interface OwnExtraOptions {
  /** Extra of every user, by lower-case key. */
  readonly fixed: Readonly<Record<string, readonly string[]>>
  /** Whether the address of the client goes along, as `remote-client-ip`. */
  readonly clientIp: boolean
}

const clientIpKey = 'remote-client-ip'

/** The identity with what the gateway itself adds to it, for a request from this address. */
export type OwnExtra = (identity: Identity, address: string) => Identity

/**
 * Adds to an identity's extra what the operator wants the API server to know. A key that is ours is ours alone:
 * whatever a token or a client says under it gives way.
 *
 * The same identity and address give the same object while they keep coming: what is rendered of it is
 * remembered by it.
 */
export function createOwnExtra({ fixed, clientIp }: OwnExtraOptions): OwnExtra {
  if (!clientIp && Object.keys(fixed).length === 0) return identity => identity
  const last = new WeakMap<Identity, { readonly address: string; readonly made: Identity }>()
  return (identity, address) => {
    const known = last.get(identity)
    if (known && (!clientIp || known.address === address)) return known.made
    const made = Object.freeze({
      ...identity,
      extra: Object.freeze({
        ...identity.extra,
        ...fixed,
        ...(clientIp && { [clientIpKey]: Object.freeze([address]) }),
      }),
    })
    last.set(identity, { address, made })
    return made
  }
}
