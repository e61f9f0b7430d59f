import type { Duplex } from 'node:stream'

/** One end of a tunnel. */
export interface Side {
  readonly stream: Duplex
  /** Ends the connection so that its other end sees that it was cut, not that it is over. */
  cut(): void
}

export interface Tunnelled {
  /** Bytes that went to the client. */
  readonly bytes: number
  /** Who broke off; `undefined` when both sides said goodbye. */
  readonly broken: 'client' | 'upstream' | undefined
}

/**
 * Joins two connections until both are over. Each direction ends by itself (half-close), waits for the
 * slower side, and a connection that breaks takes the other with it, broken: what was cut must not look
 * complete. There is no time limit: a shell may be silent for days.
 */
export function tunnel(client: Side, upstream: Side): Promise<Tunnelled> {
  return new Promise(resolve => {
    let bytes = 0
    let broken: Tunnelled['broken']
    let open = 2
    upstream.stream.on('data', (chunk: Buffer) => (bytes += chunk.length))

    const over = (
      side: Exclude<Tunnelled['broken'], undefined>,
      { stream }: Side,
      other: Side,
    ): void => {
      open -= 1
      if (!stream.readableEnded || !stream.writableFinished) {
        broken ??= side
        // What it said in full is still handed over in full; nothing else is waited for.
        if (stream.readableEnded && !other.stream.writableFinished) {
          other.stream.once('finish', () => other.cut())
        } else other.cut()
      }
      if (open === 0) resolve({ bytes, broken })
    }
    whenClosed(client.stream, () => over('client', client, upstream))
    whenClosed(upstream.stream, () => over('upstream', upstream, client))
    // `pipe` pauses, resumes, and ends the other side when one ends.
    client.stream.pipe(upstream.stream)
    upstream.stream.pipe(client.stream)
  })
}

/** It may have happened already. */
function whenClosed(stream: Duplex, then: () => void): void {
  stream.on('error', ignore)
  if (stream.closed) process.nextTick(then)
  else stream.once('close', then)
}

const ignore = (): void => undefined
