import t from 'tap'
import { rulesOfFlags, type IssuerFlags } from '../../lib/authenticate/flag-configuration.js'
import { createMapping, type IdentityLimits } from '../../lib/authenticate/mapping.js'
import type { Identity } from '../../lib/identity.js'
import { Refusal } from '../../lib/refusal.js'
import { flags, limits } from './fake-issuer.js'

type Options = Partial<IssuerFlags & IdentityLimits>

const map = (claims: object, options: Options = {}): Identity | string => {
  const given = { ...flags, ...limits, ...options }
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = given
  // Prefixes are put in behind the validation's back: it has tests of its own.
  const { groups: _none, ...rules } = rulesOfFlags({
    ...given,
    usernamePrefix: '',
    groupsPrefix: '',
  })
  const mapping = createMapping({
    ...given,
    rules: {
      ...rules,
      username: { claim: usernameClaim, prefix: usernamePrefix },
      ...(groupsClaim !== undefined && { groups: { claim: groupsClaim, prefix: groupsPrefix } }),
    },
  })
  try {
    return mapping(new Map(Object.entries(claims)))
  } catch (error) {
    return Refusal.from(error).code
  }
}
const identity = (username: string, ...groups: readonly string[]): Identity => ({
  username,
  groups,
  extra: {},
})

t.test('user and groups are the claims with their prefixes', async t => {
  t.strictSame(map({ sub: 'alice', groups: ['b', 'a'] }), identity('alice', 'b', 'a'))
  t.strictSame(
    map(
      { email: 'a@example.org', roles: 'dev' },
      {
        usernameClaim: 'email',
        groupsClaim: 'roles',
        usernamePrefix: 'https://issuer.example#',
        groupsPrefix: 'oidc:',
      },
    ),
    identity('https://issuer.example#a@example.org', 'oidc:dev'),
  )
  t.strictSame(map({ sub: 'José ✓', groups: ['日本'] }), identity('José ✓', '日本'))
})

t.test('an identity cannot be changed', async t => {
  const made = map({ sub: 'alice', groups: ['a'] })
  t.ok(
    typeof made === 'object' &&
      [made, made.groups, made.extra].every(part => Object.isFrozen(part)),
  )
})

t.test('the user name is a string', async t => {
  for (const sub of [undefined, null, 1, true, ['alice'], { name: 'alice' }]) {
    t.equal(map({ sub }), 'token_claim', JSON.stringify(sub))
  }
  t.equal(map({}), 'token_claim')
  t.equal(map({ sub: 'alice' }, { usernameClaim: '__proto__' }), 'token_claim')
})

t.test('groups are none, one or several strings', async t => {
  for (const groups of [undefined, null, []]) t.strictSame(map({ sub: 'a', groups }), identity('a'))
  t.strictSame(map({ sub: 'a' }), identity('a'))
  t.strictSame(map({ sub: 'a', groups: 'dev' }), identity('a', 'dev'))
  t.strictSame(map({ sub: 'a', groups: ['x', 'y', 'x', 'z', 'y'] }), identity('a', 'x', 'y', 'z'))
  for (const groups of [1, true, {}, [1], ['a', null], [['a']], ['a', 1], { 0: 'a' }]) {
    t.equal(map({ sub: 'a', groups }), 'token_claim', JSON.stringify(groups))
  }
  t.strictSame(map({ sub: 'a', groups: ['dev'] }, { groupsClaim: undefined }), identity('a'))
})

t.test('an address counts when nothing says that it is unverified', async t => {
  const email = { usernameClaim: 'email' }
  t.strictSame(map({ email: 'a@b' }, email), identity('a@b'))
  t.strictSame(map({ email: 'a@b', email_verified: true }, email), identity('a@b'))
  for (const email_verified of [false, null, 'true', 'false', 1, [true]]) {
    t.equal(
      map({ email: 'a@b', email_verified }, email),
      'token_claim',
      JSON.stringify(email_verified),
    )
  }
  t.strictSame(
    map({ sub: 'a', email_verified: false }),
    identity('a'),
    'for other claims it says nothing',
  )
})

t.test('required claims are there with their value', async t => {
  const options = {
    requiredClaims: new Map([
      ['tenant', 'one'],
      ['env', ''],
    ]),
  }
  t.strictSame(map({ sub: 'a', tenant: 'one', env: '' }, options), identity('a'))
  for (const claims of [{}, { tenant: 'one' }, { env: '' }]) {
    t.equal(map({ sub: 'a', ...claims }, options), 'token_claim')
  }
  for (const tenant of ['One', 'one ', ['one'], null, 1, true]) {
    t.equal(map({ sub: 'a', tenant, env: '' }, options), 'token_claim', JSON.stringify(tenant))
  }
})

t.test('a name that cannot be said safely is nobody', async t => {
  const table: Record<string, string> = {
    empty: '',
    blank: ' ',
    'no-break space': '\u00a0',
    'byte order mark': '\ufeff',
    'padded before': ' alice',
    'padded after': 'alice ',
    'tab after': 'alice\t',
    'ideographic space after': 'alice\u3000',
    'byte order mark before': '\ufeffalice',
    'reserved, padded': ' system:masters',
    'line feed': 'ali\nce',
    'carriage return': 'alice\r\nImpersonate-Group: system:masters',
    NUL: 'ali\0ce',
    escape: '\u001b[31malice',
    DEL: 'alice\u007f',
    'next line': 'alice\u0085',
    'C1 control': 'a\u009bb',
    'lone high surrogate': 'a\ud800',
    'lone low surrogate': '\udc00a',
    'swapped surrogates': '\udc00\ud800',
    'too long': 'a'.repeat(1025),
    'too long in UTF-8': 'ü'.repeat(513),
  }
  for (const [what, name] of Object.entries(table)) {
    t.equal(map({ sub: name }), 'identity_unusable', `user: ${what}`)
    t.equal(map({ sub: 'a', groups: ['ok', name] }), 'identity_unusable', `group: ${what}`)
    t.equal(map({ sub: 'a', groups: name }), 'identity_unusable', `single group: ${what}`)
  }
  t.strictSame(map({ sub: 'ü'.repeat(512) }), identity('ü'.repeat(512)), 'as long as may be')
  t.strictSame(map({ sub: 'a b\u00a0c😀' }), identity('a b\u00a0c😀'), 'blanks inside are a name')
})

t.test('a prefix makes no name of nothing, and counts for the length', async t => {
  const prefixes = { usernamePrefix: 'oidc:', groupsPrefix: 'oidc:' }
  for (const blank of ['', ' ', '\t', '\u3000']) {
    t.equal(map({ sub: blank }, prefixes), 'identity_unusable')
    t.equal(map({ sub: 'a', groups: [blank] }, prefixes), 'identity_unusable')
  }
  t.equal(map({ sub: ' alice' }, prefixes), 'identity_unusable', 'nor hides padding')
  t.equal(map({ sub: 'a', groups: ['\u3000b'] }, prefixes), 'identity_unusable')
  t.equal(map({ sub: 'a'.repeat(1020) }, prefixes), 'identity_unusable')
  t.strictSame(map({ sub: 'a'.repeat(1019) }, prefixes), identity(`oidc:${'a'.repeat(1019)}`))
})

t.test('reserved names are the API server’s own unless allowed by name', async t => {
  for (const name of [
    'system:admin',
    'system:masters',
    'system:serviceaccount:ns:name',
    'system:',
  ]) {
    t.equal(map({ sub: name }), 'identity_reserved', name)
    t.equal(map({ sub: 'a', groups: ['x', name] }), 'identity_reserved', name)
  }
  t.equal(map({ sub: 'masters' }, { usernamePrefix: 'system:' }), 'identity_reserved', 'by prefix')
  t.equal(
    map({ sub: 'tem:masters' }, { usernamePrefix: 'sys' }),
    'identity_reserved',
    'in two halves',
  )
  t.strictSame(map({ sub: 'system:x' }, { usernamePrefix: 'oidc:' }), identity('oidc:system:x'))
  t.strictSame(map({ sub: 'System:x' }), identity('System:x'), 'another name to RBAC')

  const allowed = { allowReservedUsers: ['system:kube-a'], allowReservedGroups: ['system:group-a'] }
  t.strictSame(
    map({ sub: 'system:kube-a', groups: ['system:group-a'] }, allowed),
    identity('system:kube-a', 'system:group-a'),
  )
  t.equal(map({ sub: 'system:kube-ab' }, allowed), 'identity_reserved')
  t.equal(map({ sub: 'system:group-a' }, allowed), 'identity_reserved', 'groups are not users')
  t.equal(map({ sub: 'a', groups: ['system:kube-a'] }, allowed), 'identity_reserved')
})

t.test('too many groups are refused, not cut', async t => {
  const groups = Array.from({ length: 256 }, (_, index) => `group-${index}`)
  t.strictSame(map({ sub: 'a', groups }), identity('a', ...groups))
  t.strictSame(
    map({ sub: 'a', groups: [...groups, ...groups] }),
    identity('a', ...groups),
    'repeats',
  )
  t.equal(map({ sub: 'a', groups: [...groups, 'one more'] }), 'too_many_groups')
  t.equal(map({ sub: 'a', groups: ['x'] }, { maxGroups: 0 }), 'too_many_groups')
})
