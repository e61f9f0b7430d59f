import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { createDeadlines } from '../../lib/upstream/deadlines.js'

t.test('who is late is told so, and who is over before is not', async t => {
  const deadlines = createDeadlines(64)
  const late: string[] = []
  const now = performance.now()
  const waiting = new Map(
    [
      ['early', now + 20],
      ['over', now + 20],
      ['never', Infinity],
      ['late', now + 60],
    ].map(([name, until]) => {
      const leave = deadlines.enter(Number(until), () => {
        late.push(String(name))
        leave()
      })
      return [name, leave] as const
    }),
  )
  waiting.get('over')?.()
  for (let tries = 0; tries < 500 && late.length < 2; tries += 1) await pause(5)
  t.same(late, ['early', 'late'])
  t.ok(performance.now() >= now + 60, 'not before its time')
  waiting.get('never')?.()
})

t.test('the clock begins anew for who comes after a silence', async t => {
  const deadlines = createDeadlines(64)
  deadlines.enter(Infinity, () => undefined)()
  await pause(10)
  const late: string[] = []
  const leave = deadlines.enter(performance.now() + 5, () => {
    late.push('again')
    leave()
  })
  for (let tries = 0; tries < 500 && late.length === 0; tries += 1) await pause(5)
  t.same(late, ['again'])
})
