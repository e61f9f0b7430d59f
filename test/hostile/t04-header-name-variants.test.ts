/*
 * T04: a header field's name is written so that one program reads it as another than the next: a blank
 * before the colon, a folded line, a byte that is no token, a field in the trailers (CVE-2025-64484
 * oauth2-proxy, NCC-E003660-YVU Pinniped). Either the parser refuses it, or it is left out.
 */
import t, { type Test } from 'tap'
import { connectH2Frames, requestFields } from '../actors/h2-frames.js'
import type { HeaderLines } from '../actors/http1.js'
import { rawRequest } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'
import {
  callerCredential,
  connectionLines,
  gatewayCredential,
  impersonationLines,
  lastArrived,
  originLines,
} from './clients.js'
import { answered, badRequest } from './status.js'

const refused = [
  'Impersonate-User : bob',
  'Impersonate-User\t: bob',
  'Impersonate-User\0: bob',
  'Impersonate-User\x0b: bob',
  'Impersonate-User\x7f: bob',
  'Impersonate User: bob',
  'Impersonate\u00adUser: bob',
  'Impersonate\xe2\x80\x90User: bob',
  '\xefmpersonate-User: bob',
  '"Impersonate-User": bob',
  'Impersonate-User;x: bob',
  'Impersonate-User,X: bob',
  'Impersonate-User: b\0b',
  'Impersonate-User: b\x01b',
  'X-Note: a\rImpersonate-User: bob',
  'X-Note: a\r\r\nImpersonate-User: bob',
  'X-Note: a\r\n Impersonate-User: bob',
  'X-Note: a\r\n\tImpersonate-User: bob',
  'X-Note: a\r\n Impersonate-User: bob\r\n\t b',
  'X-Note: a\x7fb',
  ': bob',
  'Impersonate-User',
  ' Impersonate-User: bob',
] as const

const leftOut = [
  'Impersonate_User: bob',
  'impersonate%2dUser: bob',
  'iMPERSONATE%2DuSER: bob',
  'Impersonate-User:bob',
  'Impersonate-User:\tbob\t',
  'Impersonate-User:',
  'Impersonate-User: ',
  'Impersonate.User: bob',
  'Impersonate|User: bob',
  'Impersonate%20User: bob',
  "Impersonate-User': bob",
  'X_Remote-User: bob',
  'x%2dremote%2Duser: bob',
  'X-Forwarded-For: 10.0.0.1',
  'X_Forwarded_For: 10.0.0.1',
  'X-Real_IP: 10.0.0.1',
  'forwarded: for=10.0.0.1',
  'Audit_ID: 00000000-0000-4000-8000-000000000000',
  'Transfer_Encoding: chunked',
  'Proxy_Authorization: Basic x',
] as const

async function checks(t: Test, world: World, token: string, identity: HeaderLines): Promise<void> {
  const { api, target } = world
  const good = [...connectionLines, ['X-Kept', 'yes'], ...originLines, ...identity]
  const head = (line: string): string =>
    `GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${line}\r\nX-Kept: yes\r\n\r\n`
  const reached = api.forwarded.length
  for (const line of refused) {
    const exchange = await rawRequest({ ...target, bytes: head(line), untilClosed: true })
    t.strictSame(answered(exchange), badRequest, JSON.stringify(line))
    t.not(exchange.closed, 'open')
  }
  t.equal(api.forwarded.length, reached, 'nothing of these went on')
  for (const line of leftOut) {
    const { response } = await rawRequest({ ...target, bytes: head(line) })
    t.equal(response?.status, 200)
    t.strictSame(lastArrived(world), good, JSON.stringify(line))
  }

  const trailers =
    `POST /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nX-Kept: yes\r\n` +
    'Trailer: Impersonate-User\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n' +
    'Impersonate-User: bob\r\nImpersonate-Group: smuggled\r\nX-Note: x\r\n\r\n'
  t.equal((await rawRequest({ ...target, bytes: trailers })).response?.status, 200)
  const client = await connectH2Frames(target)
  const fields = requestFields('POST', '/api', 'x', [
    ['authorization', `Bearer ${token}`],
    ['x-kept', 'yes'],
  ])
  await client.headers(1, fields, { open: true })
  await client.data(1, '{}', { open: true })
  await client.headers(1, [['impersonate-user', 'bob']])
  t.equal((await client.response(1)).status, 200)
  client.destroy()
  for (const request of api.forwarded.slice(-2)) {
    t.strictSame([String(await request.whole), request.trailers], ['{}', []])
    t.notMatch(request.connection.received.toString('latin1'), /bob|smuggled/)
  }
  t.strictSame(api.faults, [])
}

t.test('in the gateway mode no spelling of a name gets through', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  await checks(t, world, issuer.sign({ groups: ['dev'] }), [
    ...impersonationLines(`${issuer.url}#alice`, ['dev']),
    ...gatewayCredential,
  ])
})

t.test('in the caller mode neither', async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  const token = world.issuer.sign({ groups: ['dev'] })
  await checks(t, world, token, callerCredential(token))
})
