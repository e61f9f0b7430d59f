import { once } from 'node:events'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createAuthority } from './certificates.js'
import { h2Connect, h2Request } from './h2-client.js'
import { connectH2Frames, requestFields } from './h2-frames.js'
import { HeaderDecoder, encodeHeaders } from './hpack.js'

type Teardown = { teardown(fn: () => unknown): unknown }
type Heard = (stream: ServerHttp2Stream, headers: readonly string[]) => void

async function serving(t: Teardown, heard: Heard) {
  const authority = createAuthority()
  const server: Http2SecureServer = createSecureServer({
    ...(await authority.issue()),
    maxHeaderListPairs: 2000,
  })
  server.on('stream', (stream, _headers, _flags, ...rest: unknown[]) => {
    stream.on('error', () => undefined)
    heard(stream, rest[0] as readonly string[])
  })
  server.on('sessionError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port, ca: authority.ca }
}

t.test('what is encoded is decoded, long values too', async t => {
  const fields = [
    [':path', '/'],
    ['X-Upper', 'a b'],
    ['long', 'x'.repeat(100_000)],
    ['', '\xff\0\r\n'],
  ] as const
  t.strictSame(new HeaderDecoder().decode(encodeHeaders(fields)), fields)
  t.throws(() => new HeaderDecoder().decode(Buffer.from([0xff, 0xff, 0x03])), RangeError)
})

t.test('every byte that another implementation can compress is decompressed', async t => {
  // nghttp2 packs a value where that is shorter: each byte is sent beside many short ones.
  const values = Array.from({ length: 256 }, (_, byte) => byte)
    .filter(byte => byte >= 0x20 && byte !== 0x7f)
    .map(byte => `0${'a'.repeat(60)}${String.fromCharCode(byte)}e`)
  const target = await serving(t, stream => {
    stream.respond({ ':status': 431, 'x-values': values, 'x-same': 'again' })
    stream.end('body')
  })
  const client = await connectH2Frames(target)
  for (const stream of [1, 3]) {
    await client.headers(stream, requestFields('GET', '/', 'localhost'))
    const answer = await client.response(stream)
    t.equal(answer.status, 431)
    t.strictSame(
      answer.headers.filter(([name]) => name === 'x-values').map(([, value]) => value),
      values,
    )
    t.strictSame([answer.complete, String(answer.body)], [true, 'body'])
  }
  client.destroy()
})

t.test('fields that no library sends reach the server as they are', async t => {
  const seen: Array<readonly string[]> = []
  const target = await serving(t, (stream, headers) => {
    seen.push(headers)
    stream.respond({ ':status': 200 })
    stream.end()
  })
  const client = await connectH2Frames(target)
  const fields = requestFields('POST', '//x', 'localhost', [
    ['a', '1'],
    ['a', '\xc3\xbc'],
  ])
  await client.headers(1, fields, { open: true, pieces: 30 })
  await client.data(1, 'body')
  t.equal((await client.response(1)).status, 200)
  t.strictSame(seen, [fields.flat()])
  // A field name in upper case is malformed (RFC 9113 8.2.1).
  await client.headers(3, requestFields('GET', '/', 'localhost', [['Upper', '1']]))
  const refused = await client.response(3)
  t.ok(refused.rstCode !== undefined || refused.goaway !== undefined || refused.status === 400)
  client.destroy()
})

t.test('a reset stream and the end of the connection are told apart from an answer', async t => {
  const target = await serving(t, (stream, headers) => {
    if (headers.includes('/die')) return stream.session?.destroy()
    stream.respond({ ':status': 200 })
    stream.write('half', () => stream.destroy(new Error('broken')))
  })
  const client = await connectH2Frames(target)
  await client.headers(1, requestFields('GET', '/', 'localhost'))
  t.match(await client.response(1), { status: 200, complete: false, rstCode: 2 })
  await client.headers(3, requestFields('GET', '/die', 'localhost'))
  t.match(await client.response(3), { status: 0, complete: false })
  client.destroy()
})

t.test("Node's client gives the raw fields, and keeps a session that it was given", async t => {
  const target = await serving(t, (stream, headers) => {
    if (headers.includes('/reset')) return stream.close(1)
    stream.respond({ ':status': 200, 'x-a': ['1', '2'], 'audit-id': headers.at(-1) })
    stream.pipe(stream)
  })
  const session = await h2Connect(target)
  const headers = { ':method': 'POST', 'x-last': ['a', 'b'] }
  const answer = await h2Request({ ...target, session, headers, body: 'echo' })
  t.strictSame(
    [answer.status, answer.complete, answer.headers.slice(0, 3), String(answer.body)],
    [
      200,
      true,
      [
        ['x-a', '1'],
        ['x-a', '2'],
        ['audit-id', 'b'],
      ],
      'echo',
    ],
  )
  const reset = await h2Request({ ...target, session, headers: { ':path': '/reset' } })
  t.match(reset, { status: 0, complete: false, rstCode: 1 })
  t.notOk(session.closed)
  session.destroy()
  t.equal((await h2Request(target)).status, 200)
})
