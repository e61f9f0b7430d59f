import t from 'tap'
import { loadConfiguration } from '../../lib/authenticate/load-configuration.js'
import { createMapping, type IdentityLimits } from '../../lib/authenticate/mapping.js'
import type { TraceStep } from '../../lib/authenticate/trace.js'
import type { Identity } from '../../lib/identity.js'
import { Refusal } from '../../lib/refusal.js'
import { limits } from './fake-issuer.js'

/** Rules below one JWT authenticator, as YAML, indented by two. */
const mapping = (rules: string, options: Partial<IdentityLimits> = {}) => {
  const result = loadConfiguration(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: { url: https://a.example, audiences: [x] }
${rules.replace(/^/gm, '  ')}
`)
  if (!('loaded' in result)) throw new Error(JSON.stringify(result.faults))
  const [first] = result.loaded.rules
  if (first === undefined) throw new Error('no rules')
  return createMapping({ ...limits, ...options, rules: first })
}
const map = (
  rules: string,
  claims: object,
  options: Partial<IdentityLimits> = {},
): Identity | string => {
  try {
    return mapping(rules, options)(new Map(Object.entries(claims)))
  } catch (error) {
    const refusal = Refusal.from(error)
    return `${refusal.code}: ${refusal.message}`
  }
}
/** With a user name that is always `u`. */
const rule = (rest: string): string =>
  `claimMappings:\n  username: { expression: '"u"' }\n${rest.replace(/^/gm, '  ')}`

t.test('a user name by expression is a string, and as safe as any other', async t => {
  const by = (expression: string, claims: object): unknown => {
    const made = map(`claimMappings: { username: { expression: '${expression}' } }`, claims)
    return typeof made === 'string' ? made : made.username
  }
  t.equal(by('claims.name', { name: 'alice' }), 'alice')
  t.equal(by('"oidc:" + claims.foo.name', { foo: { name: 'alice' } }), 'oidc:alice')
  t.equal(by('claims.name.lowerAscii()', { name: 'ALICE' }), 'alice')
  t.equal(
    by('claims.name', {}),
    'token_claim: claimMappings.username: no such key: name',
    'a claim that is missing',
  )
  for (const name of [1, true, null, ['a'], { a: 'b' }]) {
    t.equal(by('claims.name', { name }), 'token_claim: claimMappings.username must give a string')
  }
  t.equal(by('claims.name', { name: '' }), 'identity_unusable: the user name is blank')
  t.equal(
    by('claims.name', { name: ' a' }),
    'identity_unusable: the user name begins or ends with a blank',
  )
  t.equal(
    by('claims.name', { name: 'system:admin' }),
    'identity_reserved: the user name begins with "system:"',
  )
  t.equal(
    by('"system:" + claims.name', { name: 'a' }),
    'identity_reserved: the user name begins with "system:"',
  )
})

t.test('groups by expression are a string or strings, the empty ones left out', async t => {
  const by = (expression: string, claims: object): unknown => {
    const made = map(rule(`groups: { expression: '${expression}' }`), claims)
    return typeof made === 'string' ? made : made.groups
  }
  t.same(by('claims.groups', { groups: ['a', 'b', 'a'] }), ['a', 'b'])
  t.same(by('claims.groups', { groups: 'a' }), ['a'])
  t.same(by('claims.groups', { groups: ['a', '', 'b'] }), ['a', 'b'])
  for (const groups of ['', null, [], ['']]) t.same(by('claims.groups', { groups }), [])
  t.same(by('claims.roles.split(",")', { roles: 'a,b' }), ['a', 'b'])
  t.same(
    by('(claims.roles.split(",") + claims.other_roles.split(",")).map(role, "groups:" + role)', {
      roles: 'foo,bar',
      other_roles: 'baz,qux',
    }),
    ['groups:foo', 'groups:bar', 'groups:baz', 'groups:qux'],
  )
  t.same(by('claims.?groups.orValue([])', {}), [])
  for (const groups of [1, true, {}, [1], ['a', null], [['a']]]) {
    t.equal(
      by('claims.groups', { groups }),
      'token_claim: claimMappings.groups must give a string or a list of strings',
    )
  }
  t.equal(by('claims.groups', {}), 'token_claim: claimMappings.groups: no such key: groups')
  t.match(by('claims.groups', { groups: ['system:masters'] }), /^identity_reserved/)
  t.match(by('claims.groups', { groups: [' '] }), /^identity_unusable/)
})

t.test('a uid is a string, or none', async t => {
  const by = (uid: string, claims: object): unknown => {
    const made = map(rule(`uid: ${uid}`), claims)
    return typeof made === 'string' ? made : made.uid
  }
  t.equal(by('{ claim: oid }', { oid: '1' }), '1')
  t.equal(by("{ expression: 'claims.oid' }", { oid: '1' }), '1')
  for (const oid of ['', null]) t.equal(by('{ claim: oid }', { oid }), undefined)
  t.equal(by("{ expression: 'claims.oid' }", { oid: '' }), undefined)
  t.match(by('{ claim: oid }', {}), /^token_claim/)
  t.match(by('{ claim: oid }', { oid: 1 }), /^token_claim/)
  t.match(by("{ expression: 'claims.oid' }", { oid: 1 }), /^token_claim/)
  t.match(by('{ claim: oid }', { oid: 'a\nb' }), /^identity_unusable: the uid/)
})

t.test('extra holds strings, and only keys that have some', async t => {
  const extra = (claims: object, options: Partial<IdentityLimits> = {}): unknown => {
    const made = map(
      rule(`extra:
- { key: example.org/team, valueExpression: claims.team }
- { key: example.org/admin, valueExpression: '(has(claims.is_admin) && claims.is_admin) ? "true" : ""' }`),
      claims,
      options,
    )
    return typeof made === 'string' ? made : made.extra
  }
  t.same(extra({ team: 'a' }), { 'example.org/team': ['a'] })
  t.same(extra({ team: ['a', '', 'b'], is_admin: true }), {
    'example.org/team': ['a', 'b'],
    'example.org/admin': ['true'],
  })
  t.same(extra({ team: null }), {})
  t.match(extra({ team: 1 }), /^token_claim/)
  t.match(extra({}), /^token_claim/)
  for (const team of ['a\r\nImpersonate-Group: x', ' a', 'a ', 'a\ud800', 'a'.repeat(1025)]) {
    t.match(extra({ team }), /^identity_unusable: the extra/, JSON.stringify(team.slice(0, 20)))
  }
  t.match(extra({ team: Array.from({ length: 257 }, (_, at) => `${at}`) }), /has over 256 values/)

  t.same(extra({ team: 'a', jti: 'x' }), { 'example.org/team': ['a'] }, 'not sent unasked')
  const sent = { sendCredentialId: true }
  t.same(extra({ team: 'a', jti: 'x' }, sent), {
    'authentication.kubernetes.io/credential-id': ['JTI=x'],
    'example.org/team': ['a'],
  })
  for (const jti of ['', 1, null]) {
    t.same(extra({ team: 'a', jti }, sent), { 'example.org/team': ['a'] })
  }
  t.match(extra({ team: 'a', jti: 'x\n' }, sent), /^identity_unusable/)
})

t.test('claims are held against their rules', async t => {
  const rules = `${rule('')}
claimValidationRules:
- { claim: hd, requiredValue: example.org }
- { expression: 'claims.exp - claims.nbf <= 86400', message: lives too long }
- { expression: 'claims.?kind.orValue("") != "refresh"' }`
  const good = { hd: 'example.org', exp: 100, nbf: 50 }
  t.match(map(rules, good), { username: 'u' })
  t.equal(
    map(rules, { ...good, exp: 100_000 }),
    'token_claim: claimValidationRules[1] does not hold: lives too long',
  )
  t.equal(
    map(rules, { ...good, kind: 'refresh' }),
    'token_claim: claimValidationRules[2] does not hold: claims.?kind.orValue("") != "refresh"',
  )
  t.equal(map(rules, { exp: 1, nbf: 1 }), 'token_claim: the claim "hd" is not as required')
  t.equal(
    map(rules, { hd: 'example.org', exp: 1 }),
    'token_claim: claimValidationRules[1]: no such key: nbf',
  )
})

t.test('the user is held against its rules, with what the token adds', async t => {
  const rules = `claimMappings:
  username: { claim: sub, prefix: "a:" }
  groups: { claim: groups, prefix: "a:" }
userValidationRules:
- { expression: 'user.username != "a:mallory"', message: not mallory }
- { expression: 'user.groups.all(g, g.startsWith("a:"))' }
- { expression: '!(user.extra[?"authentication.kubernetes.io/credential-id"][0].orValue("") in ["JTI=stolen"])', message: withdrawn }
- { expression: 'user.uid == ""' }`
  t.match(map(rules, { sub: 'alice', groups: ['x'] }), { username: 'a:alice', groups: ['a:x'] })
  t.equal(
    map(rules, { sub: 'mallory' }),
    'token_claim: userValidationRules[0] does not hold: not mallory',
  )
  t.equal(
    map(rules, { sub: 'alice', jti: 'stolen' }),
    'token_claim: userValidationRules[2] does not hold: withdrawn',
    'a jti is seen whether it is sent or not',
  )
  t.match(map(rules, { sub: 'alice', jti: 'other' }), { username: 'a:alice', extra: {} })
})

t.test('a service account of Kubernetes maps with its dotted claims', async t => {
  const rules = `claimMappings:
  username:
    expression: '"ns:" + claims.kubernetes__dot__io.namespace + ":" + claims.kubernetes__dot__io.serviceaccount.name'
  uid: { expression: claims.kubernetes__dot__io.serviceaccount.uid }
  extra:
  - { key: example.org/pod, valueExpression: claims.kubernetes__dot__io.pod.name }
  - { key: example.org/warnafter, valueExpression: string(int(claims.kubernetes__dot__io.warnafter)) }
claimValidationRules:
- { expression: 'has(claims.kubernetes__dot__io.pod.uid)' }
- { expression: 'claims["kubernetes.io"]["node"]["uid"] != ""' }
- { expression: 'claims[?"kubernetes.io"]["node"]["ip"].orValue(true) == true' }
userValidationRules:
- { expression: 'user.extra.example__dot__org__slash__warnafter[0] == "1700081020"' }`
  t.same(
    map(rules, {
      'kubernetes.io': {
        namespace: 'default',
        serviceaccount: { name: 'app', uid: 'u-1' },
        pod: { name: 'app-1', uid: 'p-1' },
        node: { name: 'n', uid: 'n-1' },
        warnafter: 1_700_081_020,
      },
    }),
    {
      username: 'ns:default:app',
      uid: 'u-1',
      groups: [],
      extra: { 'example.org/pod': ['app-1'], 'example.org/warnafter': ['1700081020'] },
    },
  )
})

t.test('a trace tells of every rule, also after one that refuses', async t => {
  const rules = `claimMappings:
  username: { claim: sub, prefix: "a:" }
  groups: { expression: claims.groups }
claimValidationRules:
- { claim: hd, requiredValue: x }
- { expression: 'claims.level > 3.0', message: too low }
userValidationRules:
- { expression: 'user.username == "a:alice"' }`
  const steps: TraceStep[] = []
  const told = (claims: object): string => {
    steps.length = 0
    try {
      return mapping(rules)(new Map(Object.entries(claims)), step => steps.push(step)).username
    } catch (error) {
      return Refusal.from(error).message
    }
  }
  const lines = (): readonly unknown[] =>
    steps.map(({ rule, verdict, value, why }) => [rule, verdict, value ?? why])

  t.equal(told({ sub: 'alice', groups: ['x'], hd: 'x', level: 4 }), 'a:alice')
  t.same(lines(), [
    ['claimMappings.username', 'ok', 'a:alice'],
    ['claimMappings.groups', 'ok', ['x']],
    ['claimValidationRules[0]', 'ok', 'x'],
    ['claimValidationRules[1]', 'ok', true],
    ['userValidationRules[0]', 'ok', true],
    ['identity', 'ok', { username: 'a:alice', groups: ['x'], extra: {} }],
  ])
  t.match(steps[3], { expression: 'claims.level > 3.0' })

  t.equal(told({ groups: 1, level: 1 }), 'the claim "sub" is missing or not a string')
  t.same(lines(), [
    ['claimMappings.username', 'refused', 'the claim "sub" is missing or not a string'],
    [
      'claimMappings.groups',
      'refused',
      'claimMappings.groups must give a string or a list of strings',
    ],
    ['claimValidationRules[0]', 'refused', 'the claim "hd" is not as required'],
    ['claimValidationRules[1]', 'refused', 'claimValidationRules[1] does not hold: too low'],
    ['userValidationRules[0]', 'skipped', 'there is no user'],
  ])
})
