/*
 * T07: an upgrade that the API server refuses leaves a connection to it on which the gateway is somebody
 * else: what the client writes next is a request as anybody. Precedent: CVE-2018-1002105. Both connections end,
 * and nothing that the client writes behind its refused request goes anywhere.
 */
import t from 'tap'
import { statusBody, type Responder } from '../actors/api-server.js'
import { requestBytes } from '../actors/raw-client.js'
import { asking, closedFor, echo, exec, modes, startedIn, upgradeBytes, ways } from './upgrades.js'
import { wholeResponse } from './whole-answer.js'

const no = statusBody(403, 'Forbidden', 'pods "shell" is forbidden')
const text = JSON.stringify(no)
const json = 'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n'
const refusals: ReadonlyArray<readonly [string, Responder]> = [
  ['with a length', (_, answer) => answer.reply(403, {}, no)],
  ['with a length, kept alive', (_, answer) => answer.reply(403, { Connection: 'keep-alive' }, no)],
  ['with a length, closed', (_, answer) => answer.reply(403, { Connection: 'close' }, no)],
  [
    'in chunks',
    (_, answer) =>
      answer.raw(
        `${json}Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
      ),
  ],
  [
    'as if it had switched',
    (_, answer) => answer.reply(403, { Connection: 'Upgrade', Upgrade: 'websocket' }, no),
  ],
]

for (const mode of modes) {
  t.test(`a refused upgrade leaves no way to the API server (${mode} mode)`, async t => {
    const world = await startedIn(t, mode)
    const { api } = world
    const smuggled = requestBytes('GET', '/api/v1/secrets', {
      Host: 'x',
      'Impersonate-User': 'system:admin',
    })
    for (const { title: way, method, headers } of ways) {
      for (const [title, respond] of refusals) {
        api.respondWith(respond)
        const nth = api.connections.length
        const bytes = upgradeBytes(world, { method, headers })
        const client = await asking(t, world, bytes + smuggled)
        const answer = await client.readResponse()
        void client.write(smuggled)
        t.strictSame(
          wholeResponse(answer),
          {
            status: 403,
            headers: {
              'content-type': 'application/json',
              'audit-id': '<uuid>',
              ...(title === 'in chunks' && { 'transfer-encoding': 'chunked' }),
            },
            body: no,
          },
          `${way}, ${title}`,
        )
        t.strictSame([answer.values('upgrade'), answer.values('connection')], [[], ['close']])
        // One client never hangs up by itself; to the others an end is enough.
        if (title === 'with a length') await closedFor(client)
        t.equal(await client.gone, 'fin')
        client.destroy()
        await api.forwarded.at(-1)?.connection.gone
        t.equal(client.reader.unread.length, 0, 'nothing comes behind the answer')
        t.equal(api.connections.length, nth + 1)
        t.notMatch(api.connections.at(-1)?.received.toString(), 'secrets')
      }
    }
    t.strictSame(
      [...new Set(api.forwarded.map(({ target }) => target))],
      [exec],
      'and nothing was sent elsewhere',
    )
    t.strictSame(api.faults, [])
    const lines = world.gateway.logs.filter(line => line['subresource'] === 'exec')
    t.ok(lines.every(line => line['status'] === 403 && line['ended'] === 'complete'))

    api.respondWith(echo)
    const client = await asking(t, world, upgradeBytes(world))
    t.equal((await client.readHead()).status, 101, 'a granted one passes as before')
  })
}
