import t from 'tap'
import { createBag } from '../lib/bag.js'

t.test('what is put in can be taken out again, in any order, and once', async t => {
  const bag = createBag<string>()
  const [a, b, c] = ['a', 'b', 'c'].map(thing => bag.add(thing))
  t.equal(bag.size, 3)
  a?.()
  t.strictSame(bag.values().toSorted(), ['b', 'c'])
  const again = bag.add('a')
  a?.()
  t.strictSame(bag.values().toSorted(), ['a', 'b', 'c'], 'a second time takes nothing else out')
  for (const take of [c, again, b]) take?.()
  t.strictSame([bag.size, bag.values()], [0, []])
})
