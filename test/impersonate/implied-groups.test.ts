import t from 'tap'
import { groupsAt, serviceAccountOf } from '../../lib/impersonate/implied-groups.js'

t.test('a service account is one of a namespace and a name that can exist', async t => {
  const known = (name: string): unknown => serviceAccountOf(`system:serviceaccount:${name}`)
  t.strictSame(known('ci:deployer'), { namespace: 'ci', name: 'deployer' })
  t.strictSame(known('kube-system:a.b-c.d'), { namespace: 'kube-system', name: 'a.b-c.d' })
  const most = [
    `${'n'.repeat(63)}:${'a'.repeat(253)}`,
    `${'n'.repeat(64)}:a`,
    `n:${'a'.repeat(254)}`,
  ]
  t.strictSame(
    most.map(name => known(name) !== undefined),
    [true, false, false],
  )
  for (const name of [
    '',
    ':',
    'a:',
    ':a',
    'a',
    'a:b:c',
    'A:b',
    'a:B',
    'a.b:c',
    'a:-b',
    'a:b.',
    'a:b_c',
    'a:b\n',
  ])
    t.equal(known(name), undefined, JSON.stringify(name))
  t.equal(serviceAccountOf('System:serviceaccount:a:b'), undefined)
  t.equal(serviceAccountOf('xsystem:serviceaccount:a:b'), undefined)
})

t.test('the API server adds what a name implies', async t => {
  const at = (username: string, ...groups: string[]): string =>
    groupsAt({ username, groups }).join(' ')
  t.equal(at('bob'), 'system:authenticated')
  t.equal(at('bob', 'dev'), 'dev system:authenticated')
  t.equal(at('bob', 'system:authenticated', 'dev'), 'system:authenticated dev')
  t.equal(at('bob', 'system:unauthenticated'), 'system:unauthenticated')
  t.equal(
    at('system:serviceaccount:ci:deployer'),
    'system:serviceaccounts system:serviceaccounts:ci system:authenticated',
  )
  t.equal(at('system:serviceaccount:ci:deployer', 'dev'), 'dev system:authenticated')
  t.equal(at('system:anonymous'), 'system:unauthenticated')
  t.equal(
    at('system:anonymous', 'system:authenticated'),
    'system:authenticated system:unauthenticated',
  )
})
