import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose'
import t from 'tap'
import { Agent, fetch } from 'undici'
import { startIssuer } from '../../lib/demo/issuer.js'

t.test('the ID token of a user verifies with the published keys and names the groups', async t => {
  const warned = t.capture(console, 'warn')
  const informed = t.capture(console, 'info')
  const issuer = await startIssuer()
  const agent = new Agent({ connect: { ca: issuer.ca } })
  t.teardown(async () => {
    await agent.close()
    await issuer.close()
  })
  const discovered = await fetch(`${issuer.url}/.well-known/openid-configuration`, {
    dispatcher: agent,
  })
  const { jwks_uri: keysUrl } = (await discovered.json()) as { jwks_uri: string }
  const keys = (await (await fetch(keysUrl, { dispatcher: agent })).json()) as JSONWebKeySet

  const token = await issuer.tokenFor('alice')
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), {
    issuer: issuer.url,
    audience: issuer.clientId,
    algorithms: ['RS256'],
  })
  t.match(payload, {
    sub: 'alice',
    email: 'alice@example.com',
    email_verified: true,
    groups: ['developers'],
  })
  t.equal((payload.exp ?? 0) - (payload.iat ?? 0), 3_600)
  t.equal(protectedHeader.alg, 'RS256')
  t.same(decodeJwt(await issuer.tokenFor('bob'))['groups'], ['viewers'])
  t.same([...warned(), ...informed()], [], 'nothing is printed')
  await t.rejects(issuer.tokenFor('mallory'), new TypeError('the demo issuer knows no "mallory"'))
})

t.test('users, and how long their tokens are good, are the caller’s choice', async t => {
  const issuer = await startIssuer({
    users: { 'José ✓': { email: 'jose@example.com', groups: ['a', 'b'] } },
    tokenSeconds: 60,
  })
  t.teardown(() => issuer.close())
  const claims = decodeJwt(await issuer.tokenFor('José ✓'))
  t.match(claims, { sub: 'José ✓', groups: ['a', 'b'] })
  t.equal((claims.exp ?? 0) - (claims.iat ?? 0), 60)
})

t.test('nobody signs in by name unless that was asked for', async t => {
  for (const passwordless of [false, true]) {
    const issuer = await startIssuer({ passwordless })
    const agent = new Agent({ connect: { ca: issuer.ca } })
    const query = new URLSearchParams({
      client_id: issuer.clientId,
      response_type: 'code',
      redirect_uri: 'http://localhost:8000',
      scope: 'openid',
      login_hint: 'alice',
      state: 'x',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    })
    const asked = await fetch(`${issuer.url}/auth?${query.toString()}`, {
      dispatcher: agent,
      redirect: 'manual',
    })
    await asked.text()
    const cookie = asked.headers.getSetCookie().map(set => set.split(';')[0])
    const login = await fetch(issuer.url + asked.headers.get('location'), {
      dispatcher: agent,
      redirect: 'manual',
      headers: { cookie: cookie.join('; ') },
    })
    await login.text()
    t.equal(login.status, passwordless ? 303 : 403)
    await agent.close()
    await issuer.close()
  }
})
