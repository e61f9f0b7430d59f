import type { Duplex } from 'node:stream'

export interface Tunnelled {
  /** Bytes that went to the client. */
  readonly bytes: number
  /** Who broke off; `undefined` when both sides said goodbye. */
  readonly broken: 'client' | 'upstream' | undefined
}

/**
 * Joins two connections until both are over. Each direction ends by itself (half-close), waits for the
 * slower side, and a connection that breaks takes the other with it, broken: what was cut must not look
 * complete.
 */
export function tunnel(client: Duplex, upstream: Duplex): Promise<Tunnelled> {
  return new Promise(resolve => {
    let bytes = 0
    let broken: Tunnelled['broken']
    let open = 2
    upstream.on('data', (chunk: Buffer) => (bytes += chunk.length))

    const over = (side: Exclude<Tunnelled['broken'], undefined>, one: Duplex, other: Duplex) => {
      open -= 1
      const clean = one.readableEnded && one.writableFinished
      if (!clean) {
        broken ??= side
        other.destroy()
      }
      if (open === 0) resolve({ bytes, broken })
    }
    client.on('error', ignore).once('close', () => over('client', client, upstream))
    upstream.on('error', ignore).once('close', () => over('upstream', upstream, client))
    // `pipe` pauses, resumes, and ends the other side when one ends.
    client.pipe(upstream)
    upstream.pipe(client)
  })
}

const ignore = (): void => undefined
