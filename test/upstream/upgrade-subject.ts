import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createDrain } from '../../lib/edge/drain.js'
import type { EdgeClient } from '../../lib/edge/edge-client.js'
import { startListener, type ListenerOptions } from '../../lib/edge/listener.js'
import { refuse } from '../../lib/edge/reply.js'
import type { Outcome } from '../../lib/exchange.js'
import type { Grant } from '../../lib/grant.js'
import { Refusal } from '../../lib/refusal.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { createUpgrade, type UpgradeOptions } from '../../lib/upstream/upgrade.js'
import {
  startApiServer,
  type Answer,
  type ApiServer,
  type Responder,
} from '../actors/api-server.js'
import { ByteReader } from '../actors/byte-reader.js'
import { createAuthority } from '../actors/certificates.js'
import { deferred } from '../actors/deferred.js'
import type { HeaderLines } from '../actors/http1.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'
import { alice, byGateway, callersToken } from './granted.js'
import { kubeconfig } from './kubeconfig.js'

const authority = createAuthority('gateway')
const pair = await authority.issue()

export const exec = '/api/v1/namespaces/a/pods/b/exec?command=sh&stdin=true'
export const webSocket: HeaderLines = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
]

/** The kinds of tunnels that there are. */
export const tunnels = [
  { tls: true, endsWhenAsked: false, over: 'TLS' },
  { tls: false, endsWhenAsked: false, over: 'TCP' },
  { tls: true, endsWhenAsked: true, over: 'TLS, frames followed' },
] as const

export interface Asked {
  /** @default GET */
  readonly method?: string
  /** @default exec */
  readonly target?: string
  /** After `Host`. @default webSocket */
  readonly headers?: HeaderLines
  /** In the same breath. */
  readonly early?: string
  /** Instead of the gateway's own. */
  readonly port?: number
}

/** The listener and the upgrade, whole, with nothing but a fixed grant between them. */
export interface Subject {
  readonly api: ApiServer
  readonly target: { readonly port: number; readonly ca?: string }
  /** How each exchange ended: its outcome, or the code of its refusal. */
  readonly ended: ReadonlyArray<Outcome | string>
  /** The clients of the exchanges, as the gateway sees them. */
  readonly clients: readonly EdgeClient[]
  /** Resolves when so many exchanges are over. */
  over(count?: number): Promise<Outcome | string>
  /** A connection that has asked. */
  ask(asked?: Asked): Promise<RawConnection>
  /** Replaces the token of the gateway. */
  rotate(token: string): void
}

export interface SubjectOptions extends UpgradeOptions {
  /** On both sides. @default true */
  readonly tls?: boolean
  readonly grant?: Grant
  readonly stripped?: boolean
  readonly listener?: Partial<ListenerOptions>
  /** An address instead of the API server's own. */
  readonly server?: (api: ApiServer) => Promise<string> | string
}

export async function subject(t: Test, options: SubjectOptions = {}): Promise<Subject> {
  const { tls = true, grant = byGateway, stripped = false } = options
  const api = await startApiServer({ tls })
  const folder = t.testdir({ token: 'own-1' })
  const user = { tokenFile: join(folder, 'token') }
  const path = join(folder, 'config')
  const server = (await options.server?.(api)) ?? api.url
  writeFileSync(path, kubeconfig({ server, ...(tls && { ca: api.ca }), user }))
  const cluster = await openCluster({
    kubeconfig: path,
    useOwnCredential: true,
    intervalMs: 3_600_000,
  })
  const carry = createUpgrade(cluster, options)
  const ended: Array<Outcome | string> = []
  const clients: EdgeClient[] = []
  let wake = deferred()
  const listener = await startListener(
    async (context, client) => {
      clients.push(client)
      const known = {
        context,
        identity: grant.as ?? alice,
        token: callersToken,
        expiresAt: Infinity,
      }
      try {
        ended.push(await carry({ ...known, grant, stripped }, client))
      } catch (error) {
        const refusal = Refusal.from(error)
        await refuse(context.id, refusal, client)
        ended.push(refusal.code)
      }
      wake.resolve()
    },
    {
      address: '127.0.0.1',
      port: 0,
      tls: tls ? { pair, minVersion: 'TLSv1.2' } : undefined,
      peerAddress: remote => remote ?? 'unknown',
      drain: createDrain({ graceMs: 1_000 }),
      ...options.listener,
    },
  )
  const open: RawConnection[] = []
  t.teardown(async () => {
    for (const connection of open) connection.destroy()
    await listener.close()
    await cluster.close()
    await api.close()
  })
  const target = { port: listener.port, ...(tls && { ca: authority.ca }) }
  return {
    api,
    target,
    ended,
    clients,
    over: async (count = 1) => {
      for (; ended.length < count; wake = deferred()) await wake.promise
      return ended[count - 1] ?? ''
    },
    ask: async (asked = {}) => {
      const { method = 'GET', target: path = exec, headers = webSocket, early } = asked
      const connection = await connectRaw({ ...target, port: asked.port ?? target.port })
      open.push(connection)
      const head = requestBytes(method, path, [['Host', 'gateway'], ...headers])
      await connection.write(head + (early ?? ''))
      return connection
    },
    rotate: token => writeFileSync(user.tokenFile, token),
  }
}

/** An API server's end of a tunnel. */
export interface Switched {
  readonly socket: Socket
  /** Whatever came, the bytes sent too early included. */
  readonly received: Buffer
  readonly gone: ByteReader['gone']
  /** Resolves with everything, as soon as it ends so. */
  readUntil(end: string): Promise<string>
  write(bytes: string | Uint8Array): Promise<void>
  reset(): void
}

export const switchedTo = (protocol: string, ...more: readonly string[]): string =>
  [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    `Upgrade: ${protocol}`,
    ...more,
    '',
    '',
  ].join('\r\n')

/** Switches, and hands the connection to the test. */
export function switching(head = switchedTo('websocket')): {
  readonly respond: Responder
  readonly switched: Promise<Switched>
} {
  const switched = deferred<Switched>()
  return {
    switched: switched.promise,
    respond: async (_, answer) => {
      await answer.raw(head)
      switched.resolve(tunnelled(answer))
    },
  }
}

function tunnelled(answer: Answer): Switched {
  const { socket, early } = answer.hijack()
  const reader = new ByteReader(socket)
  const received = (): Buffer => Buffer.concat([early, reader.received])
  return {
    socket,
    get received() {
      return received()
    },
    gone: reader.gone,
    readUntil: async end => {
      await reader.take(() => (received().toString('latin1').endsWith(end) ? 0 : -1))
      return received().toString('latin1')
    },
    write: bytes => answer.raw(bytes),
    reset: () => answer.reset(),
  }
}

/** A tunnel that is open: the client's end and the API server's. */
export async function opened(t: Test, options: SubjectOptions = {}) {
  const world = await subject(t, options)
  const { respond, switched } = switching()
  world.api.respondWith(respond)
  const client = await world.ask()
  await client.readHead()
  const there = await switched
  t.teardown(() => there.socket.destroy())
  return { ...world, client, there }
}
