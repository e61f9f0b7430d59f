/*
 * T18: an issuer, or whoever may choose a name there, says `system:masters`. Kubernetes' own names are
 * for those that Kubernetes itself authenticates. Precedent: its service accounts, whose groups the API
 * server derives from a user name.
 */
import t, { type Test } from 'tap'
import { startedWorld, type World } from '../actors/world.js'
import { asUser, forbidden, wholeAnswer, wholeHead } from './whole-answer.js'

const reserved = forbidden('the identity is reserved')

const users = [
  'system:',
  'system:admin',
  'system:anonymous',
  'system:apiserver',
  'system:kube-controller-manager',
  'system:kube-scheduler',
  'system:kube-proxy',
  'system:masters',
  'system:node:node-1',
  'system:serviceaccount:kube-system:default',
  'system:serviceaccount:ci:deployer',
  'system:unsecured',
  'system:\u{e9}',
]
const groups = [
  'system:',
  'system:authenticated',
  'system:bootstrappers',
  'system:masters',
  'system:monitoring',
  'system:nodes',
  'system:serviceaccounts',
  'system:serviceaccounts:kube-system',
  'system:unauthenticated',
]

t.test('no name that begins with "system:" comes out of a token', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags: ['--oidc-username-prefix=-'] })
  await refuses(t, world, users, groups)
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')

  // RBAC compares byte for byte, and so does the rule.
  const alike = [
    'System:masters',
    'SYSTEM:MASTERS',
    'system',
    'systemd:masters',
    'x-system:masters',
  ]
  const wide = [
    '\u{ff53}ystem:masters',
    'syst\u{435}m:masters',
    'system\u{ff1a}masters',
    'system;masters',
  ]
  for (const name of [...alike, ...wide]) {
    const token = world.issuer.sign({ sub: name, groups: [name, 'dev'] })
    t.equal((await world.ask({ token })).response?.status, 200, name)
    t.strictSame(wholeHead(world.api.forwarded.at(-1)!), asUser(world, name, name, 'dev'))
  }
})

t.test('those that are allowed pass, one by one, each as what it is', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: [
      '--oidc-username-prefix=-',
      '--allow-reserved-users=system:serviceaccount:ci:deployer,system:node:node-1',
      '--allow-reserved-groups=system:masters',
    ],
  })
  const allowed = ['system:serviceaccount:ci:deployer', 'system:node:node-1']
  await refuses(
    t,
    world,
    [
      ...users.filter(name => !allowed.includes(name)),
      'system:node:node-10',
      'system:node:node-',
      'system:serviceaccount:ci:deployer:x',
      'system:serviceaccount:CI:deployer',
    ],
    [
      ...groups.filter(name => name !== 'system:masters'),
      'system:masters2',
      'system:Masters',
      'system:node:node-1',
    ],
  )
  t.equal(world.api.connections.length, 0, 'the API server has heard nothing of all this')

  for (const sub of allowed) {
    const token = world.issuer.sign({ sub, groups: ['dev', 'system:masters'] })
    t.equal((await world.ask({ token })).response?.status, 200)
    t.strictSame(
      wholeHead(world.api.forwarded.at(-1)!),
      asUser(world, sub, 'dev', 'system:masters'),
    )
  }
})

t.test('a name counts with its prefix, and with the default prefix none is reserved', async t => {
  const world = await startedWorld(t, { mode: 'gateway', flags: ['--oidc-groups-prefix=sys'] })
  await refuses(t, world, [], ['tem:masters', 'tem:', 'tem:authenticated'])
  t.equal(world.api.connections.length, 0)

  const token = world.issuer.sign({ sub: 'system:masters', groups: ['system:masters'] })
  t.equal((await world.ask({ token })).response?.status, 200)
  t.strictSame(
    wholeHead(await world.api.request(0)),
    asUser(world, `${world.issuer.url}#system:masters`, 'syssystem:masters'),
  )
})

async function refuses(
  t: Test,
  { issuer, ...world }: World,
  users: readonly string[],
  groups: readonly string[],
): Promise<void> {
  for (const sub of users) {
    t.strictSame(
      wholeAnswer(await world.ask({ token: issuer.sign({ sub }) })),
      reserved,
      `user ${sub}`,
    )
  }
  for (const group of groups) {
    for (const claim of [group, [group], ['dev', group, 'ops']]) {
      const token = issuer.sign({ groups: claim })
      const title = `groups ${JSON.stringify(claim)}`
      t.strictSame(wholeAnswer(await world.ask({ token })), reserved, title)
    }
  }
}
