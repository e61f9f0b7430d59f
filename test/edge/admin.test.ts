import t, { type Test } from 'tap'
import { startAdmin, type Admin, type Check } from '../../lib/edge/admin.js'
import { rawRequest, requestBytes } from '../actors/raw-client.js'

const metrics = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  text: () => Promise.resolve('gateway_up 1\n'),
}

const started = async (
  t: Test,
  about: { ready?: readonly Check[]; remarks?: readonly string[]; metrics?: typeof metrics } = {},
): Promise<Admin> => {
  const admin = await startAdmin({
    address: '127.0.0.1',
    port: 0,
    ready: [],
    remarks: [],
    metrics,
    ...about,
  })
  t.teardown(() => admin.close())
  return admin
}

const asked = async ({ port }: Admin, target: string, method = 'GET'): Promise<string> => {
  const bytes = requestBytes(method, target, { Host: 'x' })
  const { response } = await rawRequest({ port, bytes })
  return `${response?.status} ${String(response?.body)}`
}

t.test('an answer is exactly this', async t => {
  const { port } = await started(t)
  const { response } = await rawRequest({
    port,
    bytes: requestBytes('GET', '/livez', { Host: 'x' }),
  })
  t.strictSame(
    response?.headers.filter(([name]) => !['Date', 'Connection', 'Keep-Alive'].includes(name)),
    [
      ['Content-Type', 'text/plain; charset=utf-8'],
      ['Cache-Control', 'no-store'],
      ['X-Content-Type-Options', 'nosniff'],
      ['Content-Length', '3'],
    ],
  )
  t.equal(String(response?.body), 'ok\n')
})

t.test('these exact paths and no others', async t => {
  const admin = await started(t)
  for (const target of ['/livez', '/readyz', '/ready', '/livez?x=y', '/readyz?exclude=a']) {
    t.equal(await asked(admin, target), '200 ok\n', target)
  }
  t.equal(await asked(admin, '/metrics'), '200 gateway_up 1\n')
  for (const target of [
    '/',
    '/healthz',
    '/livez/',
    '/livez/x',
    '/LIVEZ',
    '//livez',
    '/x/../livez',
    '/%6civez',
    '/livezz',
    '/metrics/',
    '/readyz/ping',
    '/api',
    'http://x/livez',
    '*',
  ]) {
    t.equal(
      await asked(admin, target, target === '*' ? 'OPTIONS' : 'GET'),
      '404 not found\n',
      target,
    )
  }
})

t.test('nothing can be done there, only asked', async t => {
  const admin = await started(t)
  t.equal(await asked(admin, '/livez', 'HEAD'), '200 ')
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.equal(await asked(admin, '/metrics', method), '405 only GET and HEAD\n', method)
  }
})

t.test('readiness is asked anew each time, and says why not', async t => {
  let why: string | undefined = 'no key is known yet'
  const admin = await started(t, {
    ready: [
      { name: 'shutdown', fails: () => undefined },
      { name: 'issuer', fails: () => why },
    ],
    remarks: ['privileged mode'],
  })
  const failed =
    '503 [+]shutdown ok\n[-]issuer failed: no key is known yet\n[!]privileged mode\nreadyz check failed\n'
  t.equal(await asked(admin, '/readyz'), failed)
  t.equal(await asked(admin, '/ready'), failed)
  t.equal(await asked(admin, '/livez'), '200 ok\n', 'alive all the same')
  why = undefined
  t.equal(await asked(admin, '/readyz'), '200 ok\n')
  t.equal(
    await asked(admin, '/readyz?verbose'),
    '200 [+]shutdown ok\n[+]issuer ok\n[!]privileged mode\nreadyz check passed\n',
  )
})

t.test('metrics that cannot be had end the connection, not the process', async t => {
  const admin = await started(t, {
    metrics: { ...metrics, text: () => Promise.reject(new Error('broken')) },
  })
  const bytes = requestBytes('GET', '/metrics', { Host: 'x' })
  const { response, bytes: got } = await rawRequest({ port: admin.port, bytes })
  t.strictSame([response, got.length], [undefined, 0])
  t.equal(await asked(admin, '/livez'), '200 ok\n')
})

t.test('a port in use is an error', async t => {
  const { port } = await started(t)
  await t.rejects(startAdmin({ address: '127.0.0.1', port, ready: [], remarks: [], metrics }), {
    code: 'EADDRINUSE',
  })
})
