import { hash } from 'node:crypto'
import type { Client, RequestContext } from '../exchange.js'
import type { Authenticated, Stages } from '../gateway.js'
import { Refusal } from '../refusal.js'

/** A token that was asked nobody about is its own user; it is not to be held in the clear for this. */
const userOf = (known: Authenticated): string =>
  known.foreign === true && known.identity === undefined
    ? `token ${hash('sha256', known.token.reveal(), 'base64url')}`
    : `user ${known.identity?.username ?? ''}`

/**
 * The stages, with so many requests at a time for each user and no more; what is beyond is refused as
 * `too_many_in_flight` before anybody is asked about it. Long-running requests are counted apart, so that
 * watches leave room for everything else.
 *
 * A place is taken when the user is known and given back when the exchange is over, however it ends: with
 * `carry`, or with `refuse`, which ends every other way. Nothing is remembered of who has nothing open.
 *
 * @param mostPerUser 0 for no limit
 */
export function limitInFlight<C extends Client>(stages: Stages<C>, mostPerUser: number): Stages<C> {
  if (mostPerUser === 0) return stages
  const open = new Map<string, number>()
  const taken = new WeakMap<RequestContext, string>()

  const take = (known: Authenticated): void => {
    const { context } = known
    const isStream = context.info.longRunning !== undefined || context.head.upgrade !== undefined
    const key = `${isStream ? 'streams' : 'requests'} ${userOf(known)}`
    const found = (open.get(key) ?? 0) + 1
    if (found > mostPerUser) {
      throw new Refusal('too_many_in_flight', undefined, { figures: { found, most: mostPerUser } })
    }
    open.set(key, found)
    taken.set(context, key)
  }
  const giveBack = (context: RequestContext): void => {
    const key = taken.get(context)
    if (key === undefined) return
    taken.delete(context)
    const left = (open.get(key) ?? 1) - 1
    if (left === 0) open.delete(key)
    else open.set(key, left)
  }

  return {
    authenticate: context => stages.authenticate(context),
    authorize: known => {
      take(known)
      return stages.authorize(known)
    },
    carry: async (granted, client) => {
      try {
        return await stages.carry(granted, client)
      } finally {
        giveBack(granted.context)
      }
    },
    refuse: (context, refusal, client) => {
      giveBack(context)
      return stages.refuse(context, refusal, client)
    },
  }
}
