import {
  blankIsForbidden,
  claim,
  claims,
  expression,
  farAway,
  issuerUrl,
  longAgo,
  one,
  type Row,
} from './row.js'

const byClaim = one({ mappings: { groups: claim('groups') } })
const byEmail = one({ mappings: { username: claim('email') } })

/** Users, groups and uid by claim; what a token must hold. */
export const claimRows: readonly Row[] = [
  {
    says: 'the claim is the user',
    configuration: one(),
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a token without the claim is nobody’s',
    configuration: one({ mappings: { username: claim('username', 'prefix:') } }),
    token: { claims: { iss: issuerUrl, aud: 'my-client', exp: farAway } },
    apiServer: 'rejected',
  },
  {
    says: 'a user name that is a number is none',
    configuration: one(),
    token: { claims: claims({ username: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a user name that is null is read as blank',
    configuration: one({ mappings: { username: claim('username', 'prefix:') } }),
    token: { claims: claims({ username: null }) },
    apiServer: { user: 'prefix:' },
    ours: { outcome: 'rejected', because: blankIsForbidden },
  },
  {
    says: 'a blank claim is a blank user',
    configuration: one({
      mappings: { groups: expression('claims.groups') },
      userRules: [
        { expression: 'user.username == ""' },
        { expression: 'user.uid == ""' },
        { expression: '!("bar" in user.groups)' },
        { expression: '!("bar" in user.extra)' },
      ],
    }),
    token: { claims: claims({ username: '', groups: null }) },
    apiServer: { user: '' },
    ours: { outcome: { refusal: 'identity_unusable' }, because: blankIsForbidden },
  },
  {
    says: 'a blank user of an expression, with rules that see the empty rest of it',
    configuration: one({
      mappings: { username: expression('claims.username'), groups: expression('claims.groups') },
      userRules: [
        { expression: 'user.username == " "', message: 'username must be single space' },
        { expression: 'user.uid == ""', message: 'uid must be empty string' },
        { expression: '!("bar" in user.groups)', message: 'groups must not contain bar' },
        { expression: '!("bar" in user.extra)', message: 'extra must not contain bar' },
      ],
    }),
    token: { claims: claims({ username: ' ', groups: null }) },
    apiServer: { user: ' ' },
    ours: { outcome: { refusal: 'identity_unusable' }, because: blankIsForbidden },
  },
  {
    says: 'an address that is verified is a user',
    configuration: byEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: true }) },
    apiServer: { user: 'jane@example.com' },
  },
  {
    says: 'an address that is not verified is none',
    configuration: byEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: false }) },
    apiServer: 'rejected',
  },
  {
    says: 'an issuer that says nothing about verification is trusted with its addresses',
    configuration: byEmail,
    token: { claims: claims({ email: 'jane@example.com' }) },
    apiServer: { user: 'jane@example.com' },
  },
  {
    says: 'email_verified as text is no yes',
    configuration: byEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: 'false' }) },
    apiServer: 'rejected',
  },
  {
    says: 'nor is it when the text says true',
    configuration: byEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: 'true' }) },
    apiServer: 'rejected',
  },
  {
    says: 'email_verified null is read as no',
    configuration: byEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: null }) },
    apiServer: 'rejected',
  },
  {
    says: 'strings are groups, in their order',
    configuration: byClaim,
    token: { claims: claims({ groups: ['team2', 'team1'] }) },
    apiServer: { user: 'jane', groups: ['team2', 'team1'] },
  },
  {
    says: 'one string is one group',
    configuration: byClaim,
    token: { claims: claims({ groups: 'team1' }) },
    apiServer: { user: 'jane', groups: ['team1'] },
  },
  {
    says: 'a group that is named twice is a group',
    configuration: byClaim,
    token: { claims: claims({ groups: ['team1', 'team1'] }) },
    apiServer: { user: 'jane', groups: ['team1', 'team1'] },
    ours: {
      outcome: { user: 'jane', groups: ['team1'] },
      because: 'a repeated group is sent once',
    },
  },
  {
    says: 'a token without the groups claim has none',
    configuration: byClaim,
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'null is no groups',
    configuration: byClaim,
    token: { claims: claims({ groups: null }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a number is no group',
    configuration: byClaim,
    token: { claims: claims({ groups: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'nor is a number among strings',
    configuration: byClaim,
    token: { claims: claims({ groups: ['team1', 42] }) },
    apiServer: 'rejected',
  },
  {
    says: 'an object is no list of groups',
    configuration: byClaim,
    token: { claims: claims({ groups: { team1: true } }) },
    apiServer: 'rejected',
  },
  {
    says: 'null among strings is read as a blank group',
    configuration: byClaim,
    token: { claims: claims({ groups: ['team1', null] }) },
    apiServer: { user: 'jane', groups: ['team1', ''] },
    ours: { outcome: 'rejected', because: blankIsForbidden },
  },
  {
    says: 'a blank group is a group',
    configuration: byClaim,
    token: { claims: claims({ groups: [''] }) },
    apiServer: { user: 'jane', groups: [''] },
    ours: { outcome: { refusal: 'identity_unusable' }, because: blankIsForbidden },
  },
  {
    says: 'a claim is the uid',
    configuration: one({ mappings: { uid: { claim: 'uid' } } }),
    token: { claims: claims({ uid: '1234' }) },
    apiServer: { user: 'jane', uid: '1234' },
  },
  {
    says: 'a token without the claim of the uid is refused',
    configuration: one({ mappings: { uid: { claim: 'uid' } } }),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'a uid that is a number is refused',
    configuration: one({ mappings: { uid: { claim: 'uid' } } }),
    token: { claims: claims({ uid: 1234 }) },
    apiServer: 'rejected',
  },
  {
    says: 'issuer, audience, expiry and the user are all that a token must say',
    configuration: one({ mappings: { username: expression('claims.user') } }),
    token: { claims: { iss: issuerUrl, aud: 'my-client', exp: farAway, user: 'jane' } },
    apiServer: { user: 'jane' },
  },
  {
    says: 'an expired token is refused',
    configuration: one(),
    token: { claims: claims({ exp: longAgo }) },
    apiServer: 'rejected',
  },
  {
    says: 'a token without expiry is refused',
    configuration: one(),
    token: { claims: { iss: issuerUrl, aud: 'my-client', username: 'jane' } },
    apiServer: 'rejected',
  },
  {
    says: 'a token is refused long before its nbf',
    configuration: one(),
    token: { claims: claims({ nbf: farAway - 1 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a token that says to be made in the future passes',
    configuration: one(),
    token: { claims: claims({ iat: farAway - 1 }) },
    apiServer: { user: 'jane' },
    ours: {
      outcome: 'rejected',
      because: '`iat` in the future is refused, with the slack of `--oidc-clock-skew`',
    },
  },
  {
    says: 'an expiry written as text is read as the number in it',
    configuration: one(),
    token: { claims: claims({ exp: String(farAway) }) },
    apiServer: { user: 'jane' },
    ours: {
      outcome: 'rejected',
      because:
        '`exp`, `nbf` and `iat` must be numbers, not texts with a number in them, nor `null`',
    },
  },
  {
    says: 'a time that is null is none',
    configuration: one(),
    token: { claims: claims({ nbf: null }) },
    apiServer: { user: 'jane' },
    ours: {
      outcome: 'rejected',
      because:
        '`exp`, `nbf` and `iat` must be numbers, not texts with a number in them, nor `null`',
    },
  },
  {
    says: 'an expiry that no clock can show is in the past',
    configuration: one(),
    token: { claims: claims({ exp: 1e300 }) },
    apiServer: 'rejected',
    ours: {
      outcome: { user: 'jane' },
      because: 'an `exp` is taken as it stands, also where kube-apiserver’s clock overflows',
    },
  },
  {
    says: 'sub is a string in every token, mapped or not',
    configuration: one(),
    token: { claims: claims({ sub: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'nonce is a string in every token',
    configuration: one(),
    token: { claims: claims({ nonce: 42 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a token of another issuer is not this one’s',
    configuration: one(),
    token: { claims: claims({ iss: 'https://example.com' }) },
    apiServer: 'another issuer',
  },
  {
    says: 'an issuer with a slash more is another one',
    configuration: one(),
    token: { claims: claims({ iss: `${issuerUrl}/` }) },
    apiServer: 'another issuer',
  },
  ...[
    ['an issuer', 'https://auth.example.com', ''],
    ['an issuer with a path', 'https://auth.example.com/a/b/foo', ''],
    ['an issuer', 'https://auth.example.com', '/c/d/bar'],
    ['an issuer with a path', 'https://auth.example.com/a/b/foo', '/c/d/bar'],
    ['an issuer with a slash at its end', 'https://auth.example.com/a/b/foo/', '/c/d/bar'],
  ].map(([whose, url, path]): Row => ({
    says: `${whose} is read about elsewhere${path === '' ? '' : ', below a path'}`,
    configuration: one({
      issuer: {
        url,
        discoveryURL: `https://discovery.example${path}/.well-known/openid-configuration`,
      },
    }),
    token: { claims: claims({ iss: url }) },
    apiServer: { user: 'jane' },
  })),
  {
    says: 'Google’s tokens may leave the scheme out',
    configuration: one({
      issuer: { url: 'https://accounts.google.com' },
      mappings: { username: claim('email') },
    }),
    token: { claims: claims({ iss: 'accounts.google.com', email: 'thomas@gmail.com' }) },
    apiServer: { user: 'thomas@gmail.com' },
  },
  {
    says: 'and Google’s alone',
    configuration: one(),
    token: { claims: claims({ iss: 'issuer.example' }) },
    apiServer: 'another issuer',
  },
  {
    says: 'jti is an extra, whatever else is mapped',
    configuration: one({ userRules: [{ expression: credentialIs('JTI=1234') }] }),
    token: { claims: claims({ jti: '1234' }) },
    apiServer: {
      user: 'jane',
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=1234'] },
    },
  },
  {
    says: 'jti is an extra beside mapped ones',
    configuration: one({
      mappings: {
        extra: [
          { key: 'example.org/foo', valueExpression: 'claims.foo' },
          { key: 'example.org/bar', valueExpression: 'claims.bar' },
        ],
      },
    }),
    token: { claims: claims({ jti: '1234', foo: 'bar', bar: ['baz', 'qux'] }) },
    apiServer: {
      user: 'jane',
      extra: {
        'authentication.kubernetes.io/credential-id': ['JTI=1234'],
        'example.org/foo': ['bar'],
        'example.org/bar': ['baz', 'qux'],
      },
    },
  },
  {
    says: 'a jti that is a number is no extra, and no fault',
    configuration: one({ userRules: [{ expression: 'user.extra.size() == 0' }] }),
    token: { claims: claims({ jti: 1234 }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a blank jti is none',
    configuration: one({ userRules: [{ expression: 'user.extra.size() == 0' }] }),
    token: { claims: claims({ jti: '' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a token without jti has no such extra',
    configuration: one({ userRules: [{ expression: 'user.extra.size() == 0' }] }),
    token: { claims: claims() },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a rule can refuse one jti: revocation by hand',
    configuration: one({
      userRules: [
        {
          expression:
            "!(user.extra[?'authentication.kubernetes.io/credential-id'][0].orValue('') in ['JTI=ea28ed49'])",
          message: 'credential is revoked',
        },
      ],
    }),
    token: { claims: claims({ jti: 'ea28ed49' }) },
    apiServer: 'rejected',
  },
]

function credentialIs(value: string): string {
  return `user.extra["authentication.kubernetes.io/credential-id"] == ["${value}"]`
}
