import t from 'tap'
import type { HeaderList, Protocol } from '../../lib/exchange.js'
import { Grant } from '../../lib/grant.js'
import type { Identity } from '../../lib/identity.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import {
  assertGranted,
  upstreamHeaders,
  type GatewayCredential,
} from '../../lib/upstream/headers.js'
import { alice, auditId, byCaller, byCallerAs, byGateway, context } from './granted.js'

const token: GatewayCredential = {
  authorization: new Secret('Bearer own.token', 'credential of the gateway'),
}
const certificate: GatewayCredential = { authorization: undefined }

/** The whole list in pairs, as it would leave. */
function sent(
  headers: HeaderList,
  grant: Grant,
  credential?: GatewayCredential,
  protocol: Protocol = 'HTTP/1.1',
): HeaderList {
  const list = upstreamHeaders(context({ headers, protocol }), grant, credential)
  return pairs(assertGranted(list, grant, credential))
}

const pairs = (list: readonly string[]): HeaderList =>
  Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at]!, list[2 * at + 1]!])

/** What every list has between the client's fields and the identity. */
const ours: HeaderList = [
  ['X-Forwarded-For', '192.0.2.7'],
  ['Audit-ID', auditId],
]
const asAlice: HeaderList = [
  ['Impersonate-User', 'alice'],
  ['Impersonate-Group', 'dev'],
  ['Impersonate-Group', 'ops'],
]
const callers: HeaderList = [['Authorization', 'Bearer caller.s.token']]
const own: HeaderList = [['Authorization', 'Bearer own.token']]

/** Everything a client may try to be somebody else with, or from somewhere else. */
const hostile: HeaderList = [
  ['Host', 'gateway.example'],
  ['Accept', 'application/json'],
  ['Authorization', 'Bearer caller.s.token'],
  ['Connection', 'Impersonate-User, Authorization, X-Trace'],
  ['connection', 'keep-alive,Audit-ID , X-Forwarded-For'],
  ['X-Trace', '1'],
  ['Impersonate-User', 'system:admin'],
  ['impersonate-user', 'root'],
  ['IMPERSONATE-UID', '0'],
  ['Impersonate_User', 'root'],
  ['Impersonate%2DUser', 'root'],
  ['Impersonate%2dGroup', 'system:masters'],
  ['Impersonate-Group', 'system:masters'],
  ['Impersonate-Extra-Scopes', 'all'],
  ['Impersonate-Extra-Example.com%2FTenant', 'other'],
  ['ImpersonateFoo', 'x'],
  ['Impersonate-Something-New', 'x'],
  ['X-Remote-User', 'root'],
  ['X-Remote-Group', 'system:masters'],
  ['X-Remote-Extra-Scopes', 'all'],
  ['X_Remote_User', 'root'],
  ['x%2Dremote%2duser', 'root'],
  ['X-Forwarded-For', '10.0.0.1'],
  ['X_Forwarded_For', '10.0.0.1'],
  ['X-Forwarded-User', 'root'],
  ['X-Forwarded-Host', 'evil.example'],
  ['Forwarded', 'for=10.0.0.1'],
  ['X-Real-IP', '10.0.0.1'],
  ['X_Real_IP', '10.0.0.1'],
  ['X-Original-URL', '/api/v1/secrets'],
  ['X-Original-Method', 'DELETE'],
  ['X-Auth-Request-User', 'root'],
  ['X-Auth-Request-Groups', 'system:masters'],
  ['Audit-ID', 'something else'],
  ['audit_id', 'something else'],
  ['TE', 'trailers'],
  ['Trailer', 'Impersonate-User'],
  ['Upgrade', 'h2c'],
  ['HTTP2-Settings', 'AAMAAABkAAQCAAAAAAIAAAAA'],
  ['Keep-Alive', 'timeout=5'],
  ['Proxy-Connection', 'keep-alive'],
  ['Proxy-Authorization', 'Basic cm9vdDo='],
  ['Proxy-Authenticate', 'Basic'],
  ['Transfer-Encoding', 'chunked'],
  ['Expect', '100-continue'],
  ['User-Agent', 'kubectl/v1.35.2'],
]
const harmless: HeaderList = [
  ['Accept', 'application/json'],
  ['User-Agent', 'kubectl/v1.35.2'],
]

t.test('a hostile client says nothing of who it is, or from where: the whole list', async t => {
  t.strictSame(sent(hostile, byCaller), [...harmless, ...ours, ...callers], "caller's token")
  t.strictSame(
    sent(hostile, byCallerAs(alice)),
    [...harmless, ...ours, ...callers, ...asAlice],
    "caller's token, impersonating",
  )
  t.strictSame(
    sent(hostile, byGateway, token),
    [...harmless, ...ours, ...asAlice, ...own],
    "gateway's token",
  )
  t.strictSame(
    sent(hostile, byGateway, certificate),
    [...harmless, ...ours, ...asAlice],
    "gateway's client certificate",
  )
})

t.test('the same comes over HTTP/2', async t => {
  const lower = hostile
    .filter(([name]) => !['Connection', 'connection', 'X-Trace'].includes(name))
    .map(([name, value]) => [name.toLowerCase(), value] as const)
  t.strictSame(sent(lower, byGateway, token, 'HTTP/2.0'), [
    ['accept', 'application/json'],
    ['user-agent', 'kubectl/v1.35.2'],
    ...ours,
    ...asAlice,
    ...own,
  ])
})

t.test('each spelling alone is left out', async t => {
  for (const [name, value] of hostile) {
    if (harmless.some(([kept]) => kept === name) || name === 'X-Trace') continue
    t.strictSame(sent([[name, value]], byGateway, certificate), [...ours, ...asAlice], name)
  }
})

t.test('names that only look alike pass, in order, with case and repeats kept', async t => {
  const alike: HeaderList = [
    ['X-Impersonate-User', 'a'],
    ['impersonat', 'b'],
    ['X-Remote', 'c'],
    ['X-Forwarded', 'd'],
    ['x-Custom', '1'],
    ['X-custom', '2'],
    ['Accept-Encoding', 'gzip'],
    ['Content-Type', 'application/json'],
    ['Content-Length', '2'],
    ['Origin', 'https://a.example'],
    ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ]
  t.strictSame(sent(alike, byCaller), [...alike, ...ours, ...callers])
})

t.test('what Connection names goes, other fields and ours stay', async t => {
  const headers: HeaderList = [
    ['Connection', 'close, , X-A ,\tx-b, Content-Length'],
    ['Content-Length', '2'],
    ['X-A', '1'],
    ['X-B', '2'],
    ['X-C', '3'],
    ['close', '4'],
  ]
  t.strictSame(sent(headers, byGateway, token), [
    ['Content-Length', '2'],
    ['X-C', '3'],
    ['close', '4'],
    ...ours,
    ...asAlice,
    ...own,
  ])
})

t.test('identities go out as UTF-8 bytes, one line a group, order kept', async t => {
  const identity: Identity = {
    username: 'José ✓',
    uid: '日本-1',
    groups: ['日本', 'a, b', 'Ünïcode'],
    extra: {},
  }
  const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
  const said: HeaderList = [
    ['Impersonate-User', bytes('José ✓')],
    ['Impersonate-Uid', bytes('日本-1')],
    ['Impersonate-Group', bytes('日本')],
    ['Impersonate-Group', 'a, b'],
    ['Impersonate-Group', bytes('Ünïcode')],
  ]
  t.strictSame(sent([], Grant.byGateway(identity), token), [...ours, ...said, ...own])
  t.strictSame(sent([], byCallerAs(identity)), [...ours, ...callers, ...said])
  t.equal(Buffer.from(said[0]![1], 'latin1').toString('hex'), '4a6f73c3a920e29c93')
})

t.test('two hundred groups are two hundred lines', async t => {
  const groups = Array.from({ length: 200 }, (_, at) => `group-${at}`)
  t.strictSame(sent([], Grant.byGateway({ username: 'alice', groups, extra: {} }), token), [
    ...ours,
    ['Impersonate-User', 'alice'],
    ...groups.map(group => ['Impersonate-Group', group] as const),
    ...own,
  ])
})

t.test('no groups are no lines', async t => {
  t.strictSame(sent([], byCallerAs({ username: 'alice', groups: [], extra: {} })), [
    ...ours,
    ...callers,
    ['Impersonate-User', 'alice'],
  ])
})

t.test('extra keys that a field name cannot say are percent-encoded', async t => {
  const extra = {
    scopes: ['a', 'b'],
    'example.com/tenant': ['one, two'],
    'a b': ['blank'],
    'a%b': ['percent'],
    'a:b': ['colon'],
    'k\r\nimpersonate-user: root': ['line'],
    schlüssel: ['日'],
    "!#$&'*+-.^_`|~09az": ['token'],
    none: [],
  }
  t.strictSame(sent([], Grant.byGateway({ username: 'alice', groups: [], extra }), token), [
    ...ours,
    ['Impersonate-User', 'alice'],
    ['Impersonate-Extra-scopes', 'a'],
    ['Impersonate-Extra-scopes', 'b'],
    ['Impersonate-Extra-example.com%2Ftenant', 'one, two'],
    ['Impersonate-Extra-a%20b', 'blank'],
    ['Impersonate-Extra-a%25b', 'percent'],
    ['Impersonate-Extra-a%3Ab', 'colon'],
    ['Impersonate-Extra-k%0D%0Aimpersonate-user%3A%20root', 'line'],
    ['Impersonate-Extra-schl%C3%BCssel', Buffer.from('日').toString('latin1')],
    ["Impersonate-Extra-!#$&'*+-.^_`|~09az", 'token'],
    ...own,
  ])
})

t.test('the crumbs of a cookie are one line again, over HTTP/2 alone', async t => {
  const crumbs: HeaderList = [
    ['cookie', 'a=1'],
    ['accept', '*/*'],
    ['cookie', 'b=2'],
    ['cookie', 'c=3'],
  ]
  t.strictSame(sent(crumbs, byCaller, undefined, 'HTTP/2.0'), [
    ['cookie', 'a=1; b=2; c=3'],
    ['accept', '*/*'],
    ...ours,
    ...callers,
  ])
  t.strictSame(sent(crumbs, byCaller), [...crumbs, ...ours, ...callers])
})

t.test('a bearer subprotocol goes no further; its neighbours do', async t => {
  const bearer = 'base64url.bearer.authorization.k8s.io.Y2FsbGVyLnMudG9rZW4'
  const protocols = (value: string): HeaderList =>
    sent([['Sec-WebSocket-Protocol', value]], byCaller)
  const rest = [...ours, ...callers]
  t.strictSame(protocols(bearer), rest)
  t.strictSame(protocols(`${bearer}, v5.channel.k8s.io,v4.channel.k8s.io`), [
    ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io, v4.channel.k8s.io'],
    ...rest,
  ])
  t.strictSame(protocols('v5.channel.k8s.io,v4.channel.k8s.io'), [
    ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io,v4.channel.k8s.io'],
    ...rest,
  ])
})

t.test('names seen before do not use up the judgement of names to come', async t => {
  const many: HeaderList = Array.from({ length: 900 }, (_, at) => [`X-Many-${at}`, '1'])
  const tried = [...many, ['iMPERSONATE_uSER', 'root'], ['X-RemotE-User', 'root']] as const
  t.strictSame(sent(tried, byCaller), [...many, ...ours, ...callers])
})

const invariant = (list: readonly string[], grant: Grant, own = token): string => {
  try {
    assertGranted([...list], grant, own)
    return 'passes'
  } catch (error) {
    return error instanceof Refusal ? `${error.code} ${error.status}` : String(error)
  }
}

t.test("a grant of the gateway's credential without one is an internal fault", async t => {
  t.throws(() => upstreamHeaders(context(), byGateway, undefined), { code: 'invariant' })
  const named = asAlice.flat()
  t.throws(() => assertGranted(named, byGateway, undefined), { code: 'invariant' })
  t.equal(assertGranted(named, byGateway, certificate), named)
})

t.test('the last line holds whatever the list above it got wrong', async t => {
  const user = ['Impersonate-User', 'alice']
  const groups = ['Impersonate-Group', 'dev', 'Impersonate-Group', 'ops']
  const as = [...user, ...groups]
  const auth = ['Authorization', 'Bearer own.token']
  const theirs = ['Authorization', 'Bearer caller.s.token']
  const impersonating = byCallerAs(alice)
  const cases: ReadonlyArray<readonly [string, Grant, readonly string[], 'passes' | 'refused']> = [
    ['gateway, named', byGateway, [...auth, ...as], 'passes'],
    ['gateway, nobody', byGateway, auth, 'refused'],
    ['gateway, groups alone', byGateway, [...auth, ...groups], 'refused'],
    ['gateway, empty name', byGateway, [...auth, 'Impersonate-User', '', ...groups], 'refused'],
    ['gateway, blank name', byGateway, [...auth, 'Impersonate-User', ' \t', ...groups], 'refused'],
    ['gateway, another', byGateway, [...auth, 'Impersonate-User', 'bob', ...groups], 'refused'],
    ['gateway, two names', byGateway, [...auth, ...user, ...as], 'refused'],
    ['gateway, in another case', byGateway, [...auth, ...as, 'impersonate-user', 'x'], 'refused'],
    // Go reads the first one alone, and finds nobody in it.
    ['gateway, a blank one first', byGateway, [...auth, 'Impersonate-User', '', ...as], 'refused'],
    ['gateway, a blank one last', byGateway, [...auth, ...as, 'Impersonate-User', ''], 'refused'],
    ['gateway, a group too few', byGateway, [...auth, ...as.slice(0, -2)], 'refused'],
    ['gateway, a group too many', byGateway, [...auth, ...as, ...groups], 'refused'],
    ['gateway, a uid', byGateway, [...auth, ...as, 'Impersonate-Uid', '0'], 'refused'],
    ['gateway, an extra', byGateway, [...auth, ...as, 'Impersonate-Extra-A', 'b'], 'refused'],
    ['gateway, another spelling', byGateway, [...auth, ...as, 'Impersonate_User', 'x'], 'refused'],
    ['gateway, no credential', byGateway, as, 'refused'],
    ['gateway, two credentials', byGateway, [...auth, ...auth, ...as], 'refused'],
    ["gateway, with the caller's", byGateway, [...theirs, ...as], 'refused'],
    ["gateway, with the caller's too", byGateway, [...auth, ...theirs, ...as], 'refused'],
    ['caller', byCaller, theirs, 'passes'],
    ['caller, no credential', byCaller, [], 'refused'],
    ['caller, with ours', byCaller, auth, 'refused'],
    ['caller, two credentials', byCaller, [...theirs, 'authorization', 'y'], 'refused'],
    ['caller, impersonating unasked', byCaller, [...theirs, ...user], 'refused'],
    ['caller, a stray group', byCaller, [...theirs, 'Impersonate-Group', 'dev'], 'refused'],
    ['caller, an empty stray', byCaller, [...theirs, 'IMPERSONATE-UID', ''], 'refused'],
    ['impersonating caller', impersonating, [...theirs, ...as], 'passes'],
    ['impersonating caller, nobody', impersonating, theirs, 'refused'],
    ['impersonating caller, no credential', impersonating, as, 'refused'],
    ['impersonating caller, with ours', impersonating, [...auth, ...as], 'refused'],
  ]
  for (const [title, grant, list, expected] of cases) {
    t.equal(invariant(list, grant), expected === 'passes' ? 'passes' : 'invariant 500', title)
  }
  t.equal(invariant(as, byGateway, certificate), 'passes', 'gateway, by certificate')
  t.equal(
    invariant([...auth, ...as], byGateway, certificate),
    'invariant 500',
    'gateway, by certificate and a token',
  )
})

t.test('who comes with nothing goes with nothing, and nothing else would be sent', async t => {
  const nobody = Grant.byNobody({
    username: 'system:anonymous',
    groups: ['system:unauthenticated'],
    extra: {},
  })
  t.strictSame(sent([['Accept', 'application/json'], ...hostile.slice(6)], nobody), [
    ['Accept', 'application/json'],
    ...sent(hostile.slice(6), byCaller).filter(([name]) => name !== 'Authorization'),
  ])
  const list = upstreamHeaders(context(), nobody, undefined)
  for (const [name, value] of [
    ['Authorization', 'Bearer caller.s.token'],
    ['authorization', 'Bearer own.token'],
    ['Impersonate-User', 'system:anonymous'],
    ['Impersonate-Group', 'system:unauthenticated'],
    ['Impersonate-Uid', '1'],
  ] as const) {
    t.throws(
      () => assertGranted([...list, name, value], nobody, token),
      { code: 'invariant' },
      name,
    )
  }
})
