import t from 'tap'
import type { HeaderList } from '../../lib/exchange.js'
import { answerHeaders } from '../../lib/upstream/answer.js'

const id = '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1'
const audit = ['Audit-ID', id] as const
const relayed = (fields: HeaderList): HeaderList =>
  answerHeaders(fields, id, { status: 200, stripped: false })

t.test('end-to-end fields pass, in order, with case and repeats kept', async t => {
  const fields: HeaderList = [
    ['Content-Type', 'application/json'],
    ['Content-Length', '12'],
    ['Content-Encoding', 'gzip'],
    ['Location', 'https://elsewhere.example/'],
    ['Retry-After', '1'],
    ['Warning', '299 - "deprecated"'],
    ['warning', '299 - "\xc3\xbc"'],
    ['Set-Cookie', 'a=1'],
    ['Set-Cookie', 'b=2'],
    ['WWW-Authenticate', 'Basic realm="kubernetes-master"'],
    ['X-Kubernetes-Pf-Flowschema-Uid', 'u'],
    ['Date', 'now'],
  ]
  t.strictSame(relayed(fields), [...fields, audit])
})

t.test('fields of the connection, and what it names, stay behind', async t => {
  t.strictSame(
    relayed([
      ['Connection', 'close, X-Hop'],
      ['connection', ' x-other'],
      ['Keep-Alive', 'timeout=5'],
      ['Proxy-Authenticate', 'Basic'],
      ['Proxy-Authorization', 'Basic'],
      ['Proxy-Connection', 'close'],
      ['TE', 'trailers'],
      ['Trailer', 'X-Sum'],
      ['Transfer-Encoding', 'chunked'],
      ['Upgrade', 'h2c'],
      ['X-Hop', '1'],
      ['X-Other', '2'],
      ['X-Kept', '3'],
    ]),
    [['X-Kept', '3'], audit],
  )
})

t.test('the length of an answer cannot be nominated away: a cut one would look whole', async t => {
  t.strictSame(
    relayed([
      ['Connection', 'Content-Length'],
      ['Content-Length', '12'],
    ]),
    [['Content-Length', '12'], audit],
  )
})

t.test('what has no body has no length: it would be taken from the next answer', async t => {
  const fields: HeaderList = [
    ['ETag', '"1"'],
    ['content-Length', '12'],
  ]
  for (const status of [204, 101]) {
    const bare = answerHeaders(fields, id, { status, stripped: false })
    t.strictSame(bare, [['ETag', '"1"'], audit], String(status))
  }
  // That of the answer that a GET would have had.
  t.strictSame(answerHeaders(fields, id, { status: 304, stripped: false }), [...fields, audit])
})

t.test("the Audit-ID is ours, whatever the API server's", async t => {
  t.strictSame(
    relayed([
      ['Audit-Id', 'other'],
      ['audit-id', 'other'],
    ]),
    [audit],
  )
})

t.test('a client whose impersonation headers were left out is told so', async t => {
  t.strictSame(
    answerHeaders([['Warning', '299 - "deprecated"']], id, { status: 200, stripped: true }),
    [
      ['Warning', '299 - "deprecated"'],
      audit,
      [
        'Warning',
        '299 - "impersonation-gateway ignored the Impersonate-* headers of this request"',
      ],
    ],
  )
})
