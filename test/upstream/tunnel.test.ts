import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { facts } from '../../lib/channels.js'
import { Refusal } from '../../lib/refusal.js'
import { webSocketFrames } from '../../lib/upstream/boundary.js'
import { tunnel } from '../../lib/upstream/tunnel.js'
import type { RawConnection } from '../actors/raw-client.js'
import { reset } from '../actors/reset.js'
import {
  opened,
  subject,
  switchedTo,
  switching,
  tunnels,
  type Switched,
} from './upgrade-subject.js'

// Records of TLS 1.2 say in the clear what they are: an alert at the end is a goodbye.
tls.DEFAULT_MAX_VERSION = 'TLSv1.2'

const mebibyte = 1024 * 1024
const chunk = Buffer.alloc(64 * 1024, 'x')

/** Looks until a number has stopped growing: what flows by itself has then come to rest. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ;) {
    const now = read()
    if (now === last) return now
    last = now
    await pause(100)
  }
}

for (const { tls: secure, endsWhenAsked, over } of tunnels) {
  t.test(`what either side says arrives as it is, in order (${over})`, async t => {
    const { client, there } = await opened(t, { tls: secure, endsWhenAsked })
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    await client.write(Buffer.concat([every, Buffer.from('\n.')]))
    await there.readUntil('\n.')
    t.strictSame(there.received.subarray(0, 256), every)
    await there.write(Buffer.concat([every, Buffer.from('\n.')]))
    t.strictSame((await client.readUntil('\n.')).subarray(0, 256), every)
  })

  t.test(`either side may stop talking, and still listen (${over})`, async t => {
    await t.test('the client first', async t => {
      const { client, there, over } = await opened(t, { tls: secure, endsWhenAsked })
      await client.write('last words')
      client.end()
      t.equal(await there.gone, 'fin')
      t.equal(there.received.toString(), 'last words')
      await there.write('still ')
      t.equal((await client.readUntil('still ')).toString(), 'still ')
      await there.write('here')
      there.socket.end()
      t.equal(await client.gone, 'fin')
      t.equal(client.reader.unread.toString(), 'here')
      t.strictSame(await over(), { status: 101, bytes: 10, ended: 'complete' })
    })
    await t.test('the API server first', async t => {
      const { client, there, over } = await opened(t, { tls: secure, endsWhenAsked })
      await there.write('last words')
      there.socket.end()
      t.equal(await client.gone, 'fin')
      t.equal(client.reader.unread.toString(), 'last words')
      await client.write('still ')
      await there.readUntil('still ')
      await client.write('here')
      client.end()
      t.equal(await there.gone, 'fin')
      t.equal(there.received.toString(), 'still here')
      t.strictSame(await over(), { status: 101, bytes: 10, ended: 'complete' })
    })
  })

  t.test(`what was said before the end arrives, however slowly it is read (${over})`, async t => {
    const { client, there, over } = await opened(t, { tls: secure, endsWhenAsked })
    there.socket.pause()
    there.socket.end()
    await client.gone
    const total = 8 * mebibyte
    for (let sent = 0; sent < total; sent += chunk.length) void client.write(chunk)
    client.end()
    // Far more than fits on the way is still at the gateway when the client has gone for good.
    await pause(200)
    there.socket.resume()
    t.equal(await there.gone, 'fin')
    t.equal(there.received.length, total)
    t.match(await over(), { ended: 'complete' })
  })

  t.test(`a slow reader holds the other side (${over})`, async t => {
    const total = 256 * mebibyte
    const most = 32 * mebibyte
    const { client, there } = await opened(t, { tls: secure, endsWhenAsked })
    const flood = (socket: Socket): (() => number) => {
      let taken = 0
      const fill = (): void => {
        while (taken < total) {
          taken += chunk.length
          if (!socket.write(chunk)) return void socket.once('drain', fill)
        }
      }
      fill()
      return () => taken
    }
    there.socket.pause()
    const up = await settled(flood(client.socket))
    t.ok(up > 0 && up < most, `${up} bytes were taken from the client`)
    client.socket.pause()
    const down = await settled(flood(there.socket))
    t.ok(down > 0 && down < most, `${down} bytes were taken from the API server`)
  })

  t.test(`a reset of one side is never an orderly end of the other (${over})`, async t => {
    await t.test('of the client', async t => {
      const { api, client, there, over } = await opened(t, { tls: secure, endsWhenAsked })
      await client.write('half')
      await there.readUntil('half')
      client.reset()
      const how = await there.gone
      if (!secure) t.equal(how, 'rst')
      await api.requests[0]?.connection.gone
      t.match(await over(), { ended: 'client_gone' })
    })
    await t.test('of the API server', async t => {
      const { client, there, over } = await opened(t, { tls: secure, endsWhenAsked })
      await there.write('half')
      await client.readUntil('half')
      there.reset()
      const how = await client.gone
      if (!secure) t.equal(how, 'rst')
      t.strictSame(await over(), { status: 101, bytes: 4, ended: 'upstream_broke' })
    })
  })

  t.test(`silence has no end, but a dead peer is found out (${over})`, async t => {
    const limits = { headTimeoutMs: 50, idleTimeoutMs: 50 }
    const { client, there, target } = await opened(t, {
      tls: secure,
      endsWhenAsked,
      listener: limits,
      headTimeoutMs: 50,
      connectTimeoutMs: 50,
    })
    // All of these limits, and the server's look around once a second, are over by then.
    await pause(1_200)
    await client.write('hello\n')
    t.equal(await there.readUntil('\n'), 'hello\n')
    await there.write('you\n')
    t.equal((await client.readUntil('\n')).toString(), 'you\n')
    if (process.platform === 'linux') {
      t.ok(keepsAlive(target.port, client.socket.localPort), 'TCP keep-alive towards the client')
      t.ok(keepsAlive(there.socket.remotePort, there.socket.localPort), '… the API server')
    }
  })
}

/** Whether the kernel has a keep-alive timer on this connection of the loopback (`tr` of /proc/net/tcp is 2). */
function keepsAlive(local: number | undefined, remote: number | undefined): boolean {
  const at = (port = 0): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .find(one => one.includes(`${at(local)} ${at(remote)}`))
  return line?.trim().split(/\s+/)[5]?.startsWith('02:') === true
}

interface Tap {
  readonly port: number
  readonly toServer: readonly Buffer[]
  readonly toClient: readonly Buffer[]
}

/** A way to a port, on which every byte is seen; what is reset on one side is on the other. */
async function tapped(t: Test, port: number): Promise<Tap> {
  const toServer: Buffer[] = []
  const toClient: Buffer[] = []
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, near => {
    const far = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one.on('error', () => reset(other)))
    }
    near.on('data', (part: Buffer) => toServer.push(part)).pipe(far)
    far.on('data', (part: Buffer) => toClient.push(part)).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, toServer, toClient }
}

const saidGoodbye = (parts: readonly Buffer[]): boolean => {
  const stream = Buffer.concat(parts)
  let type = 0
  for (let at = 0; at + 5 <= stream.length; at += 5 + stream.readUInt16BE(at + 3)) {
    type = stream[at] ?? 0
  }
  const alert = 21
  return type === alert
}

t.test('over TLS, who was cut off is not told goodbye', async t => {
  const away: ReadonlyArray<
    readonly [string, boolean, (client: RawConnection, there: Switched) => Promise<unknown>]
  > = [
    [
      'both ended in order',
      true,
      async (client, there) => {
        client.end()
        await there.gone
        there.socket.end()
        await client.gone
      },
    ],
    ['the client was reset', false, async client => client.reset()],
    ['the API server was reset', false, async (_, there) => there.reset()],
  ]
  for (const [title, goodbye, leave] of away) {
    let apiSide: Tap | undefined
    const { respond, switched } = switching()
    const { api, target, ask, over } = await subject(t, {
      server: async ({ port }) => {
        apiSide = await tapped(t, port)
        return `https://127.0.0.1:${apiSide.port}`
      },
    })
    const clientSide = await tapped(t, target.port)
    api.respondWith(respond)
    const client = await ask({ port: clientSide.port })
    await client.readHead()
    await leave(client, await switched)
    await over()
    await Promise.all([client.gone, (await switched).gone])
    const told = [saidGoodbye(clientSide.toClient), saidGoodbye(apiSide?.toServer ?? [])]
    if (title === 'the client was reset') t.equal(told[1], goodbye, title)
    else if (title === 'the API server was reset') t.equal(told[0], goodbye, title)
    else t.strictSame(told, [goodbye, goodbye], title)
  }
})

const due = new Refusal('token_expired')
const closing = Buffer.concat([
  Buffer.from([0x88, 2 + 'the token has expired'.length, 0x03, 0xf0]),
  Buffer.from('the token has expired'),
])
const frame = (content: string): Buffer =>
  Buffer.concat([Buffer.from([0x82, content.length]), Buffer.from(content)])

for (const secure of [true, false]) {
  t.test(`a WebSocket that is asked to end is closed (${secure ? 'TLS' : 'TCP'})`, async t => {
    await t.test('between two frames at once, and the API server is cut', async t => {
      const { client, there, clients, over } = await opened(t, { tls: secure, endsWhenAsked: true })
      await there.write(frame('hello\n'))
      await client.readUntil('\n')
      clients[0]?.askToEnd(due)
      const said = await client.readUntil('expired')
      t.strictSame(said.subarray(-closing.length), closing)
      t.equal(await client.gone, 'fin')
      const how = await there.gone
      if (!secure) t.equal(how, 'rst')
      client.end()
      t.strictSame(await over(), { status: 101, bytes: 8, ended: 'upstream_broke' })
      t.equal(client.reader.unread.length, 0)
    })

    await t.test('in the middle of a frame when that is over', async t => {
      const { client, there, clients, over } = await opened(t, { tls: secure, endsWhenAsked: true })
      const whole = Buffer.concat([frame('one\n'), frame('second\n'), frame('third\n')])
      await there.write(whole.subarray(0, 9))
      await client.readUntil('\n'.concat(whole.subarray(6, 9).toString('latin1')))
      clients[0]?.askToEnd(due)
      await client.write('nobody hears this')
      await there.write(whole.subarray(9))
      await client.readUntil('expired')
      const heard = Buffer.concat([whole.subarray(0, 15), closing])
      t.strictSame(client.received.subarray(-heard.length), heard)
      t.equal(await client.gone, 'fin')
      t.notMatch(there.received.toString(), 'nobody')
      client.end()
      await over()
    })

    await t.test('with an API server that said its last word before', async t => {
      const { client, there, clients, over } = await opened(t, { tls: secure, endsWhenAsked: true })
      await there.write(frame('bye\n'))
      there.socket.end()
      t.equal(await client.gone, 'fin')
      clients[0]?.askToEnd(due)
      await there.gone
      t.match(await over(), { status: 101 })
      t.equal(client.reader.unread.toString().slice(2), 'bye\n', 'with nothing behind its end')
    })

    await t.test('and let go of, if it does not hang up', async t => {
      const { client, clients, over } = await opened(t, { tls: secure, endsWhenAsked: true })
      clients[0]?.askToEnd(due)
      await client.readUntil('expired')
      // Our side stays open: only the gateway can end this now.
      t.match(await over(), { status: 101 })
    })
  })

  t.test(`a tunnel without frames is cut (${secure ? 'TLS' : 'TCP'})`, async t => {
    const world = await subject(t, { tls: secure, endsWhenAsked: true })
    const { respond, switched } = switching(switchedTo('SPDY/3.1'))
    world.api.respondWith(respond)
    const client = await world.ask({
      method: 'POST',
      headers: [
        ['Connection', 'Upgrade'],
        ['Upgrade', 'SPDY/3.1'],
      ],
    })
    await client.readHead()
    const there = await switched
    world.clients[0]?.askToEnd(due)
    const how = [await client.gone, await there.gone]
    if (!secure) t.strictSame(how, ['rst', 'rst'])
    t.equal(client.reader.unread.length, 0)
    t.match(await world.over(), { status: 101, ended: 'client_gone' })
  })
}

t.test('what the API server said before it broke off arrives before the cut', async t => {
  const upstream = new PassThrough()
  const events: string[] = []
  let flush: () => void = () => undefined
  const client = new Duplex({
    read: () => undefined,
    write: (piece: Buffer, _, done) => {
      flush = () => {
        if (piece.length > 0) events.push(piece.toString())
        done()
      }
      if (piece.length === 0) flush()
    },
  })
  const cut = (): void => {
    events.push('cut')
    client.destroy()
  }
  const over = tunnel({ stream: client, cut }, { stream: upstream, cut: () => upstream.destroy() })
  upstream.write('exit code')
  await new Promise(setImmediate)
  upstream.destroy()
  await once(upstream, 'close')
  t.strictSame(events, [], 'a slow connection is waited for')
  flush()
  t.strictSame(await over, { bytes: 9, broken: 'upstream' })
  t.strictSame(events, ['exit code', 'cut'])
})

t.test('a farewell is over when both sides are, whichever goes first', async t => {
  for (const [upstreamMs, clientMs] of [
    [0, 50],
    [50, 0],
  ] as const) {
    const slow = (ms: number) =>
      new Duplex({
        read: () => undefined,
        write: (_piece, _encoding, done) => done(),
        destroy: (error, done) => void setTimeout(() => done(error), ms),
      })
    const [client, upstream] = [slow(clientMs), slow(upstreamMs)]
    let due: (words: Uint8Array) => void = () => undefined
    const over = tunnel(
      { stream: client, cut: () => client.destroy() },
      { stream: upstream, cut: () => upstream.destroy() },
      { farewell: { boundary: webSocketFrames(), whenDue: listener => (due = listener) } },
    )
    client.push(null)
    due(closing)
    t.strictSame(await over, { bytes: 0, broken: 'upstream' })
  }
})

t.test('streams are counted while they last', async t => {
  const kinds: unknown[] = []
  t.teardown(facts.stream.subscribe(({ kind, change }) => kinds.push([kind, change])))
  const { client, over } = await opened(t)
  t.strictSame(kinds, [['exec', 1]])
  client.reset()
  await over()
  t.strictSame(kinds, [
    ['exec', 1],
    ['exec', -1],
  ])
})

t.test('a connection that was gone before the tunnel began is a broken one', async t => {
  for (const first of [0, 1]) {
    const streams = [new PassThrough(), new PassThrough()] as const
    streams[first]?.destroy()
    await once(streams[first] ?? streams[0], 'close')
    const [client, upstream] = streams.map(stream => ({ stream, cut: () => stream.destroy() }))
    if (!client || !upstream) throw new TypeError('there are two')
    const broken = first === 0 ? 'client' : 'upstream'
    t.strictSame(await tunnel(client, upstream), { bytes: 0, broken })
    t.ok(streams.every(({ destroyed }) => destroyed))
  }
})
