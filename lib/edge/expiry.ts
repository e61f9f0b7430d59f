import { LRUCache } from 'lru-cache'
import { facts, type StreamKind } from '../channels.js'
import type { Granted } from '../gateway.js'
import { Refusal } from '../refusal.js'
import type { EdgeClient } from './edge-client.js'

export interface ExpiryOptions {
  /** How long after its `exp` a token's streams may go on: as far as clocks may differ. */
  readonly skewSeconds: number
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
}

/** Ends streams with the token that they were opened with. */
export interface Expiry {
  /** Returns what to call when the exchange is over. What is no stream is left alone. */
  enter(granted: Granted, client: Pick<EdgeClient, 'askToEnd' | 'cut'>): () => void
  /** Forgets everything: streams go on. */
  close(): void
}

/**
 * Ends every stream (watch, log, exec, attach, port-forward, proxy, any upgrade) when its token does, `skewSeconds` after its
 * `exp`: well where there is a place for it, cut a second later where there is none. A minute before, a warning
 * says whose streams will end. There is one timer for all streams of a user with the same end, and none
 * when there are no streams.
 */
export function createExpiry({ skewSeconds, now = Date.now }: ExpiryOptions): Expiry {
  const groups = new Map<string, Group>()
  /** Those whose end has come, and that are not over yet. */
  const ending = new Set<Group>()
  /** Who was warned about already: streams that come and go in the last minute are no news. */
  const warned = new LRUCache<string, true>({ max: 10_000 })

  const warn = (key: string, group: Group): void => {
    if (warned.has(key)) return
    warned.set(key, true)
    const { username, endsAt, streams } = group
    const counts: Partial<Record<StreamKind | 'upgrade', number>> = {}
    for (const { kind } of streams) counts[kind] = (counts[kind] ?? 0) + 1
    facts.notice.publish({
      level: 'warn',
      msg: 'the token expires: its streams are going to be ended',
      fields: { user: username, endsAt: new Date(endsAt).toISOString(), streams: counts },
    })
  }

  /** Whatever is due now, and the timer for what is next. */
  const proceed = (key: string, group: Group): void => {
    const left = group.endsAt - now()
    if (left <= 0) {
      groups.delete(key)
      ending.add(group)
      group.timer = setTimeout(() => {
        for (const { client } of group.streams) client.cut()
      }, lastWordsMs)
      for (const { client } of group.streams) client.askToEnd(new Refusal('token_expired'))
      return
    }
    if (left <= warningMs) warn(key, group)
    const next = left <= warningMs ? left : left - warningMs
    // Clocks are set now and then, and a timer of over 24.8 days would fire at once.
    group.timer = setTimeout(() => proceed(key, group), Math.min(next, lookMs))
  }

  return {
    enter({ context: { head, info }, identity, expiresAt }, client) {
      const kind = info.longRunning ?? (head.upgrade === undefined ? undefined : 'upgrade')
      if (kind === undefined || !Number.isFinite(expiresAt)) return () => undefined
      const username = identity?.username ?? 'unknown'
      const key = `${expiresAt} ${username}`
      const stream: Stream = { kind, client }
      const known = groups.get(key)
      const endsAt = (expiresAt + skewSeconds) * 1000
      const group: Group = known ?? { username, endsAt, streams: new Set(), timer: undefined }
      group.streams.add(stream)
      if (!known) {
        groups.set(key, group)
        proceed(key, group)
      }
      return () => {
        group.streams.delete(stream)
        if (group.streams.size > 0) return
        clearTimeout(group.timer)
        ending.delete(group)
        if (groups.get(key) === group) groups.delete(key)
      }
    },
    close() {
      for (const { timer } of [...groups.values(), ...ending]) clearTimeout(timer)
      groups.clear()
      ending.clear()
    },
  }
}

interface Group {
  readonly username: string
  /** Milliseconds since the epoch. */
  readonly endsAt: number
  readonly streams: Set<Stream>
  timer: NodeJS.Timeout | undefined
}

interface Stream {
  readonly kind: StreamKind | 'upgrade'
  readonly client: Pick<EdgeClient, 'askToEnd' | 'cut'>
}

const warningMs = 60_000
const lookMs = 60_000
const lastWordsMs = 1_000
