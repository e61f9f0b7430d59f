import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { facts } from '../channels.js'
import type { Client, HeaderList, Outcome } from '../exchange.js'
import type { Granted, Stages } from '../gateway.js'
import { Refusal } from '../refusal.js'
import { flawOfAnswer } from './answer-head.js'
import { answerHeaders } from './answer.js'
import { webSocketFrames } from './boundary.js'
import type { ConnectionOptions, Whose } from './cluster.js'
import { openGranted } from './granted-connection.js'
import { assertGranted, type GatewayCredential, namesBearer, upstreamHeaders } from './headers.js'
import { whoseRefusal } from './refused-credential.js'
import { pathBelow } from './target-path.js'
import { tunnel, type Farewell, type Side } from './tunnel.js'
import { whoseConnection } from './whose-connection.js'

/** What an upgrade needs to know of the cluster; `cluster.ts` has it. */
export interface UpgradeUpstream {
  readonly basePath: string
  connection(whose: Whose): ConnectionOptions
  readonly credential: GatewayCredential | undefined
  renew(refused: GatewayCredential | undefined): Promise<boolean>
  takes(credential: GatewayCredential | undefined): Promise<boolean>
}

export interface UpgradeOptions {
  /** How long it may take to connect, TLS included. @default 10_000 ms */
  readonly connectTimeoutMs?: number
  /**
   * How long the answer to an upgrade may take that the API server would not let run without a time limit.
   * @default 65_000 ms
   */
  readonly headTimeoutMs?: number
  /**
   * Whether a tunnel that is asked to end does: a WebSocket with a close frame, for which its frames are followed
   * all the time; any other by being cut. Without it a tunnel that is asked goes on.
   * @default false
   */
  readonly endsWhenAsked?: boolean
  /** How often to look whether the sides of a tunnel are still there. @default 15_000 ms */
  readonly lookMs?: number
}

/**
 * Carries a granted upgrade (WebSocket, SPDY/3.1): exec, attach, port-forward. The client's connection is switched
 * only after the API server has switched to the very protocol that was asked for; any other answer is
 * relayed as an ordinary one, and both connections end (CVE-2018-1002105).
 */
export function createUpgrade(
  upstream: UpgradeUpstream,
  options: UpgradeOptions = {},
): Stages['carry'] {
  return async (granted, client) => {
    // Held on to: by the time it is refused, another request may have brought a new one.
    const { credential } = upstream
    let answer = await ask(upstream, credential, granted, client, options)
    if (await refuses(upstream, credential, granted, answer)) {
      await upstream.renew(credential)
      const renewed = upstream.credential
      answer = await ask(upstream, renewed, granted, client, options)
      if (await refuses(upstream, renewed, granted, answer))
        throw new Refusal('upstream_credential')
    }
    return 'socket' in answer
      ? await switched(granted, client, answer, options)
      : await refused(granted, client, answer)
  }
}

interface Switched {
  readonly message: IncomingMessage
  readonly socket: Duplex
}

interface Declined {
  readonly message: IncomingMessage
  /** Whether its connection was reset: then it is not complete, even if its end is that of the connection. */
  readonly isReset: boolean
}

/** Whether it is our credential that is refused: then nothing of the answer is used. */
async function refuses(
  upstream: UpgradeUpstream,
  credential: GatewayCredential | undefined,
  granted: Granted,
  { message }: Switched | Declined,
): Promise<boolean> {
  const whose = whoseRefusal(granted, message.statusCode ?? 0, fieldsOf(message))
  if (whose === 'theirs' || (whose === 'unknown' && (await upstream.takes(credential))))
    return false
  message.destroy()
  return true
}

/** One try: resolves with whatever answer came, if it is one that an upgrade can have. */
function ask(
  upstream: UpgradeUpstream,
  credential: GatewayCredential | undefined,
  granted: Granted,
  client: Client,
  { connectTimeoutMs = 10_000, headTimeoutMs = 65_000 }: UpgradeOptions,
): Promise<Switched | Declined> {
  const { head, info } = granted.context
  const { grant } = granted
  const headers = assertGranted(
    upstreamHeaders(granted.context, grant, credential),
    grant,
    credential,
  )
  const path = pathBelow(upstream.basePath, head.target)
  const connection = upstream.connection(whoseConnection(grant))
  const isPlain = connection.protocol === 'http:'
  return new Promise((resolve, reject) => {
    const request = openGranted(connection, { method: head.method, path, headers })
    request.setNoDelay(true)
    // The only clock that runs from here on: it finds out that the other end is no more.
    request.setSocketKeepAlive(true, 30_000)
    let waiting = true
    const answered = (): boolean => {
      const first = waiting
      waiting = false
      clearTimeout(connecting)
      clearTimeout(silent)
      return first
    }
    const fail = (refusal: Refusal): void => {
      if (!answered()) return
      reject(refusal)
      request.destroy()
    }
    const connecting = setTimeout(
      () => fail(new Refusal('upstream_unreachable', 'no connection in time')),
      connectTimeoutMs,
    )
    const silent =
      info.longRunning === undefined
        ? setTimeout(() => fail(new Refusal('upstream_timeout')), headTimeoutMs)
        : undefined
    request.once('socket', socket =>
      socket.once(isPlain ? 'connect' : 'secureConnect', () => clearTimeout(connecting)),
    )
    client.onGone(() => fail(new Refusal('client_gone')))
    client.onAskedToEnd(fail)
    let isReset = false
    request.on('error', error => {
      isReset = true
      fail(refusalFor(error))
    })
    request.once('upgrade', (message: IncomingMessage, socket: Duplex, early: Buffer) => {
      socket.on('error', ignore)
      const isAskedFor =
        message.headers.upgrade?.toLowerCase() === head.upgrade &&
        // The client's credential was never offered: whoever chooses it would send it back.
        !namesBearer(message.headers['sec-websocket-protocol'] ?? '')
      const wrong = isAskedFor ? flawOf(message) : 'switched to a protocol nobody asked for'
      if (wrong !== undefined) fail(new Refusal('upstream_malformed', wrong))
      if (answered()) {
        if (early.length > 0) socket.unshift(early)
        resolve({ message, socket })
      } else socket.destroy()
    })
    request.once('response', (message: IncomingMessage) => {
      message.on('error', ignore)
      const { statusCode = 0 } = message
      // A redirect would be followed with the credential (CVE-2020-8559); a success is none without 101.
      const wrong = statusCode < 400 ? `answered with ${statusCode}` : flawOf(message)
      if (wrong !== undefined) fail(new Refusal('upstream_malformed', wrong))
      if (!answered()) message.destroy()
      else {
        resolve({
          message,
          get isReset() {
            return isReset
          },
        })
      }
    })
    request.end()
  })
}

async function switched(
  granted: Granted,
  client: Client,
  { message, socket }: Switched,
  { endsWhenAsked = false, lookMs = 15_000 }: UpgradeOptions,
): Promise<Outcome> {
  const { id, head, info } = granted.context
  if (!client.switchProtocols || head.upgrade === undefined) {
    socket.destroy()
    throw new Refusal('invariant', 'an upgrade without a connection to switch')
  }
  const fields = answerHeaders(fieldsOf(message), id, { status: 101, stripped: false })
  const ours = client.switchProtocols([
    ...fields,
    ['Connection', 'Upgrade'],
    ['Upgrade', message.headers.upgrade ?? head.upgrade],
  ])
  const kind = info.longRunning
  if (kind !== undefined) facts.stream.publish({ kind, change: 1 })
  const farewell = endsWhenAsked && head.upgrade === 'websocket' ? closeFrameFor(client) : undefined
  if (endsWhenAsked && !farewell) client.onAskedToEnd(() => client.abort())
  const { bytes, broken } = await tunnel(
    { stream: ours, cut: () => client.abort() },
    sideOf(socket),
    { farewell, lookMs },
  )
  if (kind !== undefined) facts.stream.publish({ kind, change: -1 })
  return { status: 101, bytes, ended: ending(broken) }
}

/** Between two frames, a close frame that says why. */
const closeFrameFor = (client: Client): Farewell => ({
  whenDue: then =>
    client.onAskedToEnd(because => then(closeFrame(policyViolation, because.toStatus().message))),
  boundary: webSocketFrames(),
})

/** RFC 6455, 7.4.1. A normal closure would tell kubectl that the command had come to its end. */
const policyViolation = 1008

/** RFC 6455, 5.5.1; the reason must not be longer than 123 bytes. */
function closeFrame(code: number, reason: string): Buffer {
  const content = Buffer.from(`\0\0${reason}`)
  content.writeUInt16BE(code)
  return Buffer.concat([Buffer.from([0x88, content.length]), content])
}

/** Without TLS only a reset is no orderly end; `resetAndDestroy` would say goodbye first, and be believed. */
const sideOf = (stream: Duplex): Side => ({
  stream,
  cut() {
    if (!(stream instanceof TLSSocket)) Object.assign(stream, { resetAndClosing: true })
    stream.destroy()
  },
})

const ending = (broken: 'client' | 'upstream' | undefined): Outcome['ended'] =>
  broken === undefined ? 'complete' : broken === 'client' ? 'client_gone' : 'upstream_broke'

/** An answer that is no switch: relayed whole, as to any other request. */
async function refused(
  { context, stripped }: Granted,
  client: Client,
  answer: Declined,
): Promise<Outcome> {
  const { message } = answer
  const { statusCode: status = 0 } = message
  let bytes = 0
  try {
    client.start(status, answerHeaders(fieldsOf(message), context.id, { status, stripped }))
  } catch (error) {
    message.destroy()
    throw new Refusal('upstream_malformed', undefined, { cause: error })
  }
  client.onWritable(() => message.resume())
  message.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (!client.write(chunk)) message.pause()
  })
  const how = await new Promise<Outcome['ended']>(resolve => {
    message.once('close', () =>
      resolve(message.complete && !answer.isReset ? 'complete' : 'upstream_broke'),
    )
    client.onGone(() => {
      resolve('client_gone')
      message.destroy()
    })
  })
  if (how === 'upstream_broke') client.abort()
  if (how !== 'complete') return { status, bytes, ended: how }
  client.end()
  return { status, bytes, ended: (await client.finished) ? 'complete' : 'client_gone' }
}

function fieldsOf({ rawHeaders }: IncomingMessage): HeaderList {
  const fields: Array<readonly [string, string]> = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    fields.push([rawHeaders[at]!, rawHeaders[at + 1]!])
  }
  return fields
}

function refusalFor(error: NodeJS.ErrnoException): Refusal {
  const malformed = error.code?.startsWith('HPE_') === true
  return new Refusal(malformed ? 'upstream_malformed' : 'upstream_unreachable', undefined, {
    cause: error,
  })
}

const flawOf = (message: IncomingMessage): string | undefined =>
  flawOfAnswer({
    status: message.statusCode ?? 0,
    reason: message.statusMessage ?? '',
    fields: fieldsOf(message),
    version: message.httpVersion,
  })

const ignore = (): void => undefined
