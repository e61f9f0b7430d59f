import { facts } from '../channels.js'
import type { Foreign, Granted, Known, Stages } from '../gateway.js'
import { Grant } from '../grant.js'
import type { Identity } from '../identity.js'
import { Refusal } from '../refusal.js'
import type { Secret } from '../secret.js'
import type { AccessReview } from './access-review.js'
import { actingAs } from './acting-as.js'
import { asksToImpersonate, readAsked } from './asked.js'
import type { OwnExtra } from './own-extra.js'
import type { SelfReview } from './self-review.js'

/** Whose credential goes upstream, and whether `Impersonate-*` goes with it. */
export type CredentialMode =
  /** @param accessReview needed for `clientImpersonation: 'authorize'` */
  | { readonly kind: 'gateway'; readonly accessReview?: AccessReview }
  | { readonly kind: 'caller'; readonly impersonation: 'always' | 'never' }
  | { readonly kind: 'caller'; readonly impersonation: 'auto'; readonly review: SelfReview }

export interface PolicyOptions {
  readonly mode: CredentialMode
  /**
   * What becomes of the client's own `Impersonate-*`: left out with a `Warning`, refused (403), or honoured
   * where allowed: the API server is asked beforehand when our credential is to be used, and decides by itself
   * when they go along with the caller's.
   */
  readonly clientImpersonation: 'strip' | 'reject' | 'authorize'
  /** Groups and values of extra that a client may ask for in one request. @default 256 */
  readonly mostAsked?: number
  /** What the gateway adds to every identity that it impersonates. @default nothing */
  readonly ownExtra?: OwnExtra
}

/**
 * Decides as whom a known caller may act. The only place where a grant is minted.
 * @throws TypeError when it is to authorise and has nobody to ask
 */
export function createPolicy(options: PolicyOptions): Stages['authorize'] {
  const { mode, clientImpersonation, ownExtra = identity => identity } = options
  const grantTo = minter(mode, ownExtra)
  const asOther =
    clientImpersonation === 'authorize' ? otherMinter(mode, ownExtra, options.mostAsked) : undefined
  return known => {
    if (known.foreign === true) return passThrough(known, clientImpersonation)
    const asks = asksToImpersonate(known.context.head.headers)
    if (asks && clientImpersonation === 'reject') {
      tell('rejected')
      throw new Refusal('impersonation_refused', 'the client sent impersonation headers')
    }
    if (asks && asOther !== undefined) {
      if (known.token === undefined) {
        tell('denied')
        throw new Refusal('impersonation_refused', 'an anonymous client sent impersonation headers')
      }
      const other = asOther(known)
      if (other !== undefined) return other.then(grant => granted(known, grant, false))
    }
    if (asks) tell('stripped')
    const grant = grantTo(known)
    return grant instanceof Promise
      ? grant.then(settled => granted(known, settled, asks))
      : granted(known, grant, asks)
  }
}

/**
 * A token that the API server is to judge goes without any `Impersonate-*`, and on no credential of ours. Who
 * asks to be somebody else with it is told so where his asking would otherwise have been honoured.
 */
function passThrough(
  known: Foreign,
  clientImpersonation: PolicyOptions['clientImpersonation'],
): Granted {
  const asks = asksToImpersonate(known.context.head.headers)
  if (asks && clientImpersonation !== 'strip') {
    tell('rejected')
    throw new Refusal('impersonation_refused', 'the token is passed through')
  }
  if (asks) tell('stripped')
  return { ...known, grant: Grant.byForeign(known.token), stripped: asks }
}

const tell = (action: 'stripped' | 'rejected' | 'authorized' | 'denied'): void =>
  facts.clientImpersonation.publish({ action })

const granted = (known: Known, grant: Grant, stripped: boolean): Granted => ({
  // One by one: every request pays for a spread.
  context: known.context,
  identity: known.identity,
  token: known.token,
  expiresAt: known.expiresAt,
  grant,
  stripped,
})

/** Gives no promise where nobody is asked for in the API server's own spelling. */
function otherMinter(
  mode: CredentialMode,
  ownExtra: OwnExtra,
  mostAsked = 256,
): (known: Known) => Promise<Grant> | undefined {
  if (mode.kind === 'gateway' && mode.accessReview === undefined) {
    throw new TypeError("clientImpersonation 'authorize' needs an accessReview")
  }
  const mint = async ({ identity, token, context }: Known, asked: Identity): Promise<Grant> => {
    if (token === undefined) throw new Refusal('invariant', 'nobody asks for somebody')
    if (mode.kind === 'caller') return Grant.byCallerAsOther(asked, token)
    if (mode.accessReview === undefined) throw new Refusal('invariant', 'nobody to ask')
    const as = await actingAs(identity, asked, mode.accessReview)
    return Grant.byGatewayAsOther(ownExtra(as, context.peer.address))
  }
  const told = async (known: Known, asked: Identity): Promise<Grant> => {
    try {
      const grant = await mint(known, asked)
      tell('authorized')
      return grant
    } catch (error) {
      if (error instanceof Refusal && error.code === 'impersonation_denied') tell('denied')
      throw error
    }
  }
  return known => {
    let asked: Identity | undefined
    try {
      asked = readAsked(known.context.head.headers, mostAsked)
    } catch (error) {
      tell('denied')
      throw error
    }
    return asked && told(known, asked)
  }
}

function minter(
  mode: CredentialMode,
  ownExtra: OwnExtra,
): (known: Known) => Grant | Promise<Grant> {
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
  const byCaller = ({ identity, context }: Known, token: Secret, same: boolean): Grant =>
    same
      ? Grant.byCaller(identity, token, { impersonate: false })
      : Grant.byCaller(ownExtra(identity, context.peer.address), token, { impersonate: true })
  if (mode.impersonation !== 'auto') {
    const same = mode.impersonation === 'never'
    return known =>
      known.token === undefined
        ? Grant.byNobody(known.identity)
        : byCaller(known, known.token, same)
  }
  const { review } = mode
  return known => {
    const { token } = known
    if (token === undefined) return Grant.byNobody(known.identity)
    const same = review({ identity: known.identity, token })
    return typeof same === 'boolean'
      ? byCaller(known, token, same)
      : same.then(it => byCaller(known, token, it))
  }
}
