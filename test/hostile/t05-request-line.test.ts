/*
 * T05: a request line that two programs in a row split in different places. Node's parser takes several blanks for
 * one, and an RTSP version for that of HTTP, and does not say that it did; kube-apiserver refuses both. What goes on
 * is a line of our own making, with one reading.
 */
import t from 'tap'
import { rawRequest } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'

t.test('what the parser lets by in a request line goes no further, and is read once', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, issuer, target } = world
  const fields = `Host: x\r\nAuthorization: Bearer ${issuer.sign()}\r\nConnection: close\r\n\r\n`
  for (const [line, path] of [
    ['GET  /a HTTP/1.1', '/a'],
    ['GET /a   HTTP/1.1', '/a'],
    ['\r\nGET /a HTTP/1.1', '/a'],
    ['GET /a RTSP/1.0', '/a'],
    ['GET /\\a HTTP/1.1', '/\\a'],
  ] as const) {
    const before = api.forwarded.length
    const exchange = await rawRequest({
      ...target,
      bytes: `${line}\r\n${fields}`,
      untilClosed: true,
    })
    t.equal(exchange.responses.length, 1, line)
    const sent = api.forwarded.slice(before).map(({ head }) => String(head).split('\r\n', 1)[0])
    t.strictSame(sent, [`GET ${path} HTTP/1.1`], line)
  }
  const before = api.forwarded.length
  for (const line of [
    'GET /a b HTTP/1.1',
    'GET /a\tHTTP/1.1',
    ' GET /a HTTP/1.1',
    'GET /a HTTP/1.2',
    'GET /a HTTP/2.0',
    'GET /a',
    'GET /a ICE/1.0',
    'TRACE x:1 HTTP/1.1',
  ]) {
    const bytes = `${line}\r\n${fields}`
    const { response } = await rawRequest({ ...target, bytes, untilClosed: true })
    t.equal(response?.status, 400, line)
  }
  t.equal(api.forwarded.length, before)
  t.strictSame(api.faults, [])
})
