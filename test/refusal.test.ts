import t from 'tap'
import { Refusal, type RefusalCode } from '../lib/refusal.js'

/** What clients and dashboards rely on: status and reason of every way to say no. */
const table: Readonly<Record<RefusalCode, string>> = {
  request_malformed: '400 BadRequest',
  request_framing: '400 BadRequest',
  request_target: '400 BadRequest',
  request_authority: '400 BadRequest',
  impersonation_malformed: '400 BadRequest',
  credential_ambiguous: '400 BadRequest',
  upgrade_protocol: '400 BadRequest',
  upgrade_body: '400 BadRequest',
  method_not_allowed: '405 MethodNotAllowed',
  request_timeout: '408 Timeout',
  expectation_failed: '417 ExpectationFailed',
  headers_too_large: '431 RequestHeaderFieldsTooLarge',
  credential_missing: '401 Unauthorized',
  credential_scheme: '401 Unauthorized',
  credential_malformed: '401 Unauthorized',
  token_malformed: '401 Unauthorized',
  token_type: '401 Unauthorized',
  token_algorithm: '401 Unauthorized',
  token_unknown: '401 Unauthorized',
  token_issuer: '401 Unauthorized',
  token_audience: '401 Unauthorized',
  token_expired: '401 Unauthorized',
  token_not_yet_valid: '401 Unauthorized',
  token_key: '401 Unauthorized',
  token_signature: '401 Unauthorized',
  token_claim: '401 Unauthorized',
  identity_unusable: '403 Forbidden',
  identity_reserved: '403 Forbidden',
  impersonation_refused: '403 Forbidden',
  impersonation_denied: '403 Forbidden',
  too_many_in_flight: '429 TooManyRequests',
  too_many_groups: '431 RequestHeaderFieldsTooLarge',
  issuer_unavailable: '503 ServiceUnavailable',
  keys_unavailable: '503 ServiceUnavailable',
  token_review_unavailable: '503 ServiceUnavailable',
  access_review_unavailable: '503 ServiceUnavailable',
  draining: '503 ServiceUnavailable',
  upstream_unreachable: '502 BadGateway',
  upstream_malformed: '502 BadGateway',
  upstream_credential: '502 BadGateway',
  upstream_timeout: '504 Timeout',
  client_gone: '499 ClientClosedRequest',
  invariant: '500 InternalError',
  internal: '500 InternalError',
}

t.test('figures stand behind the sentence, and nothing else does', async t => {
  const figures = { found: 300, most: 256 }
  const said = 'the identity has too many groups: 300, at most 256'
  const refusal = new Refusal('too_many_groups', undefined, { figures })
  t.equal(refusal.toStatus().message, said)
  t.equal(refusal.message, said)
  t.equal(new Refusal('too_many_groups', 'of the log', { figures }).toStatus().message, said)
})

t.test('each refusal has its status and reason, and says a sentence of its own making', async t => {
  for (const [code, expected] of Object.entries(table) as Array<[RefusalCode, string]>) {
    const refusal = new Refusal(code, 'detail of the log', { cause: new Error('cause of the log') })
    const { message, ...status } = refusal.toStatus()
    t.equal(`${refusal.status} ${refusal.reason}`, expected, code)
    t.strictSame(status, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      reason: refusal.reason,
      code: refusal.status,
    })
    t.notMatch(message, 'of the log', code)
    t.ok(message.length > 0, code)
  }
})

t.test('detail and cause are for the log', async t => {
  const cause = new Error('why')
  const refusal = new Refusal('token_claim', 'no "sub"', { cause })
  t.match(refusal, { name: 'Refusal', code: 'token_claim', message: 'no "sub"', cause })
  t.equal(new Refusal('draining').message, 'the gateway is shutting down')
})

t.test('what nobody foresaw is an internal error, and tells the client nothing', async t => {
  const known = new Refusal('token_expired')
  t.equal(Refusal.from(known), known)
  for (const thrown of [new TypeError('secret detail'), 'secret detail', undefined]) {
    const refusal = Refusal.from(thrown)
    t.match(refusal, { code: 'internal', status: 500 })
    t.equal(refusal.cause, thrown)
    t.notMatch(JSON.stringify(refusal.toStatus()), 'secret detail')
  }
})
