import { readFileSync } from 'node:fs'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect, type TLSSocket } from 'node:tls'

/*
 * The client of the bench, in a process of its own: a fixed number of requests, a fixed number of them
 * under way at a time. Over HTTP/1.1 each has a connection to itself; the client speaks just enough of
 * it to know where an answer with a length ends: a real one would use more of the machine than what it
 * measures. Over HTTP/2 a few connections share them.
 */

/** What to do in one round. */
export interface Round {
  readonly port: number
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  readonly requests: number
  /** Requests under way at a time. */
  readonly concurrency: number
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

/** A place for one request at a time. */
interface Lane {
  /** Calls back once: whether the answer was a whole 200. */
  ask(token: string, answered: (ok: boolean) => void): void
  close(): void
}

async function prepare(round: Round): Promise<void> {
  const { port, protocol, requests, concurrency, tokens } = round
  const lanes = await (protocol === 'HTTP/2' ? http2Lanes : http1Lanes)(port, concurrency)
  const latencies = new Float64Array(requests)
  let begun = 0
  let done = 0
  let failures = 0
  let startedAt = 0
  let busy = concurrency

  const finish = (): void => {
    const seconds = (performance.now() - startedAt) / 1000
    for (const lane of lanes) lane.close()
    const sorted = latencies.toSorted()
    const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0
    tell({ result: { seconds, p50Ms: at(0.5), p99Ms: at(0.99), failures } })
  }
  const drive = (lane: Lane): void => {
    if (begun === requests) {
      busy -= 1
      if (busy === 0) finish()
      return
    }
    const token = tokens[begun % tokens.length] ?? ''
    begun += 1
    const sentAt = performance.now()
    lane.ask(token, ok => {
      latencies[done] = performance.now() - sentAt
      done += 1
      if (!ok) failures += 1
      drive(lane)
    })
  }
  go = () => {
    startedAt = performance.now()
    for (const lane of lanes) drive(lane)
  }
  tell({ ready: true })
}

/** The same for everybody: ciphers differ in what they cost. */
const tls = {
  host: '127.0.0.1',
  servername: 'localhost',
  ca,
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384',
} as const

const fields = {
  'User-Agent': 'kubectl/v1.35.0 (linux/amd64) kubernetes/bench',
  Accept: 'application/json',
  'Accept-Encoding': 'identity',
}

const http1Lanes = (port: number, concurrency: number): Promise<Lane[]> =>
  Promise.all(Array.from({ length: concurrency }, () => http1Lane(port)))

async function http1Lane(port: number): Promise<Lane> {
  const socket = await open(port)
  let waiting: ((ok: boolean) => void) | undefined
  const answer = (ok: boolean): void => {
    const then = waiting
    waiting = undefined
    then?.(ok)
  }
  onAnswers(socket, answer)
  socket.once('close', () => answer(false))
  return {
    ask(token, answered) {
      waiting = answered
      if (socket.destroyed) queueMicrotask(() => answer(false))
      else socket.write(requestWith(token), 'latin1')
    },
    close: () => void socket.destroy(),
  }
}

const requestWith = (token: string): string =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    `Authorization: Bearer ${token}`,
    '',
    '',
  ].join('\r\n')

function open(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...tls, port, ALPNProtocols: ['http/1.1'] }, () => {
      socket.setNoDelay(true)
      socket.off('error', reject)
      socket.on('error', () => socket.destroy())
      resolve(socket)
    })
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

/** As many requests share a connection as a busy client's would. */
const streamsPerConnection = 8

async function http2Lanes(port: number, concurrency: number): Promise<Lane[]> {
  const sessions = await Promise.all(
    Array.from({ length: Math.ceil(concurrency / streamsPerConnection) }, () => openHttp2(port)),
  )
  return Array.from({ length: concurrency }, (_, at) => http2Lane(sessions[at % sessions.length]!))
}

const http2Lane = (session: ClientHttp2Session): Lane => ({
  ask(token, answered) {
    const stream = session.request(
      { ':path': path, ...fields, Authorization: `Bearer ${token}` },
      { endStream: true },
    )
    let ok = false
    let bytes = 0
    stream.on('response', headers => (ok = headers[':status'] === 200))
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    stream.on('error', () => (ok = false))
    stream.once('close', () => answered(ok && bytes > 0))
  },
  close: () => session.destroy(),
})

function openHttp2(port: number): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://localhost:${port}`, tls, () => resolve(session))
    session.once('error', reject)
  })
}
