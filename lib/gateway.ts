import { facts } from './channels.js'
import type { Client, Outcome, RequestContext } from './exchange.js'
import type { Grant } from './grant.js'
import type { Identity } from './identity.js'
import { Refusal } from './refusal.js'
import type { Secret } from './secret.js'

/*
 * What could fail open, and what prevents it.
 *
 * Impersonation fails open: a request that reaches the API server with the gateway's credential and
 * without `Impersonate-User` runs as the gateway. So:
 *
 *  - The stages are types. `carry` takes a `Granted`; only `authorize` makes one, out of an
 *    `Authenticated`, which only `authenticate` makes. Leaving a stage out does not compile.
 *  - A `Grant` cannot be spelled out by hand. The policy mints it, and a grant of the gateway's credential
 *    has no form without impersonation.
 *  - The client's header fields are never edited into upstream ones. `upstream/headers` builds the
 *    whole list anew from a grant, before a socket is touched; fields that could name somebody are left
 *    out by prefix; what `Connection` nominates is taken from the client's fields alone, so it cannot
 *    reach ours. The gateway's credential enters the list in the expression that writes the identity.
 *  - An identity whose names a header cannot carry unchanged (blank, padded, control characters) is
 *    refused when it is made: the API server would read an empty `Impersonate-User` as none.
 *  - `carry` asserts once more, on the list that is about to be sent.
 *  - "I know that this token is bad" is a rejection (401). "I could not find out" is a throw (503).
 *    Neither ever becomes "go on without".
 *  - Whatever is thrown, here or below, ends in `refuse`. There is no other catch, and no other way on.
 */

/** A request whose caller is known, or is known to the API server alone. */
export type Authenticated = Known | Foreign

/** A request whose caller is known by a token of an issuer of ours. */
export interface Known {
  readonly context: RequestContext
  readonly foreign?: undefined
  readonly identity: Identity
  /** What the caller proved it with; `undefined` for one who came without, where that is allowed. */
  readonly token: Secret | undefined
  /** Seconds since the epoch at which `identity` stops being true. */
  readonly expiresAt: number
}

/** A request with a token of none of our issuers, which the API server is to judge. */
export interface Foreign {
  readonly context: RequestContext
  readonly foreign: true
  /** Whose the token is, where the API server was asked: for the log, and nothing is made of it. */
  readonly identity: Identity | undefined
  readonly token: Secret
  /** As above; infinite where it is not known. */
  readonly expiresAt: number
}

/** A request that may go to the API server, as `grant` says. */
export type Granted = Authenticated & {
  readonly grant: Grant
  /** True when the client's own impersonation headers are being left out: the answer says so. */
  readonly stripped: boolean
}

export interface Stages<C extends Client = Client> {
  authenticate(context: RequestContext): Promise<Authenticated> | Authenticated
  authorize(context: Authenticated): Promise<Granted> | Granted
  /** Throws only while nothing was sent to the client; afterwards a failure is part of the outcome. */
  carry(context: Granted, client: C): Promise<Outcome>
  refuse(context: RequestContext, refusal: Refusal, client: C): Promise<Outcome>
}

export type Gateway<C extends Client = Client> = (
  context: RequestContext,
  client: C,
) => Promise<void>

/** The whole life of a request, top to bottom. */
export function createGateway<C extends Client>(stages: Stages<C>): Gateway<C> {
  return async (context, client) => {
    let known: Authenticated | undefined
    let granted: Granted | undefined
    let refusal: Refusal | undefined
    let outcome: Outcome
    try {
      known = await stages.authenticate(context)
      granted = await stages.authorize(known)
      outcome = await stages.carry(granted, client)
    } catch (error) {
      refusal = Refusal.from(error)
      outcome = await stages.refuse(context, refusal, client)
    }
    if (facts.exchange.heard) {
      const { identity } = known ?? {}
      const { grant } = granted ?? {}
      const endedAt = performance.now()
      facts.exchange.publish({ context, identity, grant, refusal, outcome, endedAt })
    }
  }
}
