/*
 * T32: clients that are slow (slowloris), that read nothing, or that send much: each holds a connection, and
 * what is kept for it, as long as it likes. (Envoy asks that memory stay within a small multiple of what was
 * received.) A head has 10 s and 128 KiB; what waits in between is a few buffers, whatever the size.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { connectH2Frames, frameTypes, requestFields } from '../actors/h2-frames.js'
import { connectRaw, rawRequest, type RawConnection } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'
import { answered, closing, shown, status } from './status.js'

const megabyte = 1024 * 1024
const tooLarge = status(
  431,
  'RequestHeaderFieldsTooLarge',
  'the request header is too large',
  closing,
)

t.test('slow and large clients cost little and hinder nobody', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, target, issuer, gateway } = world
  const token = issuer.sign()
  const head = `Host: x\r\nAuthorization: Bearer ${token}\r\n`
  const rss = async (): Promise<number> =>
    (await gateway.metric('process_resident_memory_bytes')) ?? Number.NaN
  // All of them wait at once, while the other tests run.
  const slow = await slowClients(world, head)
  await Promise.all([api.request(0), api.request(1)])

  await t.test('a header block beyond 128 KiB or 1,000 lines is refused', async t => {
    const before = await rss()
    const line = (n: number): string => `X-${String(n)}: ${'v'.repeat(100)}\r\n`
    const lines = (count: number): string =>
      Array.from({ length: count }, (_, n) => `x-${String(n)}: v\r\n`).join('')
    for (const [title, fields] of [
      ['1,001 lines', lines(999)],
      ['20,000 lines', lines(20_000)],
      ['a long value', `X: ${'v'.repeat(128 * 1024)}\r\n`],
      ['a long name', `X${'x'.repeat(128 * 1024)}: v\r\n`],
    ] as const) {
      const bytes = `GET /api HTTP/1.1\r\n${head}${fields}\r\n`
      const exchange = await rawRequest({ ...target, bytes, untilClosed: true })
      t.strictSame(answered(exchange), tooLarge, title)
      t.not(exchange.closed, 'open')
    }
    for (const [title, bytes] of [
      [
        '4 MiB',
        `GET /api HTTP/1.1\r\n${head}${Array.from({ length: 40_000 }, (_, n) => line(n)).join('')}\r\n`,
      ],
      ['a long target', `GET /${'a'.repeat(256 * 1024)} HTTP/1.1\r\n${head}\r\n`],
    ] as const) {
      const exchange = await rawRequest({ ...target, bytes, untilClosed: true })
      t.not(exchange.closed, 'open', title)
      // Who goes on writing to a connection that is closed may lose the answer to a reset.
      if (exchange.response) t.strictSame(answered(exchange), tooLarge, title)
    }
    t.equal(api.forwarded.length, 2, 'none of it went on')
    const most = `GET /api HTTP/1.1\r\n${head}${lines(998)}\r\n`
    t.equal(
      (await rawRequest({ ...target, bytes: most })).response?.status,
      200,
      '1,000 lines pass',
    )
    t.equal(api.forwarded.length, 3)
    t.ok((await rss()) - before < 64 * megabyte)
  })

  await t.test('a body that nobody wants is not waited for', async t => {
    const connection = await connectRaw(target)
    await connection.write('POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n')
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    while (connection.closed === 'open' && sent < 256 * megabyte) {
      void connection.write(chunk)
      sent += chunk.length
      await new Promise(resolve => setImmediate(resolve))
    }
    t.ok(sent < 256 * megabyte, 'the connection ends instead')
    connection.destroy()
  })

  await t.test('what a client does not read is not fetched', async t => {
    const total = 512 * megabyte
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const offered = new Map<string, number>()
    api.respondWith(async (request, answer) => {
      const { target: to } = request
      if (!to.startsWith('/huge')) return answer.reply(200, {}, { ok: true })
      await answer.raw(`HTTP/1.1 200 OK\r\nContent-Length: ${String(total)}\r\n\r\n`)
      for (let sent = 0; sent < total && !request.aborted; sent += chunk.length) {
        offered.set(to, (offered.get(to) ?? 0) + chunk.length)
        await Promise.race([answer.raw(chunk), request.gone])
        // The end of a connection is seen only between two turns.
        await new Promise(resolve => setImmediate(resolve))
      }
    })
    const heldBack = async (to: string, streams: number, before: number): Promise<void> => {
      for (let same = 0, last = -1; same < 5; last = offered.get(to) ?? -1) {
        await pause(100)
        same = offered.get(to) === last ? same + 1 : 0
      }
      const each = (offered.get(to) ?? 0) / streams
      t.ok(each > 0 && each < 16 * megabyte, `${to}: the API server is held back`)
      t.ok((await rss()) - before < 64 * megabyte, `${to}: and the gateway keeps little`)
      t.equal((await world.ask({ token })).response?.status, 200, `${to}: others are served`)
    }

    let before = await rss()
    const http1 = await connectRaw(target)
    http1.socket.pause()
    await http1.write(`GET /huge/1 HTTP/1.1\r\n${head}\r\n`)
    await heldBack('/huge/1', 1, before)
    http1.reset()

    before = await rss()
    // Flow control as it is by default: 64 KiB, which nobody renews.
    const http2 = await connectH2Frames({ ...target, wide: false })
    const fields = requestFields('GET', '/huge/2', 'x', [['authorization', `Bearer ${token}`]])
    for (let n = 0; n < 20; n += 1) await http2.headers(2 * n + 1, fields)
    await heldBack('/huge/2', 20, before)
    http2.destroy()
    api.respondWith()
  })

  await t.test('what the API server does not read is not taken from the client', async t => {
    const before = await rss()
    const blocked: Array<() => void> = []
    api.respondWith(
      async (request, answer) => {
        if (request.target !== '/upload') return answer.reply(200, {}, { ok: true })
        const { socket } = answer.hijack()
        socket.pause()
        await new Promise<void>(resolve => blocked.push(resolve))
        socket.destroy()
      },
      { at: 'head' },
    )
    const connection = await connectRaw(target)
    await connection.write(`PUT /upload HTTP/1.1\r\n${head}Content-Length: 536870912\r\n\r\n`)
    const chunk = Buffer.alloc(256 * 1024)
    let taken = 0
    const upload = (async () => {
      while (taken < 512 * megabyte && connection.closed === 'open') {
        await Promise.race([connection.write(chunk), connection.gone])
        taken += chunk.length
      }
    })()
    for (let same = 0, last = -1; same < 5; last = taken) {
      await pause(100)
      same = taken === last ? same + 1 : 0
    }
    t.ok(taken < 64 * megabyte, 'the client is held back')
    t.ok((await rss()) - before < 64 * megabyte)
    connection.reset()
    for (const release of blocked) release()
    await upload
    api.respondWith()
    t.equal((await world.ask({ token })).response?.status, 200)
  })

  await t.test('who does not finish a head in 10 s is let go', async t => {
    for (const { title, connection, answer } of slow.doomed) {
      await connection.gone
      t.pass(`${title} is closed`)
      if (answer !== 'status') continue
      const response = await connection.readResponse()
      t.strictSame(
        shown(response),
        status(408, 'Timeout', 'the request was not sent in time', closing),
        title,
      )
    }
    t.strictSame(
      slow.patient.map(({ closed }) => closed),
      slow.patient.map(() => 'open'),
      'a body may take longer: it is what uploads and streams are made of',
    )
    slow.end()
  })
  t.equal((await world.ask({ token })).response?.status, 200)
})

interface Slow {
  readonly doomed: ReadonlyArray<{
    readonly title: string
    readonly connection: RawConnection
    readonly answer: 'status' | 'any'
  }>
  readonly patient: readonly RawConnection[]
  end(): void
}

async function slowClients({ target }: World, head: string): Promise<Slow> {
  const tcp = { port: target.port }
  const h2 = { ...target, alpn: 'h2' }
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
  const partial = Buffer.from('\0\x40\0\x01\x01\0\0\0\x01\x82', 'latin1')
  const ping = Buffer.concat([
    Buffer.from([0, 0, 8, frameTypes.ping, 0, 0, 0, 0, 0]),
    Buffer.alloc(8),
  ])
  const drips: Array<readonly [connection: RawConnection, piece: string | Uint8Array]> = []
  const open = async (
    where: Parameters<typeof connectRaw>[0],
    first: string | Uint8Array,
    drip?: string | Uint8Array,
  ): Promise<RawConnection> => {
    const connection = await connectRaw(where)
    await connection.write(first)
    if (drip !== undefined) drips.push([connection, drip])
    return connection
  }
  const served = await open(target, `GET /x HTTP/1.1\r\nHost: x\r\n\r\n`)
  await served.readResponse()
  await served.write('GET /api HTTP/1.1\r\nHost')
  const doomed = [
    { title: 'TCP and no TLS', connection: await open(tcp, ''), answer: 'any' },
    { title: 'half a TLS hello', connection: await open(tcp, '\x16\x03\x01\x02'), answer: 'any' },
    { title: 'TLS and no request', connection: await open(target, ''), answer: 'any' },
    {
      title: 'half a head',
      connection: await open(target, 'GET /api HTTP/1.1\r\nHost: x\r\nX-'),
      answer: 'status',
    },
    {
      title: 'a head, byte by byte',
      connection: await open(target, 'GET /api HTTP/1.1\r\nHost: x\r\nX-', 'a'),
      answer: 'status',
    },
    {
      title: 'a head, line by line',
      connection: await open(target, 'GET /api HTTP/1.1\r\nHost: x\r\n', 'x: y\r\n'),
      answer: 'status',
    },
    { title: 'half of a second head', connection: served, answer: 'status' },
    { title: 'HTTP/2 and no preface', connection: await open(h2, ''), answer: 'any' },
    { title: 'HTTP/2 and no request', connection: await open(h2, preface), answer: 'any' },
    {
      title: 'HTTP/2 and half a header block',
      connection: await open(h2, Buffer.concat([preface, partial])),
      answer: 'any',
    },
    {
      title: 'HTTP/2 and a header block, byte by byte',
      connection: await open(h2, Buffer.concat([preface, partial]), '\x82'),
      answer: 'any',
    },
    {
      title: 'HTTP/2 and nothing but pings',
      connection: await open(h2, preface, ping),
      answer: 'any',
    },
  ] as const
  const upload = `POST /slow HTTP/1.1\r\n${head}`
  const patient = [
    await open(target, `${upload}Content-Length: 1000\r\n\r\n`, 'x'),
    await open(target, `${upload}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n'),
  ]
  const timer = setInterval(() => {
    for (const [connection, piece] of drips) void connection.write(piece)
  }, 400)
  return {
    doomed,
    patient,
    end: () => {
      clearInterval(timer)
      for (const connection of patient) connection.destroy()
    },
  }
}
