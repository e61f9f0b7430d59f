import { blankIsForbidden, claim, claims, expression, one, type Row } from './row.js'

const cel = (
  username: string,
  more: { groups?: string; uid?: string; extra?: Readonly<Record<string, string>> } = {},
): ReturnType<typeof one> =>
  one({
    mappings: {
      username: expression(username),
      ...(more.groups !== undefined && { groups: expression(more.groups) }),
      ...(more.uid !== undefined && { uid: expression(more.uid) }),
      ...(more.extra && {
        extra: Object.entries(more.extra).map(([key, valueExpression]) => ({
          key,
          valueExpression,
        })),
      }),
    },
  })

const teams = ['team1', 'team2']

/** A token whose claims lie deep. */
const deep = claims({
  data: [{ 'groups.io': 'gen1' }],
  turtle: {
    foo: {
      1: 'a',
      other1: { bit1: true, bit2: false, bit3: 1 },
      bar: {
        3: 'c',
        other1: { bit1: true, bit2: false, bit3: 1 },
        bee: { 'username.io': { 'company.io': 'fun-corp' } },
        baz: {
          panda: ['snorlax', '007', 'santa', 'claus'],
          other1: { bit1: true, bit2: false, bit3: 1 },
          'username.io': 'snorlax.io',
          link: [{ 'uid.io': '143' }],
        },
      },
    },
  },
})

const deepMappings = (groups: string): ReturnType<typeof one> =>
  one({
    claimRules: [
      { expression: 'claims.turtle.foo.other1.bit1 && !claims.turtle.foo.bar.other1.bit2' },
    ],
    mappings: {
      username: expression('claims.turtle.foo.bar.baz.panda[0]'),
      uid: expression('claims.turtle.foo.bar.baz.panda[1]'),
      groups: expression(groups),
      extra: [
        { key: 'bio.example.org/1', valueExpression: 'string(claims.turtle.foo.bar.other1.bit2)' },
        {
          key: 'bio.example.org/2',
          valueExpression: 'string(claims.turtle.foo.bar.baz.other1.bit3)',
        },
        {
          key: 'bio.example.org/3',
          valueExpression: "[string(claims.turtle.foo.bar.baz.other1.bit1)] + ['a', 'b', 'c']",
        },
      ],
    },
    userRules: [
      { expression: 'user.username != "bad"' },
      { expression: 'user.uid == "007"' },
      { expression: '"claus" in user.groups' },
      { expression: 'user.extra.bio__dot__example__dot__org__slash__3.size() == 4' },
    ],
  })

const deepExtra = {
  'bio.example.org/1': ['false'],
  'bio.example.org/2': ['1'],
  'bio.example.org/3': ['true', 'a', 'b', 'c'],
}

const serviceAccount = {
  iss: 'https://kubernetes.default.svc',
  aud: ['https://kubernetes.default.svc'],
  exp: 4_000_000_000,
  iat: 1_500_000_000,
  nbf: 1_500_000_000,
  jti: 'ea28ed49-2e11-4280-9ec5-bc3d1d84661a',
  sub: 'system:serviceaccount:kube-system:coredns',
  'kubernetes.io': {
    namespace: 'kube-system',
    node: { name: '127.0.0.1', uid: '58456cb0-dd00-45ed-b797-5578fdceaced' },
    pod: { name: 'coredns-69cbfb9798-jv9gn', uid: '778a530c-b3f4-47c0-9cd5-ab018fb64f33' },
    serviceaccount: { name: 'coredns', uid: 'a087d5a0-e1dd-43ec-93ac-f13d89cd13af' },
    warnafter: 1_700_081_020,
  },
}

/** What expressions of `claimMappings` make of claims. */
export const mappingRows: readonly Row[] = [
  {
    says: 'a claim',
    configuration: cel('claims.username'),
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a claim within a claim',
    configuration: cel('claims.foo.username'),
    token: { claims: claims({ foo: { username: 'joan' } }) },
    apiServer: { user: 'joan' },
  },
  {
    says: 'a user name that an expression leaves empty is refused',
    configuration: cel('claims.username'),
    token: { claims: claims({ username: '' }) },
    apiServer: 'rejected',
    ours: { outcome: { refusal: 'identity_unusable' }, because: blankIsForbidden },
  },
  {
    says: 'a user name that an expression makes a number is refused',
    configuration: cel('claims.number'),
    token: { claims: claims({ number: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a user name that an expression makes a list is refused',
    configuration: cel('[claims.username]'),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'an optional value is no string',
    configuration: cel('claims.?username'),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'groups by an expression are not prefixed',
    configuration: one({
      mappings: { username: claim('username', 'oidc:'), groups: expression('claims.groups') },
    }),
    token: { claims: claims({ groups: teams }) },
    apiServer: { user: 'oidc:jane', groups: teams },
  },
  {
    says: 'groups out of two texts with commas',
    configuration: one({
      mappings: {
        username: claim('username', 'oidc:'),
        groups: expression(
          '(claims.roles.split(",") + claims.other_roles.split(",")).map(role, "groups:" + role)',
        ),
      },
    }),
    token: { claims: claims({ roles: 'foo,bar', other_roles: 'baz,qux' }) },
    apiServer: {
      user: 'oidc:jane',
      groups: ['groups:foo', 'groups:bar', 'groups:baz', 'groups:qux'],
    },
  },
  {
    says: 'one string is a group',
    configuration: cel('claims.username', { groups: 'claims.group' }),
    token: { claims: claims({ group: 'team1' }) },
    apiServer: { user: 'jane', groups: ['team1'] },
  },
  {
    says: 'null is no groups',
    configuration: cel('claims.username', { groups: 'claims.groups' }),
    token: { claims: claims({ groups: null }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'empty text is no groups, and an empty group in a list is left out',
    configuration: cel('claims.username', { groups: 'claims.groups' }),
    token: { claims: claims({ groups: ['', 'team1', ''] }) },
    apiServer: { user: 'jane', groups: ['team1'] },
  },
  {
    says: 'empty text is no groups',
    configuration: cel('claims.username', { groups: 'claims.groups' }),
    token: { claims: claims({ groups: '' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'an empty list is no groups',
    configuration: cel('claims.username', { groups: '[]' }),
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a number among the groups is refused',
    configuration: cel('claims.username', { groups: 'claims.groups' }),
    token: { claims: claims({ groups: ['team1', 42] }) },
    apiServer: 'rejected',
  },
  {
    says: 'a number is no group',
    configuration: cel('claims.username', { groups: 'claims.groups' }),
    token: { claims: claims({ groups: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a claim that is not there is an error, and refused',
    configuration: cel('claims.username', { groups: 'claims.groups' }),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'a uid',
    configuration: cel('claims.username', { groups: 'claims.groups', uid: 'claims.uid' }),
    token: { claims: claims({ groups: teams, uid: '1234' }) },
    apiServer: { user: 'jane', groups: teams, uid: '1234' },
  },
  {
    says: 'a uid by claim beside expressions',
    configuration: one({
      mappings: {
        username: expression('claims.username'),
        groups: expression('claims.groups'),
        uid: { claim: 'uid' },
      },
    }),
    token: { claims: claims({ groups: teams, uid: '1234' }) },
    apiServer: { user: 'jane', groups: teams, uid: '1234' },
  },
  {
    says: 'an empty uid is none',
    configuration: cel('claims.username', { uid: '""' }),
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a uid that an expression makes a number is refused',
    configuration: cel('claims.username', { uid: 'claims.uid' }),
    token: { claims: claims({ uid: 1234 }) },
    apiServer: 'rejected',
  },
  {
    says: 'extras: text and list',
    configuration: cel('claims.username', {
      groups: 'claims.groups',
      uid: 'claims.uid',
      extra: { 'example.org/foo': 'claims.foo', 'example.org/bar': 'claims.bar' },
    }),
    token: { claims: claims({ groups: teams, uid: '1234', foo: 'bar', bar: ['baz', 'qux'] }) },
    apiServer: {
      user: 'jane',
      groups: teams,
      uid: '1234',
      extra: { 'example.org/foo': ['bar'], 'example.org/bar': ['baz', 'qux'] },
    },
  },
  {
    says: 'extras out of a claim that may be missing',
    configuration: cel('claims.username', {
      extra: {
        'example.org/admin': '(has(claims.is_admin) && claims.is_admin) ? "true":""',
        'example.org/admin_1': 'claims.?is_admin.orValue(false) == true ? "true":""',
        'example.org/non_existent':
          'claims.?non_existent.orValue("default") == "default" ? "true":""',
      },
    }),
    token: { claims: claims({ is_admin: true }) },
    apiServer: {
      user: 'jane',
      extra: {
        'example.org/admin': ['true'],
        'example.org/admin_1': ['true'],
        'example.org/non_existent': ['true'],
      },
    },
  },
  {
    says: 'an extra that is the same for everybody',
    configuration: cel('claims.username', { extra: { 'example.org/admin': '"true"' } }),
    token: { claims: claims({ is_admin: true }) },
    apiServer: { user: 'jane', extra: { 'example.org/admin': ['true'] } },
  },
  {
    says: 'an empty extra is left out',
    configuration: cel('claims.username', {
      extra: { 'example.org/foo': 'claims.foo', 'example.org/bar': 'claims.bar' },
    }),
    token: { claims: claims({ foo: '', bar: ['baz', '', 'qux'] }) },
    apiServer: { user: 'jane', extra: { 'example.org/bar': ['baz', 'qux'] } },
  },
  {
    says: 'an extra that is a number is refused',
    configuration: cel('claims.username', { extra: { 'example.org/foo': 'claims.foo' } }),
    token: { claims: claims({ foo: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'an extra that is null is left out',
    configuration: cel('claims.username', { extra: { 'example.org/foo': 'claims.foo' } }),
    token: { claims: claims({ foo: null }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'claims that lie deep',
    configuration: deepMappings('claims.turtle.foo.bar.baz.panda'),
    token: { claims: deep },
    apiServer: {
      user: 'snorlax',
      uid: '007',
      groups: ['snorlax', '007', 'santa', 'claus'],
      extra: deepExtra,
    },
  },
  {
    says: 'a deep claim that is not there, asked for as optional',
    configuration: deepMappings("claims.turtle.foo.bar.baz.?a.b.c.d.orValue([ 'claus' ])"),
    token: { claims: deep },
    apiServer: { user: 'snorlax', uid: '007', groups: ['claus'], extra: deepExtra },
  },
  {
    says: 'a deep claim that is not there, asked for plainly',
    configuration: deepMappings('claims.turtle.foo.bar.baz.a.b.c.d'),
    token: { claims: deep },
    apiServer: 'rejected',
  },
  {
    says: 'names with dots, escaped, at every depth and within lists',
    configuration: one({
      claimRules: [
        { expression: 'has(claims.turtle.foo.bar.baz.username__dot__io)' },
        { expression: 'has(claims.turtle.foo.bar.baz.link[0].uid__dot__io)' },
        { expression: 'has(claims.data[0].groups__dot__io)' },
        {
          expression: 'claims.turtle.foo.bar.bee.username__dot__io.company__dot__io == "fun-corp"',
        },
      ],
      mappings: {
        username: expression('claims.turtle.foo.bar.baz.username__dot__io'),
        uid: expression('claims.turtle.foo.bar.baz.link[0].uid__dot__io'),
        groups: expression('claims.data[0].groups__dot__io'),
      },
    }),
    token: { claims: deep },
    apiServer: { user: 'snorlax.io', uid: '143', groups: ['gen1'] },
  },
  {
    says: 'a service account token, by escapes, by index and by optional',
    configuration: one({
      issuer: { url: serviceAccount.iss, audiences: serviceAccount.aud },
      claimRules: [
        {
          expression:
            'claims.sub == ("system:serviceaccount:" + claims.kubernetes__dot__io.namespace + ":" + claims.kubernetes__dot__io.serviceaccount.name)',
        },
        { expression: 'has(claims.kubernetes__dot__io.pod.uid)' },
        { expression: 'claims["kubernetes.io"]["node"]["uid"] != ""' },
        { expression: 'claims[?"kubernetes.io"]["node"]["ip"].orValue(true)' },
      ],
      mappings: {
        username: expression(
          '"sa:" + claims.kubernetes__dot__io.namespace + ":" + claims.kubernetes__dot__io.serviceaccount.name',
        ),
        uid: expression('claims.kubernetes__dot__io.serviceaccount.uid'),
        groups: expression(
          '[ "sa:serviceaccounts", "sa:serviceaccounts:" + claims.kubernetes__dot__io.namespace ]',
        ),
        extra: Object.entries({
          'authentication.x-kubernetes.io/pod-name': 'claims.kubernetes__dot__io.pod.name',
          'authentication.x-kubernetes.io/node-name': 'claims.kubernetes__dot__io.node.name',
          'authentication.x-kubernetes.io/credential-id': '"JTI=" + claims.jti',
          'test.x-kubernetes.io/warnafter': 'string(int(claims.kubernetes__dot__io.warnafter))',
          'test.x-kubernetes.io/namespace': 'claims.kubernetes__dot__io.namespace',
        }).map(([key, valueExpression]) => ({ key, valueExpression })),
      },
      userRules: [
        {
          expression:
            'user.username.startsWith("sa:" + user.extra["test.x-kubernetes.io/namespace"][0] + ":")',
        },
        { expression: 'user.uid != ""' },
        { expression: '"sa:serviceaccounts" in user.groups && user.groups.size() == 2' },
        {
          expression:
            'user.extra.authentication__dot__x__dash__kubernetes__dot__io__slash__node__dash__name[0] == "127.0.0.1"',
        },
        {
          expression:
            'user.extra.authentication__dot__x__dash__kubernetes__dot__io__slash__credential__dash__id[0] == user.extra.authentication__dot__kubernetes__dot__io__slash__credential__dash__id[0]',
        },
        { expression: 'user.extra["test.x-kubernetes.io/warnafter"][0] == "1700081020"' },
        {
          expression:
            'has(user.extra.authentication__dot__x__dash__kubernetes__dot__io__slash__pod__dash__name)',
        },
        { expression: 'user.extra[?"test.x-kubernetes.io/missing"].orValue([]) == []' },
      ],
    }),
    token: { claims: serviceAccount },
    apiServer: {
      user: 'sa:kube-system:coredns',
      uid: 'a087d5a0-e1dd-43ec-93ac-f13d89cd13af',
      groups: ['sa:serviceaccounts', 'sa:serviceaccounts:kube-system'],
      extra: {
        'authentication.kubernetes.io/credential-id': ['JTI=ea28ed49-2e11-4280-9ec5-bc3d1d84661a'],
        'authentication.x-kubernetes.io/credential-id': [
          'JTI=ea28ed49-2e11-4280-9ec5-bc3d1d84661a',
        ],
        'authentication.x-kubernetes.io/node-name': ['127.0.0.1'],
        'authentication.x-kubernetes.io/pod-name': ['coredns-69cbfb9798-jv9gn'],
        'test.x-kubernetes.io/namespace': ['kube-system'],
        'test.x-kubernetes.io/warnafter': ['1700081020'],
      },
    },
  },
  {
    says: 'a service account under its own name',
    configuration: one({
      issuer: { url: serviceAccount.iss, audiences: serviceAccount.aud },
      mappings: { username: claim('sub') },
    }),
    token: { claims: { ...serviceAccount, jti: undefined } },
    apiServer: { user: 'system:serviceaccount:kube-system:coredns' },
    ours: {
      outcome: { refusal: 'identity_reserved' },
      because: '`system:` names are refused with 403 unless allowed by name',
    },
  },
]
