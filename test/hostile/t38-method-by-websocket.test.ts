/*
 * T38: browsers can only GET a WebSocket, so `pods/exec` by GET does what otherwise takes a POST: a rule that
 * allows reading allows a shell (KEP-4006; the API server asks for `create` on such a GET since 1.35).
 *
 * The row is met by having no such rule: nothing in the gateway decides by method or verb. Method, path and
 * query reach the API server byte for byte, under the identity of the caller, and its own authoriser reads them as
 * if the caller had come by itself; what it says is what the client gets.
 */
import t from 'tap'
import { statusBody } from '../actors/api-server.js'
import type { HeaderLines } from '../actors/http1.js'
import { asking, echo, exec, modes, spdy, startedIn, upgradeBytes, webSocket } from './upgrades.js'

const targets = [
  exec,
  '/api/v1/namespaces/default/pods/shell/exec',
  '/api/v1/namespaces/default/pods/shell/attach?stdin=true',
  '/api/v1/namespaces/default/pods/shell/portforward?ports=80',
  '/api/v1/namespaces/default/pods/shell/%65xec?command=%73h&command=-c&command=a%20b',
  '/api/v1/namespaces/default/pods/shell/exec?_method=GET&command=sh',
  '/api/v1/namespaces/default//pods/../pods/shell/exec',
]
const overriding: HeaderLines = [
  ['X-HTTP-Method-Override', 'GET'],
  ['X-HTTP-Method', 'GET'],
]

for (const mode of modes) {
  t.test(`the API server decides on the method that the client used (${mode} mode)`, async t => {
    const world = await startedIn(t, mode)
    const { api, issuer } = world
    let nth = 0
    for (const target of targets) {
      for (const [method, headers] of [
        ['GET', webSocket],
        ['GET', spdy],
        ['POST', spdy],
        ['POST', webSocket],
      ] as const) {
        api.respondWith(echo)
        const all = [...headers, ...overriding]
        const client = await asking(
          t,
          world,
          upgradeBytes(world, { method, path: target, headers: all }),
        )
        t.equal((await client.readHead()).status, 101, `${method} ${target}`)
        const request = await api.request(nth)
        t.strictSame([request.method, request.target], [method, target])
        t.strictSame(
          request.values('impersonate-user'),
          mode === 'gateway' ? [`${issuer.url}#alice`] : [],
          'as the caller, and nobody else',
        )
        t.strictSame(
          request.values('x-http-method-override'),
          ['GET'],
          'which is not for us to read',
        )
        client.reset()
        nth += 1

        const no = statusBody(403, 'Forbidden', 'cannot create resource "pods/exec"')
        api.respondWith((_, answer) => answer.reply(403, {}, no))
        const refused = await asking(
          t,
          world,
          upgradeBytes(world, { method, path: target, headers }),
        )
        const answer = await refused.readResponse()
        t.strictSame([answer.status, answer.json()], [403, no], 'and its no is final')
        nth += 1
      }
    }
    t.equal(api.forwarded.length, nth, 'nothing is asked in another way')
    t.strictSame(api.faults, [])
  })
}
