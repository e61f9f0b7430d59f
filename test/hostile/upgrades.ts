import { setTimeout as pause } from 'node:timers/promises'
import type { Socket } from 'node:net'
import type { Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import type { Teardown } from '../actors/files.js'
import type { HeaderLines } from '../actors/http1.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'

export const exec = '/api/v1/namespaces/default/pods/shell/exec?command=sh&stdin=true&stdout=true'

export const webSocket: HeaderLines = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'x3JJHMbDL1EzLkh9GBhXDw=='],
  ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io'],
]

export const spdy: HeaderLines = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'SPDY/3.1'],
  ['X-Stream-Protocol-Version', 'v4.channel.k8s.io'],
]

/** Both ways that kubectl asks: a WebSocket by GET, SPDY by POST. */
export const ways = [
  { title: 'WebSocket', method: 'GET', headers: webSocket, protocol: 'websocket' },
  { title: 'SPDY', method: 'POST', headers: spdy, protocol: 'SPDY/3.1' },
] as const

export const modes = ['gateway', 'caller'] as const

export const startedIn = (t: Teardown, mode: (typeof modes)[number]): Promise<World> =>
  startedWorld(t, { mode, flags: mode === 'caller' ? ['--impersonation=never'] : [] })

/** An upgrade's head, with alice's token unless the fields carry one. */
export function upgradeBytes(
  { issuer }: World,
  { method = 'GET', path = exec, headers = webSocket, token = true } = {},
): string {
  return requestBytes(method, path, [
    ['Host', 'gateway'],
    ...(token ? ([['Authorization', `Bearer ${issuer.sign()}`]] as const) : []),
    ...headers,
  ])
}

/** A connection on which these bytes were written. */
export async function asking(t: Teardown, world: World, bytes: string): Promise<RawConnection> {
  const connection = await connectRaw(world.target)
  t.teardown(() => connection.destroy())
  await connection.write(bytes)
  return connection
}

export const head101 = (protocol: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`

/** Switches to what is asked for, and says everything back. */
export const echo: Responder = async (request, answer) => {
  await answer.raw(head101(request.values('upgrade')[0] ?? ''))
  const { socket, early } = answer.hijack()
  socket.write(early)
  socket.pipe(socket)
}

/** Holds every request until it is told to go on. */
export function held(then: Responder): { readonly respond: Responder; go(): void } {
  const gate = deferred()
  return {
    respond: async (request, answer) => {
      await Promise.race([gate.promise, request.gone])
      return then(request, answer)
    },
    go: () => gate.resolve(),
  }
}

/** Resolves when the connection is closed both ways; writes on it, so that a peer that is gone is noticed. */
export async function closedFor({ socket }: { readonly socket: Socket }): Promise<void> {
  while (!socket.destroyed) {
    socket.write('x')
    await pause(10)
  }
}
