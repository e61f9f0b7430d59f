/*
 * T10: bytes that a client sends behind its upgrade, or its CONNECT, before it was answered: passed on at once
 * they reach the API server as a request of their own, on a connection that is trusted. Precedent: Envoy
 * CVE-2025-64763. They wait for the 101; without one they are dropped.
 */
import t from 'tap'
import { requestBytes } from '../actors/raw-client.js'
import { asking, echo, exec, held, modes, startedIn, upgradeBytes, ways } from './upgrades.js'
import { shown } from './status.js'

const smuggled = requestBytes('DELETE', '/api/v1/namespaces/default/pods/shell', {
  Host: 'x',
  'Impersonate-User': 'system:admin',
})

for (const mode of modes) {
  t.test(`bytes that come early wait for the 101, or go nowhere (${mode} mode)`, async t => {
    const world = await startedIn(t, mode)
    const { api } = world
    for (const { title, method, headers } of ways) {
      const asked = upgradeBytes(world, { method, headers })

      await t.test(`${title}, granted`, async t => {
        const { respond, go } = held(echo)
        api.respondWith(respond)
        const nth = api.forwarded.length
        const client = await asking(t, world, `${asked}${smuggled}one `)
        const request = await api.request(nth)
        await client.write('two\n')
        // An exchange of another client goes to and fro in the meantime.
        t.equal((await world.ask({ token: false })).response?.status, 401)
        t.equal(request.connection.received.length, request.head.length, 'nothing but the head')
        t.equal(client.received.length, 0)
        go()
        t.equal((await client.readHead()).status, 101)
        const said = await client.readUntil('two\n')
        t.equal(said.toString(), `${smuggled}one two\n`, 'in order, and once')
        t.equal(api.forwarded.length, nth + 1)
      })

      await t.test(`${title}, refused`, async t => {
        const { respond, go } = held((_, answer) => answer.reply(404, {}, 'none'))
        api.respondWith(respond)
        const nth = api.forwarded.length
        const client = await asking(t, world, asked + smuggled.repeat(2_000))
        const request = await api.request(nth)
        go()
        t.equal((await client.readResponse()).status, 404)
        await Promise.all([client.gone, request.connection.gone])
        t.equal(request.connection.received.length, request.head.length)
        t.equal(client.reader.unread.length, 0)
        t.equal(api.forwarded.length, nth + 1)
      })

      await t.test(`${title}, not authenticated`, async t => {
        const nth = api.connections.length
        const client = await asking(
          t,
          world,
          upgradeBytes(world, { method, headers, token: false }) + smuggled,
        )
        t.equal((await client.readResponse()).status, 401)
        await client.gone
        t.equal(client.reader.unread.length, 0)
        t.equal(api.connections.length, nth)
      })
    }

    await t.test('CONNECT', async t => {
      const nth = api.connections.length
      const connect = `CONNECT kubernetes:443 HTTP/1.1\r\nHost: kubernetes:443\r\n\r\n`
      const client = await asking(t, world, connect + smuggled)
      t.equal(shown(await client.readResponse()).status, 405)
      await client.gone
      t.equal(client.reader.unread.length, 0)
      t.equal(api.connections.length, nth)
    })

    await t.test('an upgrade behind a request that is not answered yet', async t => {
      const { respond, go } = held((request, answer) =>
        request.target === exec ? echo(request, answer) : answer.reply(200, {}, { first: true }),
      )
      api.respondWith(respond)
      const nth = api.forwarded.length
      const first = requestBytes('GET', '/api', {
        Host: 'gateway',
        Authorization: `Bearer ${world.issuer.sign()}`,
      })
      const client = await asking(t, world, first + upgradeBytes(world) + 'early\n')
      await api.request(nth)
      t.equal((await world.ask({ token: false })).response?.status, 401)
      t.equal(api.forwarded.length, nth + 1)
      go()
      t.strictSame((await client.readResponse()).json(), { first: true })
      t.equal((await client.readHead()).status, 101)
      t.equal((await client.readUntil('\n')).toString(), 'early\n')
    })
    t.strictSame(api.faults, [])
  })
}
