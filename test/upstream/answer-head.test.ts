import t from 'tap'
import type { HeaderList } from '../../lib/exchange.js'
import { flawOfAnswer, type AnswerHead } from '../../lib/upstream/answer-head.js'

const good: AnswerHead = { status: 200, reason: 'OK', fields: [], version: '1.1' }
const coded = (...values: readonly string[]): HeaderList =>
  values.map((value): readonly [string, string] => ['Transfer-Encoding', value])

t.test('what every parser reads alike has no flaw', async t => {
  for (const about of [
    {},
    { status: 599 },
    { version: '1.0' },
    { reason: '' },
    { reason: 'so\tso \xff' },
    { fields: coded('chunked') },
    { fields: coded('Chunked') },
  ]) {
    t.equal(flawOfAnswer({ ...good, ...about }), undefined, JSON.stringify(about))
  }
  const { version: _, ...unsaid } = good
  t.equal(flawOfAnswer(unsaid), undefined)
})

t.test('what the parsers let pass, and no two of them need read alike, is named', async t => {
  const coding = 'a transfer coding other than chunked'
  const line = 'a control character in its status line'
  for (const [flaw, about] of [
    ['a status beyond 599', { status: 600 }],
    ['another HTTP', { version: '2.0' }],
    ['another HTTP', { version: '0.9' }],
    [line, { reason: 'O\0K' }],
    [line, { reason: 'O\x1bK' }],
    [line, { reason: 'O\x7fK' }],
    [coding, { fields: coded('gzip') }],
    [coding, { fields: coded('gzip, chunked') }],
    [coding, { fields: coded('chunked', 'chunked') }],
    [coding, { fields: coded('chunked\t') }],
    [coding, { fields: coded('identity') }],
    [coding, { fields: coded('') }],
  ] as const) {
    t.equal(flawOfAnswer({ ...good, ...about }), flaw, JSON.stringify(about))
  }
})
