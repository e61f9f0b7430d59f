/*
 * T15: the same token in another spelling, to get past a list of revoked ones or a cache that knows
 * tokens by their text. jose takes a trailing line feed, blanks inside, padding, and other spellings of
 * the last character (its SECURITY.md leaves this to its users).
 */
import t from 'tap'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld } from '../actors/world.js'
import { asUser, badToken, noToken, refusal, wholeAnswer, wholeHead } from './whole-answer.js'

const malformed = badToken('the token is malformed')
const notBearer = noToken('only a bearer token is accepted')
const badBearer = badToken('the credential is not a well-formed bearer token')
const type = badToken('the token is of a type that is not accepted')

t.test('a token has one spelling', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  const { issuer } = world
  const good = issuer.sign()
  const [head = '', body = '', signature = ''] = good.split('.')
  const join = (...parts: readonly string[]): string => parts.join('.')
  t.equal((await world.ask({ token: good })).response?.status, 200, 'it is known from here on')
  const connections = world.api.connections.length

  const spellings: ReadonlyArray<readonly [string, string]> = [
    ['padded', `${good}=`],
    ['padded twice', `${good}==`],
    ['its header padded', join(`${head}=`, body, signature)],
    ['its payload padded', join(head, `${body}==`, signature)],
    ['in the other alphabet', join(head, body, `+${signature.slice(1)}`)],
    ['in the other alphabet, its last', join(head, body, `${signature.slice(0, -1)}/`)],
    ['percent-encoded', good.replaceAll('.', '%2E')],
    ['with one character percent-encoded', good.replace(/.$/, '%41')],
    [
      'the last character of its signature with bits that do not count',
      join(head, body, other(signature)),
    ],
    ['a fourth part', `${good}.`],
    ['a fourth part with content', `${good}.${signature}`],
    ['a leading part', `.${good}`],
    ['no signature', join(head, body)],
    ['an empty signature', join(head, body, '')],
    ['an empty payload', join(head, '', signature)],
    ['an empty header', join('', body, signature)],
    ['one part', head],
    ['dots', '..'],
    ['five parts, as if encrypted', join(head, '', head, body, signature)],
    ['quoted', `"${good}"`],
    ['with a comma behind it', `${good},`],
    ['with a parameter behind it', `${good};a=b`],
    ['JSON', JSON.stringify({ payload: body, protected: head, signature })],
  ]
  for (const [name, token] of spellings) {
    t.strictSame(wholeAnswer(await world.ask({ token })), malformed, name)
  }

  const text = JSON.stringify(issuer.claims())
  const header = JSON.stringify({ alg: 'RS256', kid: 'one' })
  const latin1 = Buffer.from('{"alg":"RS256","x":"\u{e9}"}', 'latin1')
  const surrogate = Buffer.concat([
    Buffer.from('{"x":"'),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from('"}'),
  ])
  const contents: ReadonlyArray<readonly [string, string]> = [
    ['a payload that is no JSON', issuer.signText(header, 'alice')],
    ['a payload that ends early', issuer.signText(header, text.slice(0, -1))],
    ['a payload with more behind it', issuer.signText(header, `${text}{}`)],
    ['a payload that is a list', issuer.signText(header, `[${text}]`)],
    ['a payload that is null', issuer.signText(header, 'null')],
    ['a payload that is a text', issuer.signText(header, '"alice"')],
    ['a payload with a byte order mark', issuer.signText(header, `\u{feff}${text}`)],
    ['a payload with a comment', issuer.signText(header, `/**/${text}`)],
    ['a payload that is not UTF-8', issuer.signText(header, surrogate)],
    ['a payload in UTF-16', issuer.signText(header, Buffer.from(text, 'utf16le'))],
    ['a header that is not UTF-8', issuer.signText(latin1, text)],
    ['a header with a byte order mark', issuer.signText(`\u{feff}${header}`, text)],
    ['a header that is a list', issuer.signText(`[${header}]`, text)],
    ['a header that is null', issuer.signText('null', text)],
  ]
  for (const [name, token] of contents) {
    t.strictSame(wholeAnswer(await world.ask({ token })), malformed, name)
  }
  const twice = issuer.signText('{"alg":"RS256","kid":"one","typ":"JWT","typ":"logout+jwt"}', text)
  t.strictSame(wholeAnswer(await world.ask({ token: twice })), type, 'of two types the last counts')

  const withField = (value: string): HeaderLines => [['Authorization', value]]
  const fields: ReadonlyArray<readonly [string, string]> = [
    ['two blanks', `Bearer  ${good}`],
    ['a tab', `Bearer\t${good}`],
    ['no blank', `Bearer${good}`],
    ['a colon', `Bearer: ${good}`],
    ['something behind it', `Bearer ${good} x`],
    ['a list of two', `Bearer ${good}, Bearer ${good}`],
    ['no scheme', good],
    ['another scheme', `Token ${good}`],
    ['Basic', `Basic ${Buffer.from(`alice:${good}`).toString('base64')}`],
    ['no token', 'Bearer'],
    ['an empty token', 'Bearer '],
    ['nothing', ''],
    ['a byte beyond ASCII', `Bearer ${good}\u{e9}`],
    ['a no-break space', `Bearer\u{a0}${good}`],
  ]
  for (const [name, value] of fields) {
    const exchange = await world.ask({ token: false, headers: withField(value) })
    const given = /^bearer\s+\S/i.test(value)
    t.strictSame(wholeAnswer(exchange), given ? badBearer : notBearer, name)
  }
  t.strictSame(
    wholeAnswer(await world.ask({ token: good, headers: withField(`Bearer ${good}`) })),
    refusal(400, 'BadRequest', 'more than one credential was presented'),
    'the same one twice',
  )

  t.equal(world.api.forwarded.length, 1, 'the API server has heard nothing of all this')
  t.equal(world.api.connections.length, connections)
  t.equal(issuer.keyFetches, 1, 'and the issuer was not asked about it')

  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    const headers = withField(`${scheme} ${good}`)
    t.equal((await world.ask({ token: false, headers })).response?.status, 200, scheme)
  }
  for (const request of world.api.forwarded) {
    t.strictSame(wholeHead(request), asUser(world, `${issuer.url}#alice`))
  }
  t.equal(world.api.forwarded.length, 5)
})

/** The last character of 256 bytes in base64 has four bits that decoders drop: another one of the same value. */
function other(part: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(part.slice(-1))
  const same = `${part.slice(0, -1)}${alphabet[last ^ 1] ?? ''}`
  if (!Buffer.from(same, 'base64url').equals(Buffer.from(part, 'base64url'))) {
    throw new TypeError('the length leaves no such bits')
  }
  return same
}
