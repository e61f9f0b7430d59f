import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { inBatches } from '../../lib/observe/batch.js'

t.test('things are dealt with together, in order and once: when asked', async t => {
  const dealt: number[][] = []
  const batch = inBatches<number>(all => dealt.push([...all]))
  batch.add(1)
  batch.add(2)
  t.same(dealt, [])
  batch.pass()
  batch.pass()
  batch.add(3)
  batch.pass()
  t.same(dealt, [[1, 2], [3]])
})

t.test('a moment later without being asked', async t => {
  const dealt: number[][] = []
  const batch = inBatches<number>(all => dealt.push([...all]))
  batch.add(1)
  batch.add(2)
  for (let tries = 0; tries < 500 && dealt.length === 0; tries += 1) await pause(10)
  t.same(dealt, [[1, 2]])
})

t.test('and before they are too many', async t => {
  const dealt: number[] = []
  const batch = inBatches<number>(all => dealt.push(all.length))
  for (let n = 0; n < 300; n += 1) batch.add(n)
  t.same(dealt, [128, 128])
  batch.pass()
  t.same(dealt, [128, 128, 44])
})
