import t from 'tap'
import { allows, beyond, inWords, type Allowance, type Rule } from '../../lib/rbac/rule.js'

const impersonate = (resource: string, resourceNames?: readonly string[]): Rule => ({
  verbs: ['impersonate'],
  apiGroups: [''],
  resources: [resource],
  ...(resourceNames && { resourceNames }),
})

t.test('a rule is in order when an allowance covers every part of it', async t => {
  const open: readonly Allowance[] = [impersonate('users'), impersonate('groups')]
  const both = { verbs: ['impersonate'], apiGroups: [''], resources: ['users', 'groups'] }
  t.same(beyond(both, open), [])
  t.same(beyond(impersonate('groups', ['a']), open), [], 'fewer names are fewer rights')
  t.same(beyond({ ...both, apiGroups: ['', 'x'] }, open), [
    { verbs: ['impersonate'], apiGroups: ['x'], resources: ['users'] },
    { verbs: ['impersonate'], apiGroups: ['x'], resources: ['groups'] },
  ])
  t.same(beyond({ ...both, verbs: ['impersonate', 'get'], resources: ['users'] }, open), [
    { verbs: ['get'], apiGroups: [''], resources: ['users'] },
  ])
})

t.test('nothing but a star covers a star', async t => {
  const verbs: Allowance = { verbs: ['get'], apiGroups: ['*'], resources: ['*'] }
  t.same(beyond({ verbs: ['get'], apiGroups: ['*'], resources: ['*', 'pods/exec'] }, [verbs]), [])
  const all = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
  t.same(beyond(all, [verbs]), [all])
  t.same(beyond({ ...all, verbs: ['get'] }, [{ ...verbs, apiGroups: [''] }]), [
    { ...all, verbs: ['get'] },
  ])
})

t.test('names: a closed list covers no open rule, and no name beside it', async t => {
  const closed = [impersonate('groups', ['a', 'b'])]
  t.same(beyond(impersonate('groups', ['b']), closed), [])
  t.same(beyond(impersonate('groups', ['b', 'c']), closed), [impersonate('groups', ['b', 'c'])])
  t.same(beyond(impersonate('groups'), closed), [impersonate('groups')])
  t.same(beyond(impersonate('groups', []), closed), [impersonate('groups')], 'none named is any')
  const named: Allowance = { ...impersonate('serviceaccounts'), onlyNamed: true }
  t.same(beyond(impersonate('serviceaccounts', ['x']), [named]), [])
  t.same(beyond(impersonate('serviceaccounts'), [named]), [impersonate('serviceaccounts')])
  const never = { ...impersonate('groups'), never: (name: string) => name === 'system:masters' }
  t.same(beyond(impersonate('groups', ['a', 'system:masters']), [never]), [
    impersonate('groups', ['a', 'system:masters']),
  ])
})

t.test('keys of extra: each by itself, or all that stand under a resource', async t => {
  const extra = (key: string): Rule => ({
    verbs: ['impersonate'],
    apiGroups: ['authentication.k8s.io'],
    resources: [`userextras/${key}`],
  })
  t.same(beyond(extra('a.b/c'), [extra('a.b/c')]), [])
  t.same(beyond(extra('a.b/d'), [extra('a.b/c')]), [extra('a.b/d')])
  t.same(beyond(extra('a.b/d'), [extra('*')]), [])
  t.same(beyond({ ...extra(''), resources: ['*'] }, [extra('*')]), [
    { ...extra(''), resources: ['*'] },
  ])
})

t.test('paths that name no resource', async t => {
  const get = { verbs: ['get'], nonResourceURLs: ['/api', '/api/*'] }
  t.same(beyond({ verbs: ['get'], nonResourceURLs: ['/api', '/api/v1', '/api/*'] }, [get]), [])
  t.same(beyond({ verbs: ['get', 'post'], nonResourceURLs: ['/api', '/metrics'] }, [get]), [
    { verbs: ['post'], nonResourceURLs: ['/api'] },
    { verbs: ['get', 'post'], nonResourceURLs: ['/metrics'] },
  ])
  t.same(beyond({ verbs: ['get'], nonResourceURLs: ['*'] }, [get]), [
    { verbs: ['get'], nonResourceURLs: ['*'] },
  ])
})

t.test('what is allowed is what RBAC would allow', async t => {
  const exec: Rule = { verbs: ['create'], apiGroups: [''], resources: ['pods/exec'] }
  t.ok(allows([exec], 'create', '', 'pods/exec', ''))
  t.notOk(allows([exec], 'create', '', 'pods', ''))
  t.notOk(allows([exec], 'get', '', 'pods/exec', ''))
  t.ok(allows([{ ...exec, resources: ['*/exec'] }], 'create', '', 'pods/exec', ''))
  t.ok(allows([{ ...exec, resources: ['*'] }], 'create', '', 'pods/exec', 'x'))
  const named = [{ ...exec, resourceNames: ['x'] }]
  t.ok(allows(named, 'create', '', 'pods/exec', 'x'))
  t.notOk(allows(named, 'create', '', 'pods/exec', ''))
})

t.test('a rule in words', async t => {
  t.equal(
    inWords({ verbs: ['get', 'list'], apiGroups: [''], resources: ['secrets'] }),
    'get, list on secrets',
  )
  t.equal(
    inWords({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }),
    'everything (*) on everything (*)',
  )
  t.equal(
    inWords({ verbs: ['bind'], apiGroups: ['rbac.x'], resources: ['roles'], resourceNames: ['a'] }),
    'bind on roles.rbac.x, named "a"',
  )
  t.equal(inWords({ verbs: ['get'], nonResourceURLs: ['/metrics'] }), 'get at /metrics')
})
