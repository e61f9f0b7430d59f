/*
 * T19: a name that arrives at the API server as another one, and so as somebody else: trimmed, cut,
 * replaced by U+FFFD, ended by a control character. Precedents: Go trims header values; lone surrogates
 * all become U+FFFD; a header in Latin-1 loses what Latin-1 has not.
 */
import t, { type Test } from 'tap'
import { startedWorld, type World } from '../actors/world.js'
import { asUser, badToken, forbidden, refusal, wholeAnswer, wholeHead } from './whole-answer.js'

const unusable = forbidden('the identity cannot be represented')
const claim = badToken('a claim of the token is missing or not as required')

const control = [...Array.from({ length: 0x20 }, (_, n) => n), 0x7f, 0x80, 0x85, 0x9b, 0x9f]
const lossy: ReadonlyArray<readonly [string, string]> = [
  ['a blank behind it', 'alice '],
  ['a tab behind it', 'alice\t'],
  ['a line feed behind it', 'alice\n'],
  ['a no-break space behind it', 'alice\u{a0}'],
  ['an ideographic space behind it', 'alice\u{3000}'],
  ['a byte order mark behind it', 'alice\u{feff}'],
  ['another header field inside', 'alice\r\nImpersonate-Group: system:masters'],
  ['another header field inside, by line feeds', 'alice\nImpersonate-Group: system:masters\n\n'],
  ['the first half of a pair', 'alice\u{d83d}'],
  ['the second half of a pair', '\u{de00}alice'],
  ['the halves in the wrong order', 'a\u{de00}\u{d83d}b'],
  ['1,025 bytes', 'x'.repeat(1025)],
  ['1,026 bytes in 513 characters', '\u{e9}'.repeat(513)],
  ['64 KiB', 'x'.repeat(65_536)],
  ...control.map(
    code => [`U+${code.toString(16)} inside`, `al${String.fromCharCode(code)}ice`] as const,
  ),
]
const leading: ReadonlyArray<readonly [string, string]> = [
  ['a blank before it', ' alice'],
  ['a no-break space before it', '\u{a0}alice'],
  ['a byte order mark before it', '\u{feff}alice'],
]
const notNames: ReadonlyArray<readonly [string, unknown]> = [
  ['null', null],
  ['a number', 1],
  ['true', true],
  ['an object', { name: 'alice' }],
  ['a list', ['alice']],
  ['an empty list', []],
]
const faithful = [
  'x',
  'Jos\u{e9} \u{2713}',
  '\u{65e5}\u{672c}',
  '\u{1f600}',
  'e\u{301}',
  'alice@example.com',
  'CN=alice,O=dev',
  'a b  c',
  'a,b;c"d\\e',
  '%2D%00\u{fffd}',
  'alice#1',
  'x'.repeat(1024),
  '\u{e9}'.repeat(512),
]

t.test('without prefixes', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags: ['--oidc-username-prefix=-'] })
  await refuses(t, world, [...lossy, ...leading])
  for (const [name, sub] of [...notNames, ['none', undefined] as const]) {
    t.strictSame(wholeAnswer(await world.ask({ token: world.issuer.sign({ sub }) })), claim, name)
  }
  const notGroups = [
    1,
    true,
    { dev: true },
    [1],
    ['dev', null],
    ['dev', ['ops']],
    [{ name: 'dev' }],
  ]
  for (const groups of notGroups) {
    const token = world.issuer.sign({ groups })
    t.strictSame(wholeAnswer(await world.ask({ token })), claim, JSON.stringify(groups))
  }
  const crowd = Array.from({ length: 257 }, (_, n) => `team-${String(n)}`)
  t.strictSame(
    wholeAnswer(await world.ask({ token: world.issuer.sign({ groups: crowd }) })),
    refusal(
      431,
      'RequestHeaderFieldsTooLarge',
      'the identity has too many groups: 257, at most 256',
    ),
    'one group too many is none cut off',
  )
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')

  await t.test('all others arrive byte for byte, in their order', async t => {
    for (const name of faithful) {
      const token = world.issuer.sign({ sub: name, groups: [name, 'dev'] })
      t.equal((await world.ask({ token })).response?.status, 200, name)
      t.strictSame(wholeHead(world.api.forwarded.at(-1)!), asUser(world, name, name, 'dev'), name)
    }
    const token = world.issuer.sign({ groups: [...faithful, 'x', ...crowd.slice(0, 200), 'x'] })
    t.equal((await world.ask({ token })).response?.status, 200)
    t.strictSame(
      wholeHead(world.api.forwarded.at(-1)!),
      asUser(world, 'alice', ...faithful, ...crowd.slice(0, 200)),
      'repeats are said once',
    )
    t.strictSame(world.api.faults, [])
  })
})

t.test('with prefixes, which count', async t => {
  const prefix = 'p'.repeat(512)
  const flags = [`--oidc-username-prefix=${prefix}`, `--oidc-groups-prefix=${prefix}`]
  const world = await startedWorld(t, { mode: 'gateway', flags })
  await refuses(t, world, [...lossy, ['513 bytes behind 512', 'x'.repeat(513)]])
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')

  const longest = 'x'.repeat(512)
  const token = world.issuer.sign({ sub: longest, groups: longest })
  t.equal((await world.ask({ token })).response?.status, 200)
  const name = `${prefix}${longest}`
  t.strictSame(wholeHead(await world.api.request(0)), asUser(world, name, name))
})

async function refuses(
  t: Test,
  { issuer, ...world }: World,
  names: ReadonlyArray<readonly [string, string]>,
): Promise<void> {
  for (const [title, name] of names) {
    const user = issuer.sign({ sub: name })
    t.strictSame(wholeAnswer(await world.ask({ token: user })), unusable, `user: ${title}`)
    const group = issuer.sign({ groups: ['dev', name, 'ops'] })
    t.strictSame(wholeAnswer(await world.ask({ token: group })), unusable, `group: ${title}`)
  }
}
