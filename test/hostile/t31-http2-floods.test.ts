/*
 * T31: HTTP/2 makes it cheap to ask and dear to answer: rapid reset (CVE-2023-44487), frames that no
 * stream is charged for (CVE-2024-27983, -28182, CVE-2019-9511 … -9518), memory that stays after GOAWAY
 * (CVE-2026-21714, CVE-2026-56846). Who is nobody loses the connection with the 401, as at kube-apiserver;
 * who floods loses it too; the others notice nothing.
 */
import t from 'tap'
import { connectH2Frames, flags, frameTypes, requestFields } from '../actors/h2-frames.js'
import { connectRaw } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'
import { answered2, status } from './status.js'

const megabyte = 1024 * 1024
const noError = 0

t.test('floods end with their connection; others are served all the while', async t => {
  // Without TLS the API server sees each connection as it is made, not only those that come to something.
  const world = await startedWorld(t, { mode: 'gateway', api: { tls: false } })
  const { api, target, issuer, gateway } = world
  const token = issuer.sign()
  const credential = [['authorization', `Bearer ${token}`]] as const
  const good = requestFields('GET', '/good', 'x', credential)
  const othersAreServed = async (during: string): Promise<void> => {
    const client = await connectH2Frames(target)
    await client.headers(1, good)
    t.equal((await client.response(1)).status, 200, `another client is served: ${during}`)
    client.destroy()
    t.equal((await world.ask({ token })).response?.status, 200, `over HTTP/1.1 too: ${during}`)
    t.equal((await gateway.admin('/livez')).status, 200)
  }
  const rss = async (): Promise<number> =>
    (await gateway.metric('process_resident_memory_bytes')) ?? Number.NaN
  await othersAreServed('before')

  await t.test('a client that is nobody is told so, and goes', async t => {
    for (const headers of [[], [['authorization', 'Bearer x.y.z']]] as const) {
      const client = await connectH2Frames(target)
      await client.headers(1, requestFields('GET', '/api', 'x', headers))
      const { headers: fields, ...answer } = answered2(await client.response(1))
      t.match(answer, { status: 401, body: { kind: 'Status', reason: 'Unauthorized', code: 401 } })
      t.ok(fields.some(([name]) => name === 'www-authenticate'))
      const goaway = await client.next(({ type }) => type === frameTypes.goaway)
      t.equal(goaway?.payload.readUInt32BE(4), noError)
      await client.gone
    }
    const client = await connectH2Frames(target)
    await client.headers(1, good)
    t.equal((await client.response(1)).status, 200)
    await client.headers(3, good)
    t.equal((await client.response(3)).status, 200, 'who is somebody goes on')
    t.notOk(client.frames.some(({ type }) => type === frameTypes.goaway))
    client.destroy()
  })

  await t.test('rapid reset', async t => {
    for (const fields of [requestFields('GET', '/api', 'x'), good]) {
      const reached = api.forwarded.length
      const connected = api.connections.length
      const client = await connectH2Frames(target)
      for (let stream = 1; stream < 4_000; stream += 2) {
        void client.headers(stream, fields)
        void client.rst(stream)
      }
      t.ok(await client.next(({ type }) => type === frameTypes.goaway))
      await othersAreServed('rapid reset')
      t.ok(api.forwarded.length - reached < 1_500, 'the API server is spared requests')
      t.ok(api.connections.length - connected <= 250, 'and connections')
      client.destroy()
    }
  })

  await t.test('a connection has 250 streams at once, and no more', async t => {
    const held: string[] = []
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => (release = resolve))
    api.respondWith(async (request, answer) => {
      if (request.target === '/held') {
        held.push(request.target)
        await Promise.race([released, request.gone])
      }
      await answer.reply(200, {}, { ok: true })
    })
    const fields = requestFields('GET', '/held', 'x', credential)
    const [modest, greedy] = [await connectH2Frames(target), await connectH2Frames(target)]
    for (let n = 0; n < 250; n += 1) await modest.headers(2 * n + 1, fields)
    while (held.length < 250) await new Promise(resolve => setTimeout(resolve, 10))
    for (let n = 0; n < 300; n += 1) await greedy.headers(2 * n + 1, fields)
    t.equal((await greedy.response(599)).status, 0)
    await othersAreServed('many streams')
    t.ok(held.length <= 500, 'what is beyond them goes nowhere')
    release()
    const answers = await Promise.all(
      Array.from({ length: 250 }, (_, n) => modest.response(2 * n + 1)),
    )
    t.ok(answers.every(answer => answer.status === 200))
    modest.destroy()
    greedy.destroy()
    api.respondWith()
  })

  await t.test('header blocks without an end', async t => {
    const before = await rss()
    const client = await connectH2Frames(target)
    await client.headers(1, [...good, ['x-a', 'b']], { unended: true })
    const piece = Buffer.alloc(16_000, 0)
    const state = { gone: false }
    void client
      .next(({ type }) => type === frameTypes.goaway)
      .then(() => {
        state.gone = true
      })
    // Far more than fits anywhere on the way: by then it has been read, and was not to be.
    const most = 20_000
    let sent = 0
    for (; sent < most && !state.gone; sent += 1) {
      await client.send({ type: frameTypes.continuation, stream: 1, payload: piece })
    }
    t.ok(sent < most, 'it is not listened to for ever')
    client.destroy()
    await othersAreServed('CONTINUATION flood')
    t.ok((await rss()) - before < 64 * megabyte)

    for (let n = 0; n < 20; n += 1) {
      // CVE-2024-27983: the connection breaks off inside a header block.
      const broken = await connectH2Frames(target)
      await broken.headers(1, good, { unended: true })
      broken.destroy()
    }
    await othersAreServed('broken header blocks')
  })

  await t.test('a small header block that unpacks to a large one', async t => {
    const before = await rss()
    const client = await connectH2Frames(target)
    const text = (value: string): Buffer => {
      const left = value.length - 127
      const size = left < 0 ? [value.length] : [127, (left % 128) + 128, Math.floor(left / 128)]
      return Buffer.concat([Buffer.of(...size), Buffer.from(value)])
    }
    const literal = ([name, value]: readonly [string, string]): Buffer =>
      Buffer.concat([Buffer.of(0), text(name), text(value)])
    const remembered = Buffer.concat([Buffer.of(0x40), text('x-bomb'), text('x'.repeat(3_900))])
    const head = Buffer.concat([...good.map(literal), remembered])
    const bomb = Buffer.alloc(16_000 - head.length, 0x80 + 62)
    await client.send({
      type: frameTypes.headers,
      flags: flags.endHeaders | flags.endStream,
      stream: 1,
      payload: Buffer.concat([head, bomb]),
    })
    const response = await client.response(1)
    if (response.status !== 0) {
      t.strictSame(
        answered2(response),
        status(431, 'RequestHeaderFieldsTooLarge', 'the request header is too large'),
      )
    } else t.ok(response.rstCode !== undefined || response.goaway !== undefined)
    client.destroy()
    await othersAreServed('header bomb')
    t.ok((await rss()) - before < 64 * megabyte)
  })

  await t.test('frames that nobody is charged for', async t => {
    const before = await rss()
    const setting = Buffer.from([0, 4, 0, 0, 255, 255])
    for (const [what, frame] of [
      ['PING', { type: frameTypes.ping, payload: Buffer.alloc(8) }],
      ['SETTINGS', { type: frameTypes.settings, payload: setting }],
      ['empty SETTINGS', { type: frameTypes.settings }],
      ['PRIORITY', { type: frameTypes.priority, stream: 1, payload: Buffer.from([0, 0, 0, 3, 1]) }],
      ['unknown', { type: 0xbb, payload: Buffer.alloc(100) }],
      ['empty DATA', { type: frameTypes.data, stream: 1 }],
      ['WINDOW_UPDATE', { type: frameTypes.windowUpdate, payload: Buffer.from([0, 0, 0, 1]) }],
      ['WINDOW_UPDATE of 0', { type: frameTypes.windowUpdate, payload: Buffer.alloc(4) }],
    ] as const) {
      // Flow control as it is by default: with a window opened wide, WINDOW_UPDATE is an error at once.
      const client = await connectH2Frames({ ...target, wide: false })
      if (what === 'empty DATA') {
        const post = requestFields('POST', '/api', 'x', credential)
        await client.headers(1, post, { open: true })
      }
      await client.raw(repeated(frame, 5_000))
      await client.ping()
      await othersAreServed(`${what} flood`)
      client.destroy()
    }
    // CVE-2026-21714: the window of the connection overflows, again and again.
    const overflow = await connectH2Frames(target)
    const widest = Buffer.from([0x7f, 0xff, 0xff, 0xff])
    await overflow.raw(repeated({ type: frameTypes.windowUpdate, payload: widest }, 1_000))
    await overflow.gone
    await othersAreServed('window overflow')
    t.ok((await rss()) - before < 64 * megabyte)
  })

  await t.test('what is no HTTP/2', async t => {
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x01\x05\0\0\0\x01',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0',
      '\0'.repeat(1_000),
    ]) {
      const connection = await connectRaw({ ...target, alpn: 'h2' })
      await connection.write(bytes)
      await othersAreServed('other protocols')
      t.notMatch(connection.received.toString('latin1'), 'HTTP/1.1')
      connection.destroy()
    }
  })
  t.strictSame(
    api.faults.filter(fault => !fault.startsWith('cut')),
    [],
  )
})

/** The bytes of so many equal frames. */
function repeated(
  frame: { readonly type: number; readonly stream?: number; readonly payload?: Uint8Array },
  count: number,
): Buffer {
  const { type, stream = 0, payload = Buffer.alloc(0) } = frame
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head.writeUInt32BE(stream, 5)
  return Buffer.concat(Array.from({ length: count }, () => Buffer.concat([head, payload])))
}
