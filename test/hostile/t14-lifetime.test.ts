/*
 * T14: a token that never ends, ends in a way that is read as never, or comes from the future. The
 * usual library takes a token without `exp`, with `exp: 1e400`, and with an `iat` of next year.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startedWorld } from '../actors/world.js'
import { asUser, badToken, wholeAnswer, wholeHead } from './whole-answer.js'

const claim = badToken('a claim of the token is missing or not as required')
const expired = badToken('the token has expired')
const early = badToken('the token is not valid yet')

t.test('a token has an end, and is taken neither after it nor before its time', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  const now = Math.floor(Date.now() / 1000)
  const day = 86_400
  const header = JSON.stringify({ alg: 'RS256', kid: 'one', typ: 'JWT' })
  /** A token with this very text as the value of a claim. */
  const written = (name: string, text: string): string => {
    const claims = JSON.stringify(issuer.claims({ [name]: undefined }))
    return issuer.signText(header, claims.replace(/}$/, `,"${name}":${text}}`))
  }

  const tokens = [
    ['no exp', issuer.sign({ exp: undefined }), claim],
    ['exp null', issuer.sign({ exp: null }), claim],
    ['exp a text', issuer.sign({ exp: String(now + day) }), claim],
    ['exp a date', issuer.sign({ exp: new Date(Date.now() + day * 1000).toISOString() }), claim],
    ['exp true', issuer.sign({ exp: true }), claim],
    ['exp a list', issuer.sign({ exp: [now + day] }), claim],
    ['exp an object', issuer.sign({ exp: {} }), claim],
    ['exp beyond what a number can be', written('exp', '1e400'), claim],
    ['exp before that too', written('exp', '-1e400'), claim],
    ['exp zero', issuer.sign({ exp: 0 }), expired],
    ['exp negative', issuer.sign({ exp: -1 }), expired],
    ['exp an hour ago', issuer.sign({ exp: now - 3600 }), expired],
    ['exp a moment ago: there is no leeway', issuer.sign({ exp: now - 1 }), expired],
    ['exp now', issuer.sign({ exp: now }), expired],
    ['exp twice, the last one past', written('exp', `${String(now + day)},"exp":1`), expired],
    ['nbf tomorrow', issuer.sign({ nbf: now + day }), early],
    ['nbf beyond the leeway', issuer.sign({ nbf: now + 120 }), early],
    ['nbf a text', issuer.sign({ nbf: '0' }), claim],
    ['nbf null', issuer.sign({ nbf: null }), claim],
    ['nbf minus infinity', written('nbf', '-1e400'), claim],
    ['iat tomorrow', issuer.sign({ iat: now + day, exp: now + 2 * day }), early],
    ['iat beyond the leeway', issuer.sign({ iat: now + 120 }), early],
    ['iat a text', issuer.sign({ iat: String(now) }), claim],
    ['iat null', issuer.sign({ iat: null }), claim],
    ['iat minus infinity', written('iat', '-1e400'), claim],
  ] as const
  for (const [name, token, expected] of tokens) {
    t.strictSame(wholeAnswer(await world.ask({ token })), expected, name)
  }
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')
  t.equal(issuer.keyFetches, 1, 'and the issuer was not asked about it')

  const good = [
    ['no iat, no nbf', issuer.sign({ iat: undefined })],
    ['nbf within the leeway', issuer.sign({ nbf: Math.floor(Date.now() / 1000) + 20 })],
    ['iat within the leeway', issuer.sign({ iat: Math.floor(Date.now() / 1000) + 20 })],
    ['parts of a second', issuer.sign({ exp: now + day + 0.5, iat: now - 0.5 })],
    ['issued long ago', issuer.sign({ iat: 1 })],
  ] as const
  for (const [name, token] of good) {
    t.equal((await world.ask({ token })).response?.status, 200, name)
  }
  for (const request of world.api.forwarded) {
    t.strictSame(wholeHead(request), asUser(world, `${issuer.url}#alice`))
  }
  t.equal(world.api.forwarded.length, good.length)

  const exp = Math.ceil(Date.now() / 1000) + 2
  const brief = issuer.sign({ exp })
  t.equal((await world.ask({ token: brief })).response?.status, 200)
  await pause(exp * 1000 - Date.now())
  t.strictSame(wholeAnswer(await world.ask({ token: brief })), expired, 'known, and over')
  t.equal(world.api.forwarded.length, good.length + 1)
})
