import t from 'tap'
import type { Authenticator, Verdict } from '../../lib/authenticate/authenticator.js'
import { createAuthenticate } from '../../lib/authenticate/stage.js'
import type { HeaderList, RequestContext } from '../../lib/exchange.js'
import { Refusal } from '../../lib/refusal.js'
import { requestInfo } from '../../lib/request-info.js'

const context = (...headers: HeaderList): RequestContext => ({
  id: 'e5f0c1f2-0c39-4f5c-9d7c-0b2a1a4f9b11',
  receivedAt: 0,
  head: { protocol: 'HTTP/1.1', method: 'GET', target: '/api', headers, hasBody: false },
  info: requestInfo('GET', '/api'),
  peer: { address: '192.0.2.1', encrypted: true },
  signal: new AbortController().signal,
})
const withToken = context(['Authorization', 'Bearer a.b.c'])
const identity = { username: 'alice', groups: [], extra: {} }
const alice: Verdict = { outcome: 'authenticated', identity, expiresAt: 1_000 }
const saying = (verdict: Verdict | Promise<Verdict>): Authenticator => ({
  name: 'test',
  authenticate: () => verdict,
})
const stage = (
  verdict: Verdict | Promise<Verdict>,
  now = 0,
): ReturnType<typeof createAuthenticate> =>
  createAuthenticate({ authenticator: saying(verdict), now: () => now })
const code = async (run: () => unknown): Promise<string> => {
  try {
    await run()
    return 'passed'
  } catch (error) {
    return Refusal.from(error).code
  }
}

t.test('who is known passes at once, with token and end', async t => {
  const known = stage(alice)(withToken)
  if (known instanceof Promise) throw new Error('must not wait')
  const { token, ...rest } = known
  t.strictSame(rest, { context: withToken, identity, expiresAt: 1_000 })
  t.equal(known.identity, identity, 'the same object')
  t.equal(token.reveal(), 'a.b.c')
})

t.test('who is not known yet is waited for', async t => {
  const known = stage(Promise.resolve(alice))(withToken)
  t.type(known, Promise)
  t.equal((await known).identity, identity)
})

t.test('whoever is not authenticated does not pass', async t => {
  for (const verdict of [
    { outcome: 'rejected', refusal: new Refusal('token_signature') },
    { outcome: 'abstained', refusal: new Refusal('token_issuer') },
  ] as const) {
    t.equal(await code(() => stage(verdict)(withToken)), verdict.refusal.code)
    t.equal(await code(() => stage(Promise.resolve(verdict))(withToken)), verdict.refusal.code)
  }
})

t.test('a verdict that was long in coming may be too late', async t => {
  t.equal(await code(() => stage(alice, 999_999)(withToken)), 'passed')
  t.equal(await code(() => stage(alice, 1_000_000)(withToken)), 'token_expired')
  t.equal(await code(() => stage(Promise.resolve(alice), 1_000_000)(withToken)), 'token_expired')
})

t.test('without exactly one credential nobody is asked', async t => {
  let asked = 0
  const authenticate = createAuthenticate({
    authenticator: {
      name: 'test',
      authenticate: () => {
        asked += 1
        return alice
      },
    },
    now: () => 0,
  })
  const line = ['Authorization', 'Bearer a.b.c'] as const
  t.equal(await code(() => authenticate(context())), 'credential_missing')
  t.equal(await code(() => authenticate(context(line, line))), 'credential_ambiguous')
  t.equal(
    await code(() => authenticate(context(['Authorization', 'Basic x']))),
    'credential_scheme',
  )
  t.equal(asked, 0)
})

t.test('that it could not be known is passed on as such', async t => {
  const authenticate = createAuthenticate({
    authenticator: {
      name: 'test',
      authenticate: () => Promise.reject(new Refusal('issuer_unavailable')),
    },
    now: () => 0,
  })
  t.equal(await code(() => authenticate(withToken)), 'issuer_unavailable')
})
