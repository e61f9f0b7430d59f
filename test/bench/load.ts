import { readFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'

/*
 * The client of the bench, in a process of its own: a fixed number of requests over a fixed number of
 * connections, each with one request under way at a time. It speaks just enough HTTP/1.1 to know where
 * an answer with a length ends: a real client would use more of the machine than what it measures.
 */

/** What to do in one round. */
export interface Round {
  readonly port: number
  readonly requests: number
  readonly connections: number
  /** Used in turn. */
  readonly tokens: readonly string[]
}

/** `ready` before the first request of a round, then its result. */
export type LoadMessage = { readonly ready: true } | { readonly result: RoundResult }

export interface RoundResult {
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers other than 200, and requests without any. */
  readonly failures: number
}

const [, , caFile = ''] = process.argv
const ca = readFileSync(caFile)
const path = '/api/v1/namespaces/default/pods?limit=500'

let go: (() => void) | undefined
process.on('message', (message: Round | 'go') => {
  if (message === 'go') go?.()
  else void prepare(message)
})
process.on('disconnect', () => process.exit())

const tell = (message: LoadMessage): void => void process.send?.(message)

async function prepare(round: Round): Promise<void> {
  const { port, requests, connections, tokens } = round
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const latencies = new Float64Array(requests)
  let begun = 0
  let done = 0
  let failures = 0
  let startedAt = 0
  let connected = connections

  const finish = (): void => {
    const seconds = (performance.now() - startedAt) / 1000
    for (const socket of sockets) socket.destroy()
    const sorted = latencies.subarray(0, done).toSorted()
    const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0
    const lost = requests - done
    tell({
      result: { seconds, p50Ms: at(0.5), p99Ms: at(0.99), failures: failures + lost },
    })
  }
  const drive = (socket: TLSSocket): void => {
    let sentAt = 0
    const next = (): void => {
      if (begun === requests) {
        socket.destroy()
        return
      }
      const token = tokens[begun % tokens.length] ?? ''
      begun += 1
      sentAt = performance.now()
      socket.write(requestWith(token), 'latin1')
    }
    onAnswers(socket, ok => {
      latencies[done] = performance.now() - sentAt
      done += 1
      if (!ok) failures += 1
      next()
    })
    socket.once('close', () => {
      connected -= 1
      if (connected === 0) finish()
    })
    next()
  }
  go = () => {
    startedAt = performance.now()
    for (const socket of sockets) drive(socket)
  }
  tell({ ready: true })
}

const requestWith = (token: string): string =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'User-Agent: kubectl/v1.35.0 (linux/amd64) kubernetes/bench',
    'Accept: application/json',
    'Accept-Encoding: identity',
    `Authorization: Bearer ${token}`,
    '',
    '',
  ].join('\r\n')

function open(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port, servername: 'localhost', ca, ALPNProtocols: ['http/1.1'] },
      () => {
        socket.setNoDelay(true)
        socket.off('error', reject)
        socket.on('error', () => socket.destroy())
        resolve(socket)
      },
    )
    socket.once('error', reject)
  })
}

/** Calls back for each whole answer; true when its status was 200. */
function onAnswers(socket: TLSSocket, answered: (ok: boolean) => void): void {
  let head = ''
  let missing = -1
  let ok = false
  socket.on('data', chunk => {
    let bodyBytes = chunk.length
    if (missing < 0) {
      head += chunk.toString('latin1')
      const at = head.indexOf('\r\n\r\n')
      if (at < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(head.slice(0, at))?.[1]
      if (length === undefined) {
        socket.destroy()
        return
      }
      ok = head.startsWith('HTTP/1.1 200 ')
      missing = Number(length)
      bodyBytes = head.length - at - 4
      head = ''
    }
    missing -= bodyBytes
    if (missing > 0) return
    missing = -1
    answered(ok)
  })
}
