import { claim, claims, expression, one, type Row } from './row.js'

const hd = { expression: 'claims.hd == "example.com"', message: 'hd claim must be example.com' }
const nested = { expression: 'claims.foo.bar == "baz"', message: 'foo.bar claim must be baz' }

/** What rules make of claims and users. */
export const validationRows: readonly Row[] = [
  {
    says: 'a rule about a claim holds',
    configuration: one({ claimRules: [hd] }),
    token: { claims: claims({ hd: 'example.com' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a rule about a claim does not hold',
    configuration: one({ claimRules: [hd] }),
    token: { claims: claims({ hd: 'example.org' }) },
    apiServer: 'rejected',
  },
  {
    says: 'a rule about a claim that is missing cannot be answered, and the token is refused',
    configuration: one({ claimRules: [hd] }),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'a rule about a claim within a claim',
    configuration: one({ claimRules: [nested] }),
    token: { claims: claims({ foo: { bar: 'baz' } }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a rule beside a required value',
    configuration: one({ claimRules: [nested, { claim: 'hd', requiredValue: 'example.com' }] }),
    token: { claims: claims({ hd: 'example.com', foo: { bar: 'baz' } }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a rule beside a required value that is not met',
    configuration: one({ claimRules: [nested, { claim: 'hd', requiredValue: 'example.com' }] }),
    token: { claims: claims({ hd: 'example.org', foo: { bar: 'baz' } }) },
    apiServer: 'rejected',
  },
  {
    says: 'every rule must hold, the last one too',
    configuration: one({
      claimRules: [hd, { expression: 'claims.sub != "mallory"' }, nested],
    }),
    token: { claims: claims({ hd: 'example.com', sub: 'mallory', foo: { bar: 'baz' } }) },
    apiServer: 'rejected',
  },
  {
    says: 'a lifetime can be limited',
    configuration: one({ claimRules: [{ expression: 'claims.exp - claims.nbf <= 86400' }] }),
    token: { claims: claims({ nbf: 1_500_000_000 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a rule that an error makes no answer is saved by the other side of ||',
    configuration: one({ claimRules: [{ expression: 'claims.hd == "x" || true' }] }),
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a rule about the user holds',
    configuration: one({
      mappings: { groups: claim('groups') },
      userRules: [
        { expression: "!user.username.startsWith('system:')" },
        { expression: "user.groups.all(group, !group.startsWith('system:'))" },
      ],
    }),
    token: { claims: claims({ groups: ['team1'] }) },
    apiServer: { user: 'jane', groups: ['team1'] },
  },
  {
    says: 'a rule about the user does not hold',
    configuration: one({
      mappings: { username: expression('"system:" + claims.username') },
      userRules: [
        {
          expression: "!user.username.startsWith('system:')",
          message: 'username cannot used reserved system: prefix',
        },
      ],
    }),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'a rule about groups does not hold',
    configuration: one({
      mappings: { groups: expression('dyn(claims.groups).map(g, "team:" + g)') },
      userRules: [{ expression: "user.groups.all(group, !group.startsWith('team:'))" }],
    }),
    token: { claims: claims({ groups: ['a', 'b'] }) },
    apiServer: 'rejected',
  },
  {
    says: 'rules about the user see its extras',
    configuration: one({
      mappings: {
        username: expression('claims.username'),
        extra: [
          { key: 'example.org/foo', valueExpression: "'bar'" },
          { key: 'example.org/baz', valueExpression: 'claims.baz' },
        ],
      },
      userRules: [
        {
          expression:
            "'bar' in user.extra['example.org/foo'] && 'qux' in user.extra['example.org/baz']",
        },
      ],
    }),
    token: { claims: claims({ baz: 'qux' }) },
    apiServer: {
      user: 'jane',
      extra: { 'example.org/foo': ['bar'], 'example.org/baz': ['qux'] },
    },
  },
  {
    says: 'an extra that is not there cannot be asked for plainly',
    configuration: one({ userRules: [{ expression: "user.extra['example.org/foo'] == ['bar']" }] }),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
]
