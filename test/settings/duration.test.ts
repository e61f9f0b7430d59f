import t from 'tap'
import { parseDuration } from '../../lib/settings/duration.js'

t.test('reads every duration that Go writes, in milliseconds', async t => {
  const durations: ReadonlyArray<readonly [string, number]> = [
    ['0', 0],
    ['+0', 0],
    ['0s', 0],
    ['60s', 60_000],
    ['+5s', 5_000],
    ['300ms', 300],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1h0m0.5s', 3_600_500],
    ['.5s', 500],
    ['5.s', 5_000],
    ['0.07h', 252_000],
    ['1.1s', 1_100],
    ['2us', 0.002],
    ['2µs', 0.002],
    ['2μs', 0.002],
    ['1ns', 0.000001],
    ['0.5ns', 0],
    ['1s1s', 2_000],
    ['2562047h47m16s', 9_223_372_036_000],
  ]
  for (const [text, milliseconds] of durations) t.equal(parseDuration(text), milliseconds, text)
})

t.test('refuses everything else, and says what to write', async t => {
  const notOne = 'must be a duration such as 30s, 300ms or 1h30m'
  const faults: ReadonlyArray<readonly [string, string]> = [
    ['', notOne],
    ['30', notOne],
    ['30 s', notOne],
    [' 30s', notOne],
    ['30s ', notOne],
    ['s', notOne],
    ['.s', notOne],
    ['.', notOne],
    ['1d', notOne],
    ['1S', notOne],
    ['1.2.3s', notOne],
    ['1e3s', notOne],
    ['one minute', notOne],
    ['PT30S', notOne],
    ['++1s', notOne],
    ['-30s', 'must not be negative'],
    ['-0', 'must not be negative'],
    ['2562047h47m16.854775808s', 'is too long'],
    [`${'9'.repeat(400)}h`, 'is too long'],
  ]
  for (const [text, says] of faults) {
    t.throws(() => parseDuration(text), { name: 'SyntaxError', message: says }, text)
  }
})
