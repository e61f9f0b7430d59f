/*
 * T13: a token that is genuine, and meant for something else: another client of the same issuer, another
 * issuer, another use. Precedents: RFC 8725 3.11 and 3.12; capsule-proxy, which asked nobody for the
 * audience; Envoy's TestWrongIssuer.
 */
import t from 'tap'
import { startedWorld } from '../actors/world.js'
import { asUser, badToken, wholeAnswer, wholeHead } from './whole-answer.js'

const audience = badToken('the token is meant for somebody else')
const issuedElsewhere = badToken('the token was issued by somebody else')
const type = badToken('the token is of a type that is not accepted')

t.test('a token is for us, from our issuer, and of a type for APIs', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  const { url } = issuer

  const audiences: ReadonlyArray<readonly [string, unknown]> = [
    ['another client', 'dashboard'],
    ['none', undefined],
    ['null', null],
    ['the empty text', ''],
    ['no entry', []],
    ['other clients', ['dashboard', 'grafana']],
    ['our name, longer', 'kubernetes-staging'],
    ['our name, shorter', 'kubernete'],
    ['our name in capitals', 'Kubernetes'],
    ['our name padded', 'kubernetes '],
    ['our name among others in one text', 'dashboard kubernetes'],
    ['our name in a list in a list', [['kubernetes']]],
    ['our name as a key', { kubernetes: true }],
    ['our name beside a number', ['kubernetes', 1]],
    ['our name beside null', [null, 'kubernetes']],
    ['true', true],
  ]
  for (const [name, aud] of audiences) {
    const token = issuer.sign({ aud })
    t.strictSame(wholeAnswer(await world.ask({ token })), audience, `the audience is ${name}`)
  }

  const issuers: ReadonlyArray<readonly [string, unknown]> = [
    ['another', 'https://issuer.example'],
    ['none', undefined],
    ['null', null],
    ['the empty text', ''],
    ['ours with a slash', `${url}/`],
    ['ours with a path', `${url}/realms/other`],
    ['ours without its port', url.replace(/:\d+$/, '')],
    ['ours by another name', url.replace('127.0.0.1', 'localhost')],
    ['ours in capitals', url.toUpperCase()],
    ['ours without TLS', url.replace('https:', 'http:')],
    ['ours padded', ` ${url}`],
    ['ours in a list', [url]],
    ['ours as a key', { [url]: true }],
  ]
  for (const [name, iss] of issuers) {
    const token = issuer.sign({ iss })
    t.strictSame(wholeAnswer(await world.ask({ token })), issuedElsewhere, `the issuer is ${name}`)
  }

  const types: ReadonlyArray<readonly [string, unknown]> = [
    ['a logout token', 'logout+jwt'],
    ['a security event', 'secevent+jwt'],
    ['a DPoP proof', 'dpop+jwt'],
    ['an authorization request', 'oauth-authz-req+jwt'],
    ['a client assertion', 'client-authentication+jwt'],
    ['a refresh token', 'Refresh'],
    ['JOSE', 'JOSE'],
    ['JWE', 'JWE'],
    ['the empty text', ''],
    ['null', null],
    ['a number', 1],
    ['a list of good ones', ['JWT']],
    ['padded', 'JWT '],
  ]
  for (const [name, typ] of types) {
    const token = issuer.sign({}, { header: { typ } })
    t.strictSame(wholeAnswer(await world.ask({ token })), type, `the type is ${name}`)
  }

  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')
  t.equal(issuer.keyFetches, 1, 'and the issuer was not asked about it')

  const good = [
    issuer.sign({ aud: ['dashboard', 'kubernetes'], azp: 'dashboard' }),
    issuer.sign({}, { header: { typ: undefined } }),
    issuer.sign({}, { header: { typ: 'at+jwt' } }),
  ]
  for (const token of good) t.equal((await world.ask({ token })).response?.status, 200)
  for (const request of world.api.forwarded) {
    t.strictSame(wholeHead(request), asUser(world, `${url}#alice`))
  }
  t.equal(world.api.forwarded.length, good.length)
})
