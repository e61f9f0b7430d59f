/*
 * T01: a blank identity leaves the gateway as "no impersonation". The API server reads an empty
 * `Impersonate-User` as none and trims the others, so a request that carries one runs as the gateway
 * itself. Precedents: apiserver's impersonation.go; CVE-2023-48312 (capsule-proxy, an empty bearer token).
 */
import t, { type Test } from 'tap'
import { startedWorld, type World } from '../actors/world.js'
import { asUser, forbidden, wholeAnswer, wholeHead } from './whole-answer.js'

const unusable = forbidden('the identity cannot be represented')

const blank: ReadonlyArray<readonly [string, string]> = [
  ['empty', ''],
  ['one space', ' '],
  ['spaces and tabs', ' \t \t'],
  ['a no-break space', '\u{a0}'],
  ['an ideographic space', '\u{3000}'],
  ['a line separator', '\u{2028}'],
  ['a byte order mark', '\u{feff}'],
  ['a line feed', '\n'],
  ['NUL', '\0'],
]

t.test('without a prefix', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags: ['--oidc-username-prefix=-'] })
  await refusesBlank(t, world)
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')

  await t.test('a name that is only nearly blank arrives as that user', async t => {
    const { response } = await world.ask({ token: world.issuer.sign({ sub: 'x' }) })
    t.strictSame([response?.status, response?.json()], [200, { ok: true }])
    t.strictSame(wholeHead(await world.api.request(0)), asUser(world, 'x'))
  })
})

t.test('with prefixes, which do not make a name of nothing', async t => {
  const flags = ['--oidc-username-prefix=oidc:', '--oidc-groups-prefix=oidc:']
  const world = await startedWorld(t, { mode: 'gateway', flags })
  await refusesBlank(t, world)
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')

  await t.test('no groups at all are no group', async t => {
    for (const groups of [undefined, null, []]) {
      const token = world.issuer.sign({ groups })
      t.equal((await world.ask({ token })).response?.status, 200)
    }
    for (const request of world.api.forwarded) {
      t.strictSame(wholeHead(request), asUser(world, 'oidc:alice'))
    }
    t.equal(world.api.forwarded.length, 3)
  })
})

async function refusesBlank(t: Test, world: World): Promise<void> {
  for (const [name, text] of blank) {
    for (const [what, claims] of [
      ['user', { sub: text }],
      ['group', { groups: text }],
      ['group among others', { groups: ['dev', text, 'ops'] }],
    ] as const) {
      const exchange = await world.ask({ token: world.issuer.sign(claims) })
      t.strictSame(wholeAnswer(exchange), unusable, `${what} of ${name}`)
    }
  }
}
