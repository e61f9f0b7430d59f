import t from 'tap'
import { flawOf } from '../lib/name.js'

t.test('a name arrives as it was meant, or is said to have a flaw', async t => {
  for (const name of ['alice', 'a b', 'bøb ✓', 'system:masters', '"', 'x'.repeat(1024)]) {
    t.equal(flawOf(name), undefined, name)
  }
  const flaws: ReadonlyArray<readonly [string, string]> = [
    ['', 'is blank'],
    [' \t', 'is blank'],
    [' a', 'begins or ends with a blank'],
    ['a\u00a0', 'begins or ends with a blank'],
    ['a\u0000b', 'has a control character'],
    ['a\u0085b', 'has a control character'],
    ['a\ud800b', 'is not well-formed Unicode'],
    ['x'.repeat(1025), 'is longer than 1024 bytes'],
    ['ä'.repeat(513), 'is longer than 1024 bytes'],
  ]
  for (const [name, flaw] of flaws) t.equal(flawOf(name), flaw, JSON.stringify(name))
})
