import t from 'tap'
import type { EdgeClient } from '../../lib/edge/edge-client.js'
import { refusalBytes, refuse } from '../../lib/edge/reply.js'
import type { HeaderList } from '../../lib/exchange.js'
import { Refusal, type RefusalCode } from '../../lib/refusal.js'

const id = '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1'

interface Answered {
  readonly said: string[]
  status?: number
  headers?: HeaderList
  body: string
}

/** A client that notes what it is told. */
function client(
  about: { started?: boolean; isMultiplexed?: boolean; leaves?: boolean } = {},
): EdgeClient & { readonly answered: Answered } {
  const answered: Answered = { said: [], body: '' }
  const note = (what: string): unknown => answered.said.push(what)
  return {
    answered,
    body: undefined,
    started: about.started ?? false,
    isMultiplexed: about.isMultiplexed ?? false,
    finished: Promise.resolve(!about.leaves),
    start(status, headers) {
      note('start')
      answered.status = status
      answered.headers = headers
    },
    write(chunk) {
      answered.body += Buffer.from(chunk).toString()
      return true
    },
    end: () => note('end'),
    abort: () => note('abort'),
    closeAfterwards: () => note('close afterwards'),
    invite: () => note('invite'),
    flush: () => undefined,
    askToEnd: () => undefined,
    cut: () => note('cut'),
    asked: undefined,
    isCut: false,
    onWritable: () => undefined,
    onGone: () => undefined,
    onAskedToEnd: () => undefined,
  }
}

const bodyOf = (code: number, reason: string, message: string): string =>
  `${JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  })}\n`

const fields = (body: string, ...more: HeaderList): HeaderList => [
  ['Audit-ID', id],
  ['Cache-Control', 'no-cache, private'],
  ['Content-Type', 'application/json'],
  ['Content-Length', String(body.length)],
  ['X-Content-Type-Options', 'nosniff'],
  ...more,
]

t.test('a refusal is a Kubernetes Status, whole, and says nothing of the detail', async t => {
  const body = bodyOf(403, 'Forbidden', 'the identity is reserved')
  const to = client()
  const outcome = await refuse(id, new Refusal('identity_reserved', 'system:masters'), to)
  t.strictSame(to.answered, {
    said: ['start', 'end'],
    status: 403,
    headers: fields(body),
    body,
  })
  t.strictSame(outcome, { status: 403, bytes: body.length, ended: 'complete' })
})

t.test('a 401 says how to come in, and that a token was bad where there was one', async t => {
  const challenge = async (code: RefusalCode): Promise<HeaderList> => {
    const to = client()
    await refuse(id, new Refusal(code), to)
    return to.answered.headers?.slice(5) ?? []
  }
  const plain: HeaderList = [['WWW-Authenticate', 'Bearer realm="kubernetes"']]
  const invalid: HeaderList = [
    ['WWW-Authenticate', 'Bearer realm="kubernetes", error="invalid_token"'],
  ]
  t.strictSame(await challenge('credential_missing'), plain)
  t.strictSame(await challenge('credential_scheme'), plain)
  t.strictSame(await challenge('credential_malformed'), invalid)
  t.strictSame(await challenge('token_malformed'), invalid)
  t.strictSame(await challenge('token_expired'), invalid)
  t.strictSame(await challenge('token_signature'), invalid)
  t.strictSame(await challenge('draining'), [['Retry-After', '5']])
  t.strictSame(await challenge('keys_unavailable'), [['Retry-After', '5']])
  t.strictSame(await challenge('issuer_unavailable'), [['Retry-After', '5']])
  t.strictSame(await challenge('method_not_allowed'), [
    ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
  ])
  t.strictSame(await challenge('upstream_timeout'), [])
})

t.test('after what could not be read, and while draining, the connection ends', async t => {
  const closes = async (code: RefusalCode, isMultiplexed: boolean): Promise<boolean> => {
    const to = client({ isMultiplexed })
    await refuse(id, new Refusal(code), to)
    t.ok(['start', 'close afterwards'].includes(to.answered.said[0]!))
    return to.answered.said[0] === 'close afterwards'
  }
  for (const isMultiplexed of [false, true]) {
    t.equal(await closes('request_malformed', isMultiplexed), true)
    t.equal(await closes('request_framing', isMultiplexed), true)
    t.equal(await closes('headers_too_large', isMultiplexed), true)
    t.equal(await closes('draining', isMultiplexed), true)
    t.equal(await closes('identity_reserved', isMultiplexed), false)
    t.equal(await closes('too_many_groups', isMultiplexed), false)
    t.equal(await closes('upstream_unreachable', isMultiplexed), false)
    t.equal(await closes('method_not_allowed', isMultiplexed), false)
  }
  t.equal(await closes('token_expired', false), false)
  t.equal(await closes('token_expired', true), true, 'floods over HTTP/2 end with the first 401')
})

t.test('nothing is said inside an answer that has begun, nor to a client that left', async t => {
  const begun = client({ started: true })
  t.strictSame(await refuse(id, new Refusal('internal'), begun), {
    status: 0,
    bytes: 0,
    ended: 'client_gone',
  })
  t.strictSame(begun.answered, { said: ['abort'], body: '' })
  const gone = client()
  await refuse(id, new Refusal('client_gone'), gone)
  t.strictSame(gone.answered, { said: ['abort'], body: '' })
})

t.test('a client that leaves before it read the refusal is noted', async t => {
  const to = client({ leaves: true })
  t.match(await refuse(id, new Refusal('token_expired'), to), { status: 401, ended: 'client_gone' })
})

t.test('a connection without a request gets the same, as bytes', async t => {
  const text = refusalBytes(id, new Refusal('headers_too_large', 'too many bytes')).toString()
  const body = bodyOf(431, 'RequestHeaderFieldsTooLarge', 'the request header is too large')
  t.equal(
    text.replace(/Date: .* GMT/, 'Date: now'),
    [
      'HTTP/1.1 431 Request Header Fields Too Large',
      ...fields(body).map(([name, value]) => `${name}: ${value}`),
      'Date: now',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
})
