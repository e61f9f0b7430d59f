/*
 * T08: the API server, or whoever answers through it, redirects the gateway to a place that then gets the
 * credential. Precedents: CVE-2020-8559 (a redirected upgrade), CVE-2022-3172 (an aggregated API server).
 */
import t from 'tap'
import { redirect } from '../actors/api-server-answers.js'
import { startedWorld } from '../actors/world.js'
import { startBystander } from './bystander.js'
import { wholeAnswer } from './whole-answer.js'

for (const mode of ['gateway', 'caller'] as const) {
  t.test(`a redirect is the client's to follow (${mode} mode)`, async t => {
    const flags = mode === 'caller' ? ['--impersonation=never'] : []
    const world = await startedWorld(t, { mode, flags })
    const bystander = await startBystander(t, world.api.authority)
    const places = [
      `${bystander.url}/api/v1/pods`,
      `//127.0.0.1:${new URL(bystander.url).port}/`,
      `${world.api.url}/elsewhere`,
      '/elsewhere',
      'elsewhere?x=1#y',
    ]
    let asked = 0
    for (const status of [300, 301, 302, 303, 307, 308]) {
      for (const place of places) {
        for (const method of ['GET', 'POST']) {
          world.api.respondWith(redirect(place, status))
          const { responses, response, closed } = await world.ask({
            method,
            path: `/apis/metrics.example.com/v1/${String(status)}`,
            ...(method === 'POST' && { headers: [['Content-Length', '2']], body: '{}' }),
          })
          asked += 1
          t.strictSame(
            wholeAnswer({ response }),
            { status, headers: { location: place, 'audit-id': '<uuid>' }, body: '' },
            `${method} ${String(status)} ${place}`,
          )
          t.strictSame([responses.length, closed], [1, 'open'])
        }
      }
    }
    t.equal(world.api.forwarded.length, asked, 'each request went out once')
    t.strictSame(bystander.seen, [])
    t.strictSame(world.api.faults, [])
  })
}
