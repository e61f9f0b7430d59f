import { facts } from '../channels.js'
import type { Authenticated, Granted, Stages } from '../gateway.js'
import { Grant } from '../grant.js'
import type { Identity } from '../identity.js'
import { Refusal } from '../refusal.js'
import { asksToImpersonate } from './asked.js'
import type { OwnExtra } from './own-extra.js'
import type { SelfReview } from './self-review.js'

/** Whose credential goes upstream, and whether `Impersonate-*` goes with it. */
export type CredentialMode =
  | { readonly kind: 'gateway' }
  | { readonly kind: 'caller'; readonly impersonation: 'always' | 'never' }
  | { readonly kind: 'caller'; readonly impersonation: 'auto'; readonly review: SelfReview }

export interface PolicyOptions {
  readonly mode: CredentialMode
  /** What becomes of the client's own `Impersonate-*`: left out with a `Warning`, or refused (403). */
  readonly clientImpersonation: 'strip' | 'reject'
  /** What the gateway adds to every identity that it impersonates. @default nothing */
  readonly ownExtra?: OwnExtra
}

/** Decides as whom a known caller may act. The only place where a grant is minted. */
export function createPolicy({
  mode,
  clientImpersonation,
  ownExtra = identity => identity,
}: PolicyOptions): Stages['authorize'] {
  const grantTo = minter(mode, ownExtra)
  return known => {
    const asked = asksToImpersonate(known.context.head.headers)
    if (asked && clientImpersonation === 'reject') {
      facts.clientImpersonation.publish({ action: 'rejected' })
      throw new Refusal('impersonation_refused', 'the client sent impersonation headers')
    }
    if (asked) facts.clientImpersonation.publish({ action: 'stripped' })
    const grant = grantTo(known)
    return grant instanceof Promise
      ? grant.then(settled => granted(known, settled, asked))
      : granted(known, grant, asked)
  }
}

const granted = (known: Authenticated, grant: Grant, stripped: boolean): Granted => ({
  ...known,
  grant,
  stripped,
})

function minter(
  mode: CredentialMode,
  ownExtra: OwnExtra,
): (known: Authenticated) => Grant | Promise<Grant> {
  if (mode.kind === 'gateway') {
    const grants = new WeakMap<Identity, Grant>()
    return ({ identity, context }) => {
      const as = ownExtra(identity, context.peer.address)
      let grant = grants.get(as)
      if (grant === undefined) {
        grant = Grant.byGateway(as)
        grants.set(as, grant)
      }
      return grant
    }
  }
  const byCaller = ({ identity, token, context }: Authenticated, same: boolean): Grant =>
    same
      ? Grant.byCaller(identity, token, { impersonate: false })
      : Grant.byCaller(ownExtra(identity, context.peer.address), token, { impersonate: true })
  if (mode.impersonation !== 'auto') {
    const same = mode.impersonation === 'never'
    return known => byCaller(known, same)
  }
  const { review } = mode
  return known => {
    const same = review(known)
    return typeof same === 'boolean' ? byCaller(known, same) : same.then(it => byCaller(known, it))
  }
}
