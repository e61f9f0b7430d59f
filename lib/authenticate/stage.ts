import type { RequestContext } from '../exchange.js'
import type { Authenticated, Stages } from '../gateway.js'
import { Refusal } from '../refusal.js'
import { allowsAnonymous, anonymousIdentity } from './anonymous.js'
import type { AnyVerdict, Authenticator, Credential } from './authenticator.js'
import type { AnonymousAuthentication } from './configuration.js'
import { findCredential } from './credential.js'

export interface AuthenticateOptions {
  readonly authenticator: Authenticator<AnyVerdict>
  /** Whether requests may come without a credential, as it stands now. @default never */
  readonly anonymous?: () => AnonymousAuthentication | undefined
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
}

/** The stage that knows the caller or refuses the request. Without a promise where the verdict is known. */
export function createAuthenticate({
  authenticator,
  anonymous = () => undefined,
  now = Date.now,
}: AuthenticateOptions): Stages['authenticate'] {
  const admit = (
    context: RequestContext,
    { token }: Credential,
    verdict: AnyVerdict,
  ): Authenticated => {
    if (verdict.outcome === 'rejected' || verdict.outcome === 'abstained') throw verdict.refusal
    const { expiresAt } = verdict
    // It can have been long in coming.
    if (now() >= expiresAt * 1000) throw new Refusal('token_expired')
    return verdict.outcome === 'foreign'
      ? { context, foreign: true, identity: verdict.identity, token, expiresAt }
      : { context, identity: verdict.identity, token, expiresAt }
  }

  return context => {
    const credential = findCredential(context.head, context.connection)
    if (credential === undefined) {
      if (!allowsAnonymous(anonymous(), context)) throw new Refusal('credential_missing')
      return { context, identity: anonymousIdentity, token: undefined, expiresAt: Infinity }
    }
    const verdict = authenticator.authenticate(credential, context)
    return verdict instanceof Promise
      ? verdict.then(known => admit(context, credential, known))
      : admit(context, credential, verdict)
  }
}
