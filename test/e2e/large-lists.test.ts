import { gunzipSync } from 'node:zlib'
import t from 'tap'
import type { Answer } from './api-client.js'
import { kubectlAs } from './kubectl.js'
import { create } from './objects.js'
import { modes, startInFront } from './world.js'

const path = '/api/v1/namespaces/default/configmaps?labelSelector=of=many'
const count = 10_000

const itemsOf = (answer: Answer): readonly unknown[] =>
  (answer.json() as { readonly items: readonly unknown[] }).items

t.test('ten thousand objects', async t => {
  const all = modes()
  const gateways = await Promise.all(all.map(async mode => startInFront(t, { mode })))
  await create(gateways[0]!.behind, path.split('?', 1)[0]!, 'many', count)
  for (const [at, gateway] of gateways.entries()) {
    const alice = gateway.as('alice')
    const kubectl = kubectlAs(t, 'alice', gateway)

    await t.test(`are listed, compressed by the API server alone (${all[at]} mode)`, async t => {
      const list = await alice.must('GET', path, { headers: { 'Accept-Encoding': 'gzip' } })
      t.equal(list.headers['content-encoding'], 'gzip')
      const { items } = JSON.parse(gunzipSync(list.body).toString()) as {
        readonly items: readonly unknown[]
      }
      t.equal(items.length, count)
      const plain = await alice.must('GET', path)
      t.equal(plain.headers['content-encoding'], undefined)
      t.equal(itemsOf(plain).length, count)
    })

    await t.test(`are listed by kubectl, page by page (${all[at]} mode)`, async t => {
      const { out } = await kubectl.run('get', 'configmaps', '-l', 'of=many', '-o', 'name')
      t.equal(out.trim().split('\n').length, count)
    })
  }
  await gateways.at(-1)!.as('alice').must('DELETE', path)
  t.same(itemsOf(await gateways[0]!.as('alice').must('GET', path)), [], 'gone after one request')
})
