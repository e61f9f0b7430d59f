/*
 * T05: requests written one behind the other on a connection, without waiting for answers. They are served one
 * after the other: nobody holds more of the gateway or the API server for being impatient, no answer overtakes
 * another, and what stands behind a request that ends the connection goes nowhere.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { connectRaw, rawRequest } from '../actors/raw-client.js'
import { startedWorld } from '../actors/world.js'

t.test('pipelined requests are served one after the other', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { api, issuer, target } = world
  const credential = `Authorization: Bearer ${issuer.sign()}\r\n`
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${credential}\r\n`
  const targets = (from: number): string[] => api.forwarded.slice(from).map(one => one.target)

  let open = 0
  let most = 0
  api.respondWith(async (request, answer) => {
    open += 1
    most = Math.max(most, open)
    await pause(5)
    open -= 1
    await answer.reply(200, {}, request.target)
  })
  const paths = Array.from({ length: 150 }, (_, n) => `/${String(n)}`)
  const all = await rawRequest({ ...target, bytes: paths.map(get).join(''), answers: paths.length })
  t.strictSame(
    all.responses.map(response => String(response.body)),
    paths,
  )
  t.strictSame(targets(0), paths, 'in their order, each once')
  t.equal(most, 1, 'one at a time')

  const mixed = await rawRequest({
    ...target,
    bytes: [
      `POST /a HTTP/1.1\r\nHost: x\r\n${credential}Content-Length: 2\r\n\r\n{}`,
      'GET /b HTTP/1.1\r\nHost: x\r\n\r\n',
      `POST /c HTTP/1.1\r\nHost: x\r\n${credential}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
      get('/d'),
    ].join(''),
    methods: ['POST', 'GET', 'POST', 'GET'],
    answers: 4,
  })
  t.strictSame(
    mixed.responses.map(response => response.status),
    [200, 401, 200, 200],
  )

  for (const [ends, statuses] of [
    ['GET //x HTTP/1.1\r\nHost: x\r\n\r\n', [200, 400]],
    ['GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', [200, 401]],
    [`GET /x HTTP/1.1\r\nHost: x\r\n${credential}${credential}\r\n`, [200, 400]],
    ['GET /x HTTP/1.1\r\nHost : x\r\n\r\n', [200, 400]],
    ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', [200, 405]],
    [
      `POST /x HTTP/1.1\r\nHost: x\r\n${credential}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      [200, 400],
    ],
    ['GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', [200, 401]],
  ] as const) {
    const before = api.forwarded.length
    const exchange = await rawRequest({
      ...target,
      bytes: get('/first') + ends + get('/behind'),
      answers: 3,
      untilClosed: true,
    })
    t.strictSame(
      exchange.responses.map(response => response.status),
      statuses,
      JSON.stringify(ends.slice(0, 60)),
    )
    t.strictSame(targets(before), ['/first'], 'what stands behind it goes nowhere')
  }

  // Who leaves takes along what waits.
  const before = api.forwarded.length
  api.respondWith(
    async request => {
      await request.gone
    },
    { at: 'head' },
  )
  const connection = await connectRaw(target)
  await connection.write(get('/left') + get('/waiting'))
  const left = await api.request(before)
  connection.reset()
  await left.gone
  api.respondWith()
  t.equal((await world.ask({ path: '/after' })).response?.status, 200)
  t.strictSame(targets(before), ['/left', '/after'])
  t.strictSame(
    world.gateway.logs.filter(({ text }) => text !== undefined),
    [],
    'nothing was uncaught',
  )
})
