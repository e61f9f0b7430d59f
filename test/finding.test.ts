import t from 'tap'
import { noConnection } from '../lib/finding.js'

const withCode = (code: string, message = 'in the words of a library'): Error =>
  Object.assign(new Error(message), { code })

t.test('the reason is the innermost one that has a code, in words', async t => {
  const table: ReadonlyArray<readonly [unknown, string, boolean]> = [
    [withCode('ECONNREFUSED'), 'the connection is refused', false],
    [
      new TypeError('fetch failed', { cause: withCode('ENOTFOUND') }),
      'its name cannot be resolved',
      false,
    ],
    [new AggregateError([withCode('ECONNREFUSED')]), 'the connection is refused', false],
    [
      withCode('DEPTH_ZERO_SELF_SIGNED_CERT'),
      'its certificate is of an authority that is not trusted',
      true,
    ],
    [withCode('ERR_TLS_CERT_ALTNAME_INVALID'), 'its certificate is for other names', false],
    [withCode('EODD', ''), 'EODD', false],
    [new Error('first line\nsecond line'), 'first line', false],
    [new Error('x'.repeat(300)), 'x'.repeat(200), false],
    ['a text', 'a text', false],
  ]
  t.same(
    table.map(([error]) => noConnection(error)),
    table.map(([, says, untrusted]) => ({ says, untrusted })),
  )
})
