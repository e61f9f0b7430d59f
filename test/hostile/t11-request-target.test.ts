/*
 * T11: a request target that names another host. Resolved against the API server's address as a URL
 * (`new URL('//evil.example/a', upstream)`), it takes the request, and its credential, elsewhere. Where
 * requests go is a constant here; targets that carry an authority are refused, the others pass byte for
 * byte.
 */
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { connectH2Frames, requestFields } from '../actors/h2-frames.js'
import { startApiServer } from '../actors/api-server.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import { rawRequest } from '../actors/raw-client.js'
import { gatewayToken, startedWorld } from '../actors/world.js'
import { answered, answered2, badRequest, badRequest2 } from './status.js'

t.test('no request target leads anywhere but to the API server', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, target, issuer } = world
  const token = issuer.sign()
  let visits = 0
  const evil = createServer(socket => {
    visits += 1
    socket.destroy()
  })
  evil.listen(0, '127.0.0.1')
  await once(evil, 'listening')
  t.teardown(() => evil.close())
  const there = `127.0.0.1:${String((evil.address() as AddressInfo).port)}`

  const http1 = (to: string, host = 'x') =>
    rawRequest({
      ...target,
      bytes: `GET ${to} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      untilClosed: false,
    })
  const http2 = async (to: string, authority = 'x') => {
    const client = await connectH2Frames(target)
    const fields = requestFields('GET', to, authority, [['authorization', `Bearer ${token}`]])
    await client.headers(1, fields)
    const response = await client.response(1)
    client.destroy()
    return response
  }

  for (const to of [
    `http://${there}/api`,
    `https://${there}/api`,
    `HTTP://${there}`,
    `ftp://${there}/api`,
    `//${there}/api`,
    `///${there}/api`,
    `//${there}`,
    `//`,
    `*`,
    `api`,
    `?a=b`,
    `.`,
    `@${there}/api`,
    `:443/api`,
    `\\\\${there}\\api`,
    `/api#fragment`,
    `#`,
  ]) {
    const exchange = await http1(to)
    t.strictSame(answered(exchange), badRequest, `${to} over HTTP/1.1`)
    const response = await http2(to)
    // Some of them are malformed to the HTTP/2 parser already (RFC 9113, 8.3.1).
    if (response.status === 0) t.equal(response.rstCode, 1, `${to} over HTTP/2`)
    else t.strictSame(answered2(response), badRequest2, `${to} over HTTP/2`)
  }
  const options = await rawRequest({
    ...target,
    bytes: `OPTIONS * HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  })
  t.strictSame(answered(options), badRequest)
  t.strictSame([api.connections.length, visits], [0, 0])

  const passing = [
    '/',
    '/a//b',
    `/http://${there}/api`,
    `/@${there}/api`,
    `/\\${there}/api`,
    '/..//../a/./b/..',
    '/%2f%2Fevil/%2e%2e/%00',
    '/a;b=c/d:e',
    '/a?',
    '/a?b=//c&d=%zz&&=',
    '/%',
    '/a[b]{c}|d^`e\'"<f>',
    '/api/v1/namespaces/../nodes',
    `/${'a'.repeat(60_000)}`,
  ]
  for (const to of passing) {
    for (const ask of [http1, http2]) {
      const { status } = await ask(to).then(answer =>
        'status' in answer ? answer : { status: answer.response?.status },
      )
      t.equal(status, 200, to.slice(0, 60))
      t.equal(api.forwarded.at(-1)?.target, to, 'byte for byte')
    }
  }
  t.equal((await http1('/api', there)).response?.status, 200)
  t.equal((await http2('/api', there)).status, 200)
  t.strictSame(
    api.forwarded.map(request => request.values('host')),
    api.forwarded.map(() => [`127.0.0.1:${String(api.port)}`]),
    'Host is the API server, whoever the client asked for',
  )
  t.equal(visits, 0)
  t.strictSame(api.faults, [])
})

/*
 * Where one host serves many clusters behind paths, what is beside them (its own API, for one) knows nothing of
 * `Impersonate-User`, and `..` leads there, with the credential of the gateway.
 */
t.test('no request target leads out of the path that the kubeconfig names', async t => {
  const api = await startApiServer()
  const directory = tempDir(t)
  const server = `${api.url}/clusters/a`
  const kubeconfig = writeKubeconfig(directory, { server, ca: api.ca, token: gatewayToken })
  const world = await startedWorld(t, {
    mode: 'gateway',
    api,
    flags: [`--kubeconfig=${kubeconfig}`],
  })
  const upgrade = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
  ] as const
  for (const path of ['/../../v3/users', '/api/%2e%2e/%2E%2E/b', '/api/..%2f..%2fb', '/..']) {
    t.strictSame(answered(await world.ask({ path })), badRequest, path)
    t.strictSame(
      answered(await world.ask({ path, headers: upgrade })),
      badRequest,
      `${path}, upgrade`,
    )
  }
  t.equal((await world.ask({ path: '/api?a=/../b' })).response?.status, 200)
  const isOwnQuestion = /\/selfsubject\w+reviews$/
  t.strictSame(
    api.forwarded.map(({ target }) => target).filter(target => !isOwnQuestion.test(target)),
    ['/clusters/a/api?a=/../b'],
  )
})
