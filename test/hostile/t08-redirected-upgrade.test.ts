/*
 * T08: an upgrade that is redirected takes the credential, and then the client's shell, to wherever the answer
 * says. Precedent: CVE-2020-8559 (a kubelet redirects the API server). A redirect, like any success that is no
 * switch, is a 502, and of its fields and body the client sees nothing. (Plain redirects are in
 * `t08-redirects.test.ts`.)
 */
import t from 'tap'
import { asking, head101, modes, startedIn, upgradeBytes, ways } from './upgrades.js'
import { startBystander } from './bystander.js'
import { badGateway, wholeResponse } from './whole-answer.js'

for (const mode of modes) {
  t.test(`an upgrade is never redirected (${mode} mode)`, async t => {
    const world = await startedIn(t, mode)
    const { api } = world
    const bystander = await startBystander(t, api.authority)
    const places = [
      `${bystander.url}/evil`,
      `//127.0.0.1:${new URL(bystander.url).port}/evil`,
      '/evil',
    ]
    let asked = 0
    const refuses = async (title: string): Promise<void> => {
      for (const { title: way, method, headers } of ways) {
        const client = await asking(t, world, upgradeBytes(world, { method, headers }))
        t.strictSame(
          wholeResponse(await client.readResponse()),
          badGateway('the API server gave a malformed answer'),
          `${way}: ${title}`,
        )
        await client.gone
        client.destroy()
        t.notMatch(client.received.toString(), /evil/i)
        asked += 1
        await api.forwarded[asked - 1]?.connection.gone
      }
    }
    for (const status of [300, 301, 302, 303, 304, 307, 308, 200, 201, 204, 206]) {
      for (const place of places) {
        api.respondWith((_, answer) =>
          answer.reply(status, { Location: place, 'X-Evil': 'x' }, status === 304 ? '' : 'evil'),
        )
        await refuses(`${String(status)} ${place}`)
      }
    }
    const evil = 'GET /evil HTTP/1.1\r\n\r\n'
    for (const answered of [
      `${head101('evil')}${evil}`,
      `${head101('h2c')}${evil}`,
      `HTTP/1.1 101 Switching Protocols\r\nX-Evil: x\r\n\r\n${evil}`,
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n${evil}`,
    ]) {
      api.respondWith((_, answer) => answer.raw(answered))
      await refuses(JSON.stringify(answered.slice(0, 80)))
    }
    t.equal(api.forwarded.length, asked, 'each request went out once')
    t.strictSame(bystander.seen, [])
    t.strictSame(api.faults, [])
  })
}
