import t from 'tap'
import type { AnonymousAuthentication } from '../../lib/authenticate/configuration.js'
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
  t.equal(token?.reveal(), 'a.b.c')
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

t.test('without a credential only those pass for whom the configuration has a place', async t => {
  const asked: string[] = []
  const admitted = (
    anonymous: AnonymousAuthentication | undefined,
    target: string,
    ...headers: ReadonlyArray<readonly [string, string]>
  ): Promise<string> => {
    const known = context(...headers)
    const authenticate = createAuthenticate({
      authenticator: {
        name: 'test',
        authenticate: () => {
          asked.push(target)
          return { outcome: 'rejected', refusal: new Refusal('token_signature') }
        },
      },
      anonymous: () => anonymous,
    })
    return code(async () => {
      const given = await authenticate({ ...known, head: { ...known.head, target } })
      const { token, expiresAt } = given
      t.same(
        [given.identity, token, expiresAt],
        [
          { username: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} },
          undefined,
          Infinity,
        ],
      )
    })
  }
  const everywhere = { enabled: true, conditions: [] }
  const health = { enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] }
  t.equal(await admitted(undefined, '/livez'), 'credential_missing')
  t.equal(await admitted({ enabled: false, conditions: [] }, '/livez'), 'credential_missing')
  t.equal(await admitted(everywhere, '/api'), 'passed')
  for (const target of ['/livez', '/livez?verbose', '/readyz']) {
    t.equal(await admitted(health, target), 'passed', target)
  }
  for (const target of [
    '/livez/',
    '/livez/ping',
    '//livez',
    '/Livez',
    '/%6civez',
    '/api',
    '/',
    '/api?/livez',
    '/livez%3Fa',
  ]) {
    t.equal(await admitted(health, target), 'credential_missing', target)
  }
  t.same(asked, [])
  for (const value of ['Bearer a.b.c', 'Basic eDp5', 'Bearer', '', 'Bearer a b']) {
    t.match(
      await admitted(everywhere, '/api', ['Authorization', value]),
      /^(?:token_signature|credential_malformed|credential_scheme)$/,
      'a bad credential is not none',
    )
  }
})
