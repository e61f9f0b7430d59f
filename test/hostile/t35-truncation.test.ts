/*
 * T35: a body that breaks off on its way looks whole to the client, who acts on half a list. Whoever cuts
 * the connection, attacker or network, in whatever way: the client must see that something is missing, in the
 * terms of its own protocol.
 */
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { cutBody } from '../actors/api-server-answers.js'
import type { Responder } from '../actors/api-server.js'
import { connectH2Frames, requestFields } from '../actors/h2-frames.js'
import { rawRequest } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'
import { askOver } from './clients.js'

/** Ends by the end of the connection alone: only a reset says that something is missing. */
const untilClose: Responder = async (_, answer) => {
  await answer.raw('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nxxxxxxxx')
  await new Promise(resolve => setTimeout(resolve, 20))
  answer.reset()
}

const cuts: ReadonlyArray<readonly [title: string, responder: Responder]> = [
  ...(['fin', 'rst'] as const).flatMap(how => [
    [`a body of known length, ${how}`, cutBody(how)] as const,
    [`nothing but the head, ${how}`, cutBody(how, { sent: 0 })] as const,
    [`all but one byte, ${how}`, cutBody(how, { length: 100_000, sent: 99_999 })] as const,
    [`a chunked body, ${how}`, cutBody(how, { chunked: true })] as const,
    [
      `a chunked body of many buffers, ${how}`,
      cutBody(how, { chunked: true, sent: 300_000 }),
    ] as const,
    [
      `a chunk that is not whole, ${how}`,
      async (...[request, answer]: Parameters<Responder>) => {
        const raw = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel`
        await answer.raw(raw)
        await cutBody(how)(request, { ...answer, raw: () => Promise.resolve() })
      },
    ] as const,
  ]),
  ['a body until the end of the connection', untilClose],
]

const paths = [
  '/api/v1/pods',
  '/api/v1/pods?watch=true',
  '/api/v1/namespaces/default/pods/a/log?follow=true',
] as const

t.test('what breaks off upstream breaks off for the client', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, issuer, target, gateway } = world
  const token = issuer.sign()
  for (const [title, responder] of cuts) {
    for (const path of paths) {
      const where = `${title}: ${path}`
      api.respondWith(responder)
      const http2 = await askOver('HTTP/2', world, { token, path })
      t.notOk(http2.complete && http2.status === 200, `HTTP/2 sees the cut of ${where}`)
      const http1 = await askOver('HTTP/1.1', world, { token, path })
      t.notOk(http1.complete && http1.status === 200, `HTTP/1.1 sees the cut of ${where}`)
      for (const lines of ['', 'Connection: keep-alive\r\n']) {
        const bytes = `GET ${path} HTTP/1.0\r\nAuthorization: Bearer ${token}\r\n${lines}\r\n`
        t.notOk(await looksWhole(target, bytes), `HTTP/1.0 ${lines}sees the cut of ${where}`)
      }
    }
  }

  // Whoever is late finds the last bytes and the reset in one breath: it is stopped until both are there.
  for (const path of paths) {
    for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
      const before = api.forwarded.length
      let reset = false
      api.respondWith(async (_, answer) => {
        gateway.kill('SIGSTOP')
        await answer.raw('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nxxxxxxxx')
        answer.reset()
        await pause(20)
        gateway.kill('SIGCONT')
        reset = true
      })
      const reply = await askOver(protocol, world, { token, path })
      t.notOk(reply.complete && reply.status === 200, `${protocol}, late: ${path}`)
      t.strictSame([reset, api.forwarded.length - before], [true, 1])
    }
  }

  // The other way round: a client that breaks off has not asked for anything whole.
  api.respondWith()
  for (const lines of ['Content-Length: 10', 'Transfer-Encoding: chunked']) {
    const head = `POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${lines}\r\n\r\n`
    const body = lines.startsWith('C') ? 'hello' : '5\r\nhello\r\n'
    const before = api.forwarded.length
    await rawRequest({ ...target, bytes: [head + body, 100], thenEnd: true })
    const request = await api.request(before)
    await t.rejects(request.whole, `${lines}: the API server sees no end of the body`)
  }

  // Also not who resets a stream and says that nothing is wrong.
  for (const code of [0, 8]) {
    const before = api.forwarded.length
    const client = await connectH2Frames(target)
    const fields = requestFields('POST', '/upload', 'x', [['authorization', `Bearer ${token}`]])
    await client.headers(1, fields, { open: true })
    await client.data(1, 'hello', { open: true })
    const request = await api.request(before)
    await client.rst(1, code)
    await t.rejects(request.whole, `HTTP/2, RST_STREAM ${String(code)}: no end of the body`)
    client.destroy()
  }

  api.respondWith()
  for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
    const reply = await askOver(protocol, world, { token })
    t.strictSame([reply.status, reply.complete], [200, true], 'what is whole stays whole')
  }
  for (const responder of [undefined, chunked]) {
    api.respondWith(responder)
    const bytes = `GET /api HTTP/1.0\r\nAuthorization: Bearer ${token}\r\n\r\n`
    t.ok(await looksWhole(target, bytes), 'over HTTP/1.0 too')
  }
  t.notOk(
    gateway.logs.some(({ text }) => text !== undefined),
    'nothing was uncaught',
  )
})

const chunked: Responder = (_, answer) =>
  answer.raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')

/**
 * Whether an answer over HTTP/1.0 is complete. Without a `Content-Length` its end is the end of the
 * connection, and TLS's own goodbye tells an end from a cut (RFC 9112, 9.8): Node does not say whether it
 * came, so it is looked for on the wire, where TLS 1.2 shows it as the last record, an alert.
 */
async function looksWhole(
  target: { readonly port: number; readonly ca: string },
  request: string,
): Promise<boolean> {
  const wire: Buffer[] = []
  const tcp = connectTcp({ port: target.port, host: '127.0.0.1', allowHalfOpen: true })
  const relay = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => {
      tcp.write(chunk, () => done())
    },
  })
  tcp.on('data', (chunk: Buffer) => {
    wire.push(chunk)
    relay.push(chunk)
  })
  const ended = new Promise<'fin' | 'rst'>(resolve => {
    tcp.once('error', () => resolve('rst'))
    tcp.once('end', () => resolve('fin'))
  })
  const client = connectTls({
    socket: relay,
    ca: target.ca,
    servername: 'localhost',
    maxVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
  })
  const parts: Buffer[] = []
  client.on('data', (chunk: Buffer) => parts.push(chunk))
  client.on('error', () => undefined)
  client.write(request)
  const how = await ended
  await new Promise(resolve => setImmediate(resolve))
  client.destroy()
  tcp.destroy()
  const answer = Buffer.concat(parts).toString('latin1')
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2)
  if (!head.includes(' 200 ')) return false
  const length = /^content-length: (\d+)/im.exec(head)?.[1]
  if (length !== undefined) return body.length === Number(length)
  return how === 'fin' && lastRecord(Buffer.concat(wire)) === alert
}

const alert = 21

/** The type of the last TLS record (RFC 5246, 6.2.1). */
function lastRecord(wire: Buffer): number | undefined {
  let type: number | undefined
  for (let at = 0; at + 5 <= wire.length; at += 5 + wire.readUInt16BE(at + 3)) type = wire[at]
  return type
}
