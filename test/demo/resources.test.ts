import t from 'tap'
import { ago } from '../../lib/demo/resources.js'

t.test('ages read as kubectl writes them', async t => {
  const now = Date.parse('2026-01-10T00:00:00Z')
  const expected: readonly (readonly [number, string])[] = [
    [-5, '0s'],
    [119, '119s'],
    [120, '2m'],
    [185, '3m5s'],
    [600, '10m'],
    [10_799, '179m'],
    [10_800, '3h'],
    [11_100, '3h5m'],
    [30_000, '8h'],
    [172_799, '47h'],
    [176_400, '2d1h'],
    [700_000, '8d'],
  ]
  for (const [seconds, text] of expected) {
    t.equal(ago(new Date(now - seconds * 1_000).toISOString(), now), text)
  }
  t.equal(ago('', now), '<unknown>')
})
