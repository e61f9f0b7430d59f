import t from 'tap'
import { allowances } from '../../lib/rbac/allowed.js'
import {
  neededRights,
  unconstrainable,
  type ClosedSets,
  type RightsConfiguration,
  type RightsMode,
} from '../../lib/rbac/needed.js'
import { beyond, type Rule } from '../../lib/rbac/rule.js'

const least: RightsConfiguration = {
  groups: false,
  uid: false,
  extraKeys: [],
  reservedUsers: [],
  reservedGroups: [],
  clientImpersonation: false,
  tokenReview: false,
}
const everything: RightsConfiguration = {
  groups: true,
  uid: true,
  extraKeys: ['b.example/key', 'a.example/key'],
  reservedUsers: ['system:serviceaccount:ci:deployer', 'system:node:n1'],
  reservedGroups: ['system:reviewers'],
  clientImpersonation: true,
  tokenReview: true,
}
const authentication = 'authentication.k8s.io'
const rules = (
  configuration: Partial<RightsConfiguration>,
  mode: RightsMode,
  closed?: ClosedSets,
): object[] =>
  neededRights({ ...least, ...configuration }, mode, closed).map(right =>
    Object.fromEntries(Object.entries(right).filter(([name]) => name !== 'why')),
  )

const verb = (resource: string, more: object = {}): object => ({
  verbs: ['impersonate'],
  apiGroups: [''],
  resources: [resource],
  ...more,
})
const constrained = { verbs: ['impersonate:user-info'], apiGroups: [authentication] }
const on = (kinds: readonly string[], verbs: string): readonly string[] =>
  kinds.flatMap(kind => verbs.split(' ').map(one => `impersonate-on:${kind}:${one}`))
const verbs = 'create delete deletecollection get list patch update watch'
const methods = 'delete get head options patch post put'

t.test('legacy: users alone where nothing else is mapped, and a rule for what is', async t => {
  t.strictSame(rules({}, 'legacy'), [verb('users')])
  t.strictSame(rules({ groups: true }, 'legacy'), [verb('users'), verb('groups')])
  t.strictSame(rules({ uid: true, extraKeys: ['b/x', 'a/x', 'b/x'] }, 'legacy'), [
    verb('users'),
    verb('uids', { apiGroups: [authentication] }),
    {
      verbs: ['impersonate'],
      apiGroups: [authentication],
      resources: ['userextras/a/x', 'userextras/b/x'],
    },
  ])
})

t.test('legacy: names close what they are names of, and nothing else', async t => {
  const groups = true
  t.strictSame(rules({ groups }, 'legacy', { groups: ['b', 'a', 'b'] }), [
    verb('users'),
    verb('groups', { resourceNames: ['a', 'b'] }),
  ])
  t.strictSame(rules({ groups }, 'legacy', { users: ['oidc:alice'] }), [
    verb('users', { resourceNames: ['oidc:alice'] }),
    verb('groups'),
  ])
  t.strictSame(
    rules({}, 'legacy', { users: ['system:serviceaccount:ci:b', 'system:serviceaccount:ci:a'] }),
    [verb('users'), verb('serviceaccounts', { namespace: 'ci', resourceNames: ['a', 'b'] })],
  )
  t.strictSame(
    rules({ groups, reservedGroups: ['system:x'], reservedUsers: ['system:node:n'] }, 'legacy', {
      groups: ['a'],
      users: ['b'],
    }),
    [
      verb('users', { resourceNames: ['b', 'system:node:n'] }),
      verb('groups', { resourceNames: ['a', 'system:x'] }),
    ],
    'what a token may carry stays possible',
  )
  t.strictSame(rules({ groups, onlyGroups: ['a'] }, 'legacy'), [
    verb('users'),
    verb('groups', { resourceNames: ['a'] }),
  ])
  t.strictSame(rules({ groups, onlyGroups: [] }, 'legacy'), [verb('users')], 'none is not any')
})

t.test('legacy: reviews for the features that ask for them', async t => {
  t.strictSame(rules({ tokenReview: true }, 'legacy'), [
    verb('users'),
    { verbs: ['create'], apiGroups: [authentication], resources: ['tokenreviews'] },
  ])
  t.strictSame(rules({ clientImpersonation: true }, 'legacy', { extraKeys: ['scopes'] }), [
    verb('users'),
    verb('groups'),
    verb('uids', { apiGroups: [authentication] }),
    verb('userextras/scopes', { apiGroups: [authentication] }),
    {
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['subjectaccessreviews'],
    },
  ])
})

t.test('constrained: other verbs, and what may be done as somebody else', async t => {
  const user = { ...constrained, resources: ['users'] }
  const requests = [
    { verbs: on(['user-info'], verbs), apiGroups: ['*'], resources: ['*'] },
    { verbs: on(['user-info'], methods), nonResourceURLs: ['*'] },
  ]
  t.strictSame(rules({}, 'constrained'), [user, ...requests])
  t.strictSame(rules({ groups: true }, 'constrained', { groups: ['a'], users: ['b'] }), [
    { ...user, resourceNames: ['b'] },
    { ...constrained, resources: ['groups'], resourceNames: ['a'] },
    ...requests,
  ])
})

t.test('constrained: service accounts and nodes are subjects of their own', async t => {
  const kinds = ['user-info', 'serviceaccount', 'arbitrary-node']
  t.strictSame(rules(everything, 'constrained'), [
    { ...constrained, resources: ['users'] },
    { ...constrained, resources: ['groups'] },
    { ...constrained, resources: ['uids'] },
    { ...constrained, resources: ['userextras/a.example/key', 'userextras/b.example/key'] },
    {
      namespace: 'ci',
      verbs: ['impersonate:serviceaccount'],
      apiGroups: [authentication],
      resources: ['serviceaccounts'],
      resourceNames: ['deployer'],
    },
    {
      verbs: ['impersonate:arbitrary-node'],
      apiGroups: [authentication],
      resources: ['nodes'],
      resourceNames: ['n1'],
    },
    { verbs: on(kinds, verbs), apiGroups: ['*'], resources: ['*'] },
    { verbs: on(kinds, methods), nonResourceURLs: ['*'] },
    {
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['subjectaccessreviews'],
    },
    { verbs: ['create'], apiGroups: [authentication], resources: ['tokenreviews'] },
  ])
})

t.test('constrained: whom a caller may act as there by the older verb, and by name', t => {
  const name = 'system:serviceaccount:ci:builder'
  const extraKeys = ['original-user.impersonation-gateway.io/name']
  const asked = { clientImpersonation: true, extraKeys }
  const extras = { resources: extraKeys.map(key => `userextras/${key}`) }
  const reviews = {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['subjectaccessreviews'],
  }
  const anybody = [
    { ...constrained, resources: ['users'] },
    { ...constrained, resources: ['groups'] },
    { ...constrained, resources: ['uids'] },
    { ...constrained, ...extras },
  ]
  const requests = [
    { verbs: on(['user-info'], verbs), apiGroups: ['*'], resources: ['*'] },
    { verbs: on(['user-info'], methods), nonResourceURLs: ['*'] },
  ]
  t.strictSame(rules(asked, 'constrained', { users: [name, 'system:node:n1'] }), [
    ...anybody,
    verb('serviceaccounts', { namespace: 'ci', resourceNames: ['builder'] }),
    verb('users', { resourceNames: ['system:node:n1'] }),
    { verbs: ['impersonate'], apiGroups: [authentication], ...extras },
    ...requests,
    reviews,
  ])
  t.strictSame(rules(asked, 'constrained'), [...anybody, ...requests, reviews])
  const configuration = { ...least, ...asked }
  for (const right of neededRights(configuration, 'constrained', { users: [name] })) {
    t.same(beyond(right, allowances(configuration)), [], JSON.stringify(right))
  }
  t.end()
})

t.test('constrained impersonation takes extra keys of one form only', async t => {
  const fit = [
    'authentication.kubernetes.io/credential-id',
    'original-user.impersonation-gateway.io/name',
    'example/a.b_c~',
  ]
  const unfit = ['remote-client-ip', 'Example.com/a', 'example.com/A', '/a', 'a/', 'a b/c', '-a/b']
  t.strictSame(unconstrainable([...fit, ...unfit]), unfit)
})

t.test('whatever rbac prints is in order to hold, and not a bit more', async t => {
  for (const configuration of [least, everything, { ...least, groups: true }]) {
    for (const mode of ['legacy', 'constrained'] as const) {
      const open = neededRights(configuration, mode)
      const closed = neededRights(configuration, mode, { users: ['a'], groups: ['b'] })
      for (const right of configuration.groups ? [...open, ...closed] : open) {
        t.same(beyond(right, allowances(configuration)), [], JSON.stringify(right))
      }
    }
  }
  const held: readonly Rule[] = [
    { verbs: ['get'], apiGroups: [''], resources: ['secrets'] },
    { verbs: ['impersonate'], apiGroups: [''], resources: ['serviceaccounts'] },
    {
      verbs: ['impersonate'],
      apiGroups: [''],
      resources: ['users'],
      resourceNames: ['system:kube-controller-manager'],
    },
    {
      verbs: ['impersonate'],
      apiGroups: [''],
      resources: ['groups'],
      resourceNames: ['system:masters'],
    },
    { verbs: ['create'], apiGroups: [authentication], resources: ['tokenreviews'] },
    { verbs: ['impersonate'], apiGroups: [authentication], resources: ['userextras/other'] },
    { verbs: ['get'], nonResourceURLs: ['/metrics'] },
  ]
  for (const rule of held) {
    t.same(beyond(rule, allowances({ ...least, groups: true })), [rule], JSON.stringify(rule))
  }
})

t.test('what everybody who is authenticated holds is nobody’s fault', async t => {
  const basic: readonly Rule[] = [
    {
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    },
    { verbs: ['create'], apiGroups: [authentication], resources: ['selfsubjectreviews'] },
    {
      verbs: ['get'],
      nonResourceURLs: [
        '/healthz',
        '/version/',
        '/openapi/*',
        '/.well-known/openid-configuration/',
      ],
    },
  ]
  for (const rule of basic) t.same(beyond(rule, allowances(least)), [])
})

t.test('what clients ask for may be named; system:masters only by the configuration', async t => {
  const asked = { ...least, clientImpersonation: true }
  const group = (name: string): Rule => ({
    verbs: ['impersonate'],
    apiGroups: [''],
    resources: ['groups'],
    resourceNames: [name],
  })
  const account = { verbs: ['impersonate'], apiGroups: [''], resources: ['serviceaccounts'] }
  t.same(beyond(group('system:nodes'), allowances(asked)), [])
  t.same(beyond(group('system:masters'), allowances(asked)), [group('system:masters')])
  const reserved = { ...least, groups: true, reservedGroups: ['system:masters'] }
  t.same(beyond(group('system:masters'), allowances(reserved)), [])
  t.same(beyond({ ...account, resourceNames: ['x'] }, allowances(asked)), [])
  t.same(beyond(account, allowances(asked)), [account])
})
