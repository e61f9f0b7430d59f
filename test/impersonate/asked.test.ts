import t from 'tap'
import type { HeaderList } from '../../lib/exchange.js'
import type { Identity } from '../../lib/identity.js'
import { asksToImpersonate, readAsked } from '../../lib/impersonate/asked.js'
import { Refusal } from '../../lib/refusal.js'

t.test('every spelling that software behind us might fold is a question', async t => {
  for (const name of [
    'Impersonate-User',
    'impersonate-group',
    'IMPERSONATE-UID',
    'Impersonate-Extra-Scopes',
    'Impersonate_User',
    'Impersonate%2DUser',
    'impersonate%2duser',
    'Impersonate',
    'ImpersonateUser',
    'Impersonate-Something-New',
  ]) {
    t.equal(
      asksToImpersonate([
        ['Accept', '*/*'],
        [name, ''],
      ]),
      true,
      name,
    )
  }
})

t.test('other names are not', async t => {
  t.equal(asksToImpersonate([]), false)
  for (const name of ['Accept', 'X-Impersonate-User', 'Impersonat', 'Authorization']) {
    t.equal(asksToImpersonate([[name, 'Impersonate-User: root']]), false, name)
  }
})

const asked = (headers: HeaderList, most = 256): Identity | string | undefined => {
  try {
    return readAsked(headers, most)
  } catch (error) {
    return Refusal.from(error).code
  }
}
const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
const user = ['Impersonate-User', 'bob'] as const

t.test('user, groups, uid and extra are read as the API server reads them', async t => {
  const bob = { username: 'bob', groups: [], extra: {} }
  t.strictSame(asked([['Accept', '*/*'], user]), bob)
  t.strictSame(
    asked([
      ['impersonate-group', 'dev'],
      ['IMPERSONATE-USER', latin1('bøb ✓')],
      ['Impersonate-Group', 'system:masters'],
      ['Impersonate-Group', 'dev'],
      ['Impersonate-Uid', '7'],
      ['Impersonate-Extra-Scopes', 'view'],
      ['impersonate-extra-Example.com%2FTenant', latin1('ä')],
      ['Impersonate-Extra-scopes', 'edit'],
      ['Impersonate-Extra-a_b%2Dc', 'x'],
      ['Impersonate-Extra-100%', 'y'],
      ['Impersonate-Extra-%C3%A4', 'z'],
    ]),
    {
      username: 'bøb ✓',
      uid: '7',
      groups: ['dev', 'system:masters'],
      extra: {
        scopes: ['view', 'edit'],
        'example.com/tenant': ['ä'],
        'a_b-c': ['x'],
        '100%': ['y'],
        ä: ['z'],
      },
    },
  )
  const proto = asked([user, ['Impersonate-Extra-__proto__', 'x']]) as Identity
  t.strictSame(Object.entries(proto.extra), [['__proto__', ['x']]])
})

t.test('nobody is asked for in a spelling that is not the API server’s own', async t => {
  for (const name of ['Impersonate_User', 'Impersonate%2DUser', 'Impersonate', 'ImpersonateUser']) {
    t.equal(asked([[name, 'root']]), undefined, name)
    t.equal(asked([user, [name, 'root']]), 'impersonation_malformed', name)
  }
  t.equal(asked([['Impersonate_Group', 'system:masters']]), undefined)
  t.equal(asked([['Impersonate-Something-New', 'x']]), undefined)
})

t.test('whatever is not about exactly one user is malformed', async t => {
  const group = ['Impersonate-Group', 'dev'] as const
  for (const headers of [
    [group],
    [['Impersonate-Uid', '7']],
    [['Impersonate-Extra-a', 'b']],
    [user, user],
    [user, ['impersonate-user', 'alice']],
    [user, ['Impersonate-Uid', '7'], ['Impersonate-Uid', '8']],
  ] satisfies HeaderList[]) {
    t.equal(asked(headers), 'impersonation_malformed', JSON.stringify(headers))
  }
})

t.test('a name that would arrive as another is refused', async t => {
  const notUtf8 = ['\u00ff', 'a\u00c3']
  const flawed = ['', ' ', ' bob', 'bob\u00a0', 'a\u0000', 'a\u0085', 'x'.repeat(1025)]
  for (const value of [...notUtf8, ...flawed.map(latin1)]) {
    t.equal(asked([['Impersonate-User', value]]), 'identity_unusable', JSON.stringify(value))
    for (const name of ['Impersonate-Group', 'Impersonate-Uid', 'Impersonate-Extra-a']) {
      t.equal(asked([user, [name, value]]), 'identity_unusable', `${name} ${value}`)
    }
  }
  for (const key of ['', '%20a', '%41', '%00', '%FF', 'x'.repeat(1025)]) {
    t.equal(asked([user, [`Impersonate-Extra-${key}`, 'b']]), 'identity_unusable', key)
  }
})

t.test('what the gateway says of who asked is not for clients to say', async t => {
  for (const key of [
    'original-user.impersonation-gateway.io%2Fname',
    'Original-User.Impersonation-Gateway.io%2fgroups',
    'original-user.impersonation-gateway.io',
    'original-user%2Eimpersonation-gateway.io%2Fanything',
  ]) {
    t.equal(asked([user, [`Impersonate-Extra-${key}`, 'root']]), 'identity_reserved', key)
  }
})

t.test('each name is a question, and there is a limit to them', async t => {
  const groups = [1, 2, 3].map(n => ['Impersonate-Group', `g${n}`] as const)
  const extra = ['Impersonate-Extra-a', 'b'] as const
  t.type(asked([user, ...groups, extra], 4), 'object')
  t.equal(asked([user, ...groups, extra], 3), 'too_many_groups')
})
