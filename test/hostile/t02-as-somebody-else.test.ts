/*
 * T02: `--client-impersonation=authorize` opens a door for `kubectl --as`; whoever has no right to it tries to
 * get through all the same: by another's answer, by a forged origin, over HTTP/2, on an upgrade, or while the
 * API server cannot be asked.
 */
import t from 'tap'
import type { Decide } from '../actors/api-server.js'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld } from '../actors/world.js'
import { askOver } from './clients.js'
import { forbidden, unavailable, wholeAnswer } from './whole-answer.js'

const flags = ['--client-impersonation=authorize']
const denied = forbidden('impersonating this user, group, uid or extra is not allowed')
const masters: HeaderLines = [
  ['Impersonate-User', 'root'],
  ['Impersonate-Group', 'system:masters'],
]

t.test('an answer for one is no answer for another', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: [...flags, '--oidc-username-prefix=-'],
  })
  const { issuer, api } = world
  const decide: Decide = ({ spec }) => ({ allowed: spec['user'] === 'root-helper' })
  api.decide(decide)
  const helper = issuer.sign({ sub: 'root-helper' })
  t.equal((await world.ask({ token: helper, headers: masters })).response?.status, 200)
  const others = [
    { sub: 'root' },
    { sub: 'root-helper2' },
    { sub: 'Root-helper' },
    { sub: 'alice', groups: ['root-helper'] },
  ]
  for (const claims of others) {
    const token = issuer.sign(claims)
    t.strictSame(wholeAnswer(await world.ask({ token, headers: masters })), denied, claims.sub)
  }
  t.equal(api.forwarded.length, 1)
})

t.test('no way to ask goes round the question', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { api } = world
  api.decide(() => ({ allowed: false }))
  const upgrade: HeaderLines = [['Connection', 'Upgrade'], ['Upgrade', 'SPDY/3.1'], ...masters]
  const path = '/api/v1/namespaces/a/pods/b/exec?command=sh'
  t.strictSame(wholeAnswer(await world.ask({ path, headers: upgrade })), denied)
  for (const method of ['POST', 'DELETE', 'OPTIONS', 'HEAD']) {
    t.equal((await world.ask({ method, headers: masters })).response?.status, 403, method)
  }
  const nominated: HeaderLines = [['Connection', 'Impersonate-User, Impersonate-Group'], ...masters]
  t.strictSame(wholeAnswer(await world.ask({ headers: nominated })), denied)
  const token = world.issuer.sign()
  t.equal((await askOver('HTTP/2', world, { token, headers: masters })).status, 403)
  t.equal(api.forwarded.length, 0, 'the API server has been asked, and nothing was forwarded')
})

t.test('who asks cannot be forged, neither as a field nor through what is allowed', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  const { api } = world
  api.decide(() => ({ allowed: true }))
  for (const key of [
    'original-user.impersonation-gateway.io%2Fname',
    'ORIGINAL-USER.impersonation-gateway.io%2fname',
    'original%2Duser.impersonation-gateway.io%2Fgroups',
  ]) {
    const headers: HeaderLines = [
      ['Impersonate-User', 'bob'],
      [`Impersonate-Extra-${key}`, 'root'],
    ]
    t.strictSame(
      wholeAnswer(await world.ask({ headers })),
      forbidden('the identity is reserved'),
      key,
    )
  }
  t.equal(api.forwarded.length, 0)
})

t.test('an API server that cannot be asked allows nothing', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags })
  world.api.decide(() => new Promise(() => undefined))
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => world.ask({ headers: masters })),
  )
  for (const answer of answers) {
    t.strictSame(
      wholeAnswer(answer),
      unavailable('whether impersonation is allowed could not be found out'),
    )
  }
  t.equal(world.api.requests.length, 2, 'and is asked once for all')
})
