import t from 'tap'
import type { Explanation } from '../../lib/authenticate/explain.js'
import { explainedAsJson, explainedAsText } from '../../lib/authenticate/explained.js'
import { Refusal } from '../../lib/refusal.js'

const at = Date.parse('2026-01-01T00:00:00Z')
const seconds = at / 1000
const refusal = new Refusal('token_expired')
const refused: Explanation = {
  verdict: 'refused',
  refusal,
  issuer: 'https://i.example',
  header: { alg: 'RS256', kid: 'one' },
  steps: [
    { rule: 'token', verdict: 'ok' },
    { rule: 'issuer.url', claim: 'iss', value: 'https://i.example', verdict: 'ok' },
    {
      rule: 'exp',
      claim: 'exp',
      verdict: 'refused',
      why: 'the token has expired',
      refusal,
      found: seconds - 600,
    },
    { rule: 'iat', claim: 'iat', value: seconds - 90, verdict: 'ok' },
    { rule: 'signature', verdict: 'skipped', why: 'the issuer was not asked' },
    { rule: 'claimMappings.username', expression: 'claims.sub', value: 'alice', verdict: 'ok' },
    { rule: 'identity', verdict: 'ok', value: { username: 'alice', groups: [], extra: {} } },
  ],
  identity: { username: 'alice', uid: '7', groups: [], extra: { 'example.com/a': ['b'] } },
  hints: ['a hint'],
}

t.test('the text has verdict, rules, identity and hints', async t => {
  t.equal(
    explainedAsText(refused, undefined, at),
    `refused: token_expired (401 Unauthorized)

header  alg RS256, kid one, typ none
rules   of https://i.example

Rules, in the order in which they are applied
  ok      token
  ok      issuer.url  (claim iss) = "https://i.example"
  refused exp: the token has expired; it is ${seconds - 600} (2025-12-31T23:50:00.000Z, 10 min ago)
  ok      iat = ${seconds - 90} (2025-12-31T23:58:30.000Z, 90 s ago)
  skipped signature: the issuer was not asked
  ok      claimMappings.username  (claims.sub) = "alice"
  ok      identity

Identity, if it were accepted
  user    "alice"
  uid     "7"
  groups  none
  extra   "example.com/a" = ["b"]

Hints
  a hint
`,
  )
})

t.test('of an accepted token it also tells what goes to the API server', async t => {
  const upstream = {
    credential: "the caller's token",
    headers: [
      ['Authorization', 'Bearer <the token>'],
      ['Impersonate-User', 'álice'],
    ],
  } as const
  const accepted: Explanation = {
    verdict: 'accepted',
    steps: [{ rule: 'exp', claim: 'exp', value: seconds + 7_300, verdict: 'ok' }],
    hints: [],
  }
  t.equal(
    explainedAsText(accepted, upstream, at),
    `accepted

Rules, in the order in which they are applied
  ok      exp = ${seconds + 7_300} (2026-01-01T02:01:40.000Z, 2 h ahead)

To the API server, with the caller's token
  Authorization: Bearer <the token>
  Impersonate-User: álice
`,
  )
  t.same(JSON.parse(explainedAsJson(accepted, upstream)), { ...accepted, upstream })
})

t.test('control characters of a token or an issuer are told, never written', async t => {
  const odd = '\u001b[2J\r\n\u0007\u007f\u009b\u2028\u202e'
  const told = String.raw`\u001b[2J\u000d\u000a\u0007\u007f\u009b\u2028\u202e`
  const no = new Refusal('issuer_unavailable', `said ${odd}`)
  t.equal(
    explainedAsText(
      {
        verdict: 'unknown',
        refusal: no,
        issuer: `https://i.example/${odd}`,
        header: { alg: odd, kid: odd, typ: odd },
        steps: [
          { rule: 'signature', verdict: 'refused', why: no.message, refusal: no },
          { rule: 'claimMappings.groups', claim: odd, value: '\u009b', verdict: 'ok' },
        ],
        identity: { username: '\u009b', groups: ['\u007f'], extra: { '\u2028': ['\u202e'] } },
        hints: [odd],
      },
      { credential: 'the credential', headers: [['Impersonate-User', odd]] },
      at,
    ),
    `not known: the issuer could not be asked: issuer_unavailable (503 ServiceUnavailable)

header  alg ${told}, kid ${told}, typ ${told}
rules   of https://i.example/${told}

Rules, in the order in which they are applied
  refused signature: said ${told}
  ok      claimMappings.groups  (claim ${told}) = "${String.raw`\u009b`}"

Identity
  user    "${String.raw`\u009b`}"
  groups  "${String.raw`\u007f`}"
  extra   "${String.raw`\u2028`}" = ["${String.raw`\u202e`}"]

To the API server, with the credential
  Impersonate-User: ${told}

Hints
  ${told}
`,
  )
})

t.test('the JSON has nothing that a terminal would obey, and reads as before', async t => {
  const odd = '\u001b\u007f\u0080\u009b\u009f\u2028\u202e\u2066é\n'
  const told = explainedAsJson({ verdict: 'accepted', steps: [], hints: [odd] }, undefined)
  t.match(told, String.raw`"\u001b\u007f\u0080\u009b\u009f\u2028\u202e\u2066é\n"`)
  t.notMatch(told, /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
  t.same(JSON.parse(told), { verdict: 'accepted', steps: [], hints: [odd] })
})

t.test('the JSON has codes where the text has words', async t => {
  const told = JSON.parse(explainedAsJson(refused, undefined))
  t.same(told.refusal, {
    code: 'token_expired',
    status: 401,
    reason: 'Unauthorized',
    message: 'the token has expired',
    detail: 'the token has expired',
  })
  t.same(told.steps[2], {
    rule: 'exp',
    claim: 'exp',
    verdict: 'refused',
    why: 'the token has expired',
    code: 'token_expired',
    found: seconds - 600,
  })
  t.same(Object.keys(told).toSorted(), [
    'header',
    'hints',
    'identity',
    'issuer',
    'refusal',
    'steps',
    'verdict',
  ])
})
