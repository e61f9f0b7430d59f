import type { Identity } from '../identity.js'
import type { Refusal } from '../refusal.js'
import type { Secret } from '../secret.js'

/** What the caller presented: exactly one of these, or the request is refused. */
export interface Credential {
  readonly kind: 'bearer'
  readonly token: Secret
}

export type Verdict =
  | {
      readonly outcome: 'authenticated'
      readonly identity: Identity
      /** Seconds since the epoch; the verdict is worth nothing from then on. */
      readonly expiresAt: number
    }
  /** Somebody else may know it; `refusal` is what there is to say where nobody does. */
  | { readonly outcome: 'abstained'; readonly refusal: Refusal }
  | { readonly outcome: 'rejected'; readonly refusal: Refusal }

/** Nobody's among us, and the API server's to judge: to be forwarded as it is. */
export interface ForeignVerdict {
  readonly outcome: 'foreign'
  /** Whose it is, if that was asked. */
  readonly identity?: Identity
  /** As above. */
  readonly expiresAt: number
}

export type AnyVerdict = Verdict | ForeignVerdict

/** Who waits for a verdict. The signal, fired when it need not come any more, is made when asked for. */
export interface Waiting {
  readonly signal: AbortSignal
  /** Stands for the client's connection: what is remembered under it goes when it does. */
  readonly connection?: object | undefined
  /** Whose turn it is, where strangers must wait for one. */
  readonly peer?: { readonly address: string }
}

/**
 * Decides whom a credential belongs to. A returned verdict is knowledge; a throw means it could not
 * be known, and the request fails as unavailable rather than as unauthenticated.
 */
export interface Authenticator<V = Verdict> {
  readonly name: string
  authenticate(credential: Credential, waiting: Waiting): Promise<V> | V
}
