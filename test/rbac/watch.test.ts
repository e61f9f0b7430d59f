import t from 'tap'
import type { Findings } from '../../lib/rbac/examination.js'
import { watchRights } from '../../lib/rbac/watch.js'
import { deferred } from '../actors/deferred.js'

const said = (verdict: Findings['verdict'], unknown?: string): Findings => ({
  verdict,
  excess: [],
  missing: [],
  ...(unknown !== undefined && { unknown }),
  incomplete: false,
})

t.test('the first outcome is waited for, and looked at again every so often', async t => {
  const outcomes = [said('least'), said('excess'), said('least')]
  const found: Findings[] = []
  const enough = deferred()
  let at = 0
  const watch = watchRights({
    examine: async () => outcomes[at++] ?? said('least'),
    found: findings => {
      found.push(findings)
      if (found.length === 3) enough.resolve()
    },
    everyMs: 1,
    startMs: 60_000,
  })
  t.teardown(() => watch.close())
  const kept = setTimeout(() => undefined, 60_000)
  t.equal((await watch.first).verdict, 'least')
  await enough.promise
  clearTimeout(kept)
  t.strictSame(
    found.slice(0, 3).map(({ verdict }) => verdict),
    ['least', 'excess', 'least'],
  )
  const late = await Promise.race([watch.late, Promise.resolve('nothing')])
  t.equal(late, 'nothing', 'what grows later condemns nobody')
})

t.test('a start does not wait longer than it should; what comes late still counts', async t => {
  const answer = deferred<Findings>()
  const watch = watchRights({ examine: () => answer.promise, found: () => undefined, startMs: 1 })
  t.teardown(() => watch.close())
  const kept = setTimeout(() => undefined, 60_000)
  t.match(await watch.first, {
    verdict: 'unknown',
    unknown: 'the API server has not answered within 0.001 s',
  })
  t.equal(watch.findings.verdict, 'unknown')
  answer.resolve(said('excess'))
  t.equal((await watch.late).verdict, 'excess')
  t.equal(watch.findings.verdict, 'excess')
  clearTimeout(kept)
})

t.test('what is unknown is asked again soon, and the first real outcome counts', async t => {
  const outcomes = [said('unknown', 'a'), said('unknown', 'b'), said('excess')]
  let at = 0
  const watch = watchRights({
    examine: async () => outcomes[at++] ?? said('least'),
    found: () => undefined,
    retryMs: 1,
  })
  t.teardown(() => watch.close())
  const kept = setTimeout(() => undefined, 60_000)
  t.match(await watch.first, { verdict: 'unknown', unknown: 'a' })
  t.equal((await watch.late).verdict, 'excess')
  clearTimeout(kept)
})

t.test('a closed watch ends what it asks, and asks no more', async t => {
  const aborted = deferred()
  let asked = 0
  let heard = 0
  const watch = watchRights({
    examine: signal =>
      new Promise(resolve => {
        asked += 1
        signal.addEventListener('abort', () => {
          resolve(said('unknown', 'aborted'))
          aborted.resolve()
        })
      }),
    found: () => (heard += 1),
    retryMs: 1,
    startMs: 60_000,
  })
  watch.close()
  await aborted.promise
  await watch.first
  await new Promise(resolve => setTimeout(resolve, 20))
  t.strictSame([asked, heard], [1, 0])
})
