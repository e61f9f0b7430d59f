import { setImmediate as turn } from 'node:timers/promises'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { createDrain } from '../../lib/edge/drain.js'
import { outcomeFor, type EdgeClient } from '../../lib/edge/edge-client.js'
import { startListener } from '../../lib/edge/listener.js'
import { createAuthority } from '../actors/certificates.js'
import { deferred } from '../actors/deferred.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'

const authority = createAuthority('gateway')
const pair = await authority.issue()
const head = requestBytes('GET', '/api', { Host: 'x', Connection: 'Upgrade', Upgrade: 'websocket' })

/** A connection that has asked, and the client that the gateway has of it. */
async function asked(
  t: Test,
  bytes = head,
  tls = true,
): Promise<{ readonly connection: RawConnection; readonly client: EdgeClient }> {
  const came = deferred<EdgeClient>()
  const listener = await startListener(
    async (_, client) => {
      came.resolve(client)
      await client.finished
    },
    {
      address: '127.0.0.1',
      port: 0,
      tls: tls ? { pair, minVersion: 'TLSv1.2' } : undefined,
      peerAddress: remote => remote ?? 'unknown',
      drain: createDrain({ graceMs: 1_000 }),
    },
  )
  const { port } = listener
  const connection = await connectRaw({ port, ...(tls && { ca: authority.ca }) })
  t.teardown(async () => {
    connection.destroy()
    await listener.close()
  })
  await connection.write(bytes)
  return { connection, client: await came.promise }
}

const switchedIn = (client: EdgeClient): Duplex => {
  const stream = client.switchProtocols?.([['Upgrade', 'websocket']])
  if (!stream) throw new TypeError('this client cannot switch')
  return stream
}

/** Everything that comes until it ends so. */
async function readUntil(stream: Duplex, end: string): Promise<string> {
  let text = ''
  for await (const part of stream) {
    text += (part as Buffer).toString('latin1')
    if (text.endsWith(end)) return text
  }
  return text
}

t.test('a switched connection begins with what came early, whatever it was', async t => {
  for (const early of ['', 'one', 'x'.repeat(300_000)]) {
    const { connection, client } = await asked(t, head + early)
    const behind = connection.write('two\n')
    await turn()
    const stream = switchedIn(client)
    t.equal(client.started, true)
    t.equal((await readUntil(stream, 'two\n')) === `${early}two\n`, true, `${early.length} bytes`)
    await behind
    t.equal(
      (await connection.readUntil('\r\n\r\n')).toString(),
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
      'its head says what it was told to, and nothing else',
    )
  }
})

t.test('no more is held of a client that waits than it is worth', async t => {
  const { connection, client } = await asked(t)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let taken = 0
  const most = 64 * 1024 * 1024
  while (taken < most && connection.socket.write(chunk)) taken += chunk.length
  const full = new Promise<'full'>(resolve => setTimeout(() => resolve('full'), 300))
  let state: 'drained' | 'full' = 'drained'
  while (taken < most && state === 'drained') {
    const drained = new Promise<'drained'>(resolve =>
      connection.socket.once('drain', () => resolve('drained')),
    )
    state = await Promise.race([drained, full])
    while (taken < most && connection.socket.write(chunk)) taken += chunk.length
  }
  t.ok(taken < most / 2, `${taken} bytes were taken`)
  client.abort()
})

t.test('an ordinary answer is the last of the connection', async t => {
  const { connection, client } = await asked(t, `${head}${head}`)
  client.start(403, [['Content-Length', '2']])
  client.write(Buffer.from('no'))
  client.end()
  t.equal(await client.finished, true)
  const answer = await connection.readResponse()
  t.strictSame([answer.status, String(answer.body)], [403, 'no'])
  t.strictSame(answer.values('connection'), ['close'])
  t.equal(await connection.gone, 'fin')
  t.equal(connection.reader.unread.length, 0)
})

t.test('a long answer goes on when the client has read what there was', async t => {
  const { connection, client } = await asked(t)
  connection.socket.pause()
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let left = 16 * 1024 * 1024
  client.start(403, [['Content-Length', String(left)]])
  const fill = (): void => {
    while (left > 0) {
      left -= chunk.length
      if (!client.write(chunk)) return
    }
    client.end()
  }
  client.onWritable(fill)
  fill()
  t.ok(left > 0, 'the connection is full')
  connection.socket.resume()
  const answer = await connection.readResponse()
  t.strictSame([answer.complete, answer.body.length], [true, 16 * 1024 * 1024])
})

t.test('a client that goes before it was answered is gone, however politely', async t => {
  for (const how of ['end', 'reset', 'destroy'] as const) {
    const { connection, client } = await asked(t)
    const gone = new Promise<void>(resolve => client.onGone(resolve))
    connection[how]()
    await gone
    t.equal(await client.finished, false, how)
    client.onGone(() => t.pass('who asks later is told, too'))
  }
})

t.test('what is cut off is never an orderly end, and is said to have been cut', async t => {
  for (const tls of [true, false]) {
    const { connection, client } = await asked(t, head, tls)
    const stream = switchedIn(client)
    stream.write('half')
    await connection.readUntil('half')
    client.cut()
    const how = await connection.gone
    if (!tls) t.equal(how, 'rst')
    t.ok(stream.destroyed)
    t.equal(client.isCut, true)
  }
})

t.test('only what was cut, and is not complete, is said to have been cut', async t => {
  const { client } = await asked(t)
  const outcome = { status: 200, bytes: 1, ended: 'client_gone' } as const
  t.equal(outcomeFor(client, outcome), outcome)
  client.cut()
  t.strictSame(outcomeFor(client, outcome), { ...outcome, ended: 'cut_by_shutdown' })
  const whole = { ...outcome, ended: 'complete' } as const
  t.equal(outcomeFor(client, whole), whole)
})
