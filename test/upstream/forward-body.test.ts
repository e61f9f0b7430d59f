import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Granted, Stages } from '../../lib/gateway.js'
import type { Outcome } from '../../lib/exchange.js'
import type { Refusal } from '../../lib/refusal.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { createForward } from '../../lib/upstream/forward.js'
import { silence } from '../actors/api-server-answers.js'
import { startApiServer, type ApiServer } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { granted, type About } from './granted.js'
import { kubeconfig } from './kubeconfig.js'
import { RecordingClient } from './recording-client.js'

interface Subject {
  readonly api: ApiServer
  readonly carry: (granted: Granted, client: RecordingClient) => Promise<Outcome>
}

async function subject(t: Test): Promise<Subject> {
  const api = await startApiServer({ tls: false })
  const path = join(t.testdir(), 'config')
  writeFileSync(path, kubeconfig({ server: api.url }))
  const cluster = await openCluster({ kubeconfig: path, useOwnCredential: false })
  t.teardown(async () => {
    await cluster.close()
    await api.close()
  })
  const forward: Stages['carry'] = createForward(cluster)
  return { api, carry: async (granted, client) => await forward(granted, client) }
}

const put: About = { method: 'PUT', hasBody: true }
const length = (bytes: number): About => ({
  ...put,
  headers: [['Content-Length', String(bytes)]],
})
const chunk = Buffer.alloc(64 * 1024, 'x')
const mebibyte = 1024 * 1024

/** Looks until a number has stopped growing: what flows by itself has then come to rest. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ;) {
    const now = read()
    if (now === last) return now
    last = now
    await pause(100)
  }
}

/** As much as kernel buffers of two sockets may hold (`tcp_wmem`, `tcp_rmem`), and some. */
const holdsAtMost = 24 * mebibyte

t.test('a body passes whole, framed by its length or in chunks', async t => {
  const { api, carry } = await subject(t)
  const parts = [Buffer.from('one '), Buffer.from('J\xf6\0', 'latin1'), Buffer.from(' three')]
  const whole = Buffer.concat(parts)
  await carry(granted(length(whole.length)), new RecordingClient(Readable.from(parts)))
  await carry(
    granted({ ...put, headers: [['Transfer-Encoding', 'chunked']] }),
    new RecordingClient(Readable.from(parts)),
  )
  t.strictSame(
    api.requests.map(request => [
      request.body,
      request.values('content-length'),
      request.values('transfer-encoding'),
    ]),
    [
      [whole, [String(whole.length)], []],
      [whole, [], ['chunked']],
    ],
  )
})

t.test('methods without a body have none, nor a length', async t => {
  const { api, carry } = await subject(t)
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
    await carry(granted({ method }), new RecordingClient())
  }
  await carry(
    granted({ method: 'DELETE', hasBody: true, headers: [['Content-Length', '2']] }),
    new RecordingClient(Readable.from([Buffer.from('{}')])),
  )
  t.strictSame(
    api.requests.map(request => [request.values('content-length'), String(request.body)]),
    [
      [[], ''],
      [[], ''],
      [[], ''],
      [[], ''],
      [['2'], '{}'],
    ],
  )
  t.ok(api.requests.every(request => request.values('transfer-encoding').length === 0))
})

t.test('the client is invited to send its body before any of it is waited for', async t => {
  const { carry } = await subject(t)
  const body = new Readable({ read: () => undefined })
  const client = new RecordingClient(body)
  const carried = carry(granted(length(2)), client)
  await client.until(({ said }) => said.includes('invite'))
  body.push('hi')
  body.push(null)
  t.match(await carried, { status: 200 })
})

t.test('an upload waits for a slow API server instead of piling up', async t => {
  const { api, carry } = await subject(t)
  const taken = deferred<Socket>()
  api.respondWith(
    (_, answer) => {
      const { socket } = answer.hijack()
      socket.pause()
      taken.resolve(socket)
    },
    { at: 'head' },
  )
  const total = 64 * mebibyte
  let sent = 0
  const body = new Readable({
    read() {
      if (sent === total) this.push(null)
      else {
        sent += chunk.length
        this.push(chunk)
      }
    },
  })
  const client = new RecordingClient(body)
  const carried = carry(granted(length(total)), client)
  const socket = await taken.promise
  const held = await settled(() => sent)
  t.ok(held < holdsAtMost, `${held} bytes were taken from the client`)
  // Read again, it all comes.
  let received = socket.bytesRead
  socket.on('data', (part: Buffer) => {
    received += part.length
    if (sent === total && socket.bytesRead >= total) {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    }
  })
  socket.resume()
  t.match(await carried, { status: 200, ended: 'complete' })
  t.ok(received >= total)
})

t.test('a download waits for a slow client instead of piling up', async t => {
  const { api, carry } = await subject(t)
  const total = 64 * mebibyte
  const taken = deferred<Socket>()
  api.respondWith((_, answer) => {
    const { socket } = answer.hijack()
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
    let left = total
    const fill = (): void => {
      while (left > 0) {
        left -= chunk.length
        if (!socket.write(chunk)) return void socket.once('drain', fill)
      }
    }
    fill()
    taken.resolve(socket)
  })
  const client = new RecordingClient()
  client.isSlow = true
  const carried = carry(granted(), client)
  const socket = await taken.promise
  // Less what waits in the double itself.
  const accepted = (): number => socket.bytesWritten - socket.writableLength
  const held = await settled(accepted)
  t.ok(held < holdsAtMost, `${held} bytes were taken from the API server`)
  t.ok(client.bytes < mebibyte, `${client.bytes} bytes were pushed on a full client`)
  client.isSlow = false
  client.drain()
  t.strictSame(await carried, { status: 200, bytes: total, ended: 'complete' })
  t.equal(client.bytes, total)
})

t.test('an answer may come before the body has left: the client gets it whole', async t => {
  const { api, carry } = await subject(t)
  api.respondWith((_, answer) => answer.reply(413, {}, 'too much'), { at: 'head' })
  const body = new Readable({ read: () => undefined })
  body.push(chunk)
  const client = new RecordingClient(body)
  t.match(await carry(granted(length(64 * mebibyte)), client), { status: 413, ended: 'complete' })
  t.equal(client.text, 'too much')
  t.not(await (await api.request(0)).connection.gone, undefined, 'the connection is not used again')
})

t.test('an early answer and the rest of the body flow at once', async t => {
  const { api, carry } = await subject(t)
  const hurry = deferred()
  api.respondWith(
    async (request, answer) => {
      await answer.raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n')
      await hurry.promise
      await answer.raw(
        `${request.body.length.toString(16)}\r\n${request.body.toString()}\r\n0\r\n\r\n`,
      )
    },
    { at: 'head' },
  )
  const body = new Readable({ read: () => undefined })
  body.push('m')
  const client = new RecordingClient(body)
  const carried = carry(granted(length(4)), client)
  await client.until(({ text }) => text === 'yes')
  body.push('ore')
  body.push(null)
  await (
    await api.request(0)
  ).whole
  hurry.resolve()
  t.match(await carried, { ended: 'complete' })
  t.equal(client.text, 'yesmore')
})

t.test('a body that the client breaks off breaks off upstream, and never looks whole', async t => {
  const { api, carry } = await subject(t)
  api.respondWith(silence)
  for (const about of [length(1_000), put]) {
    const seen = api.requests.length
    const body = new Readable({ read: () => undefined })
    const client = new RecordingClient(body)
    const carried = carry(granted(about), client).catch((error: unknown) => error as Refusal)
    body.push('half')
    const request = await api.request(seen)
    body.destroy(new Error('the client did not send the whole body'))
    await t.rejects(request.whole)
    t.match(await carried, { name: 'Refusal' })
  }
})

t.test('a body longer or shorter than it said is not sent as if it were whole', async t => {
  const { api, carry } = await subject(t)
  for (const said of [3, 5]) {
    const seen = api.requests.length
    const client = new RecordingClient(Readable.from([Buffer.from('four')]))
    const carried = await carry(granted(length(said)), client).catch((error: unknown) => error)
    t.match(carried, { name: 'Refusal' }, String(said))
    await t.rejects(api.requests[seen]?.whole ?? Promise.reject(new Error('nothing was sent')))
  }
})

t.test('when the client leaves in the middle of its body, the request upstream ends', async t => {
  const { api, carry } = await subject(t)
  const body = new Readable({ read: () => undefined })
  body.push('half')
  const client = new RecordingClient(body)
  const carried = carry(granted(length(8)), client).catch((error: unknown) => error as Refusal)
  const request = await api.request(0)
  client.leave()
  t.match(await carried, { code: 'client_gone' })
  t.not(await request.gone, 'answered')
})
