import { farAway, issuerUrl, longAgo, one, type Row } from './row.js'

/*
 * The examples of Kubernetes' page on authentication ("Authentication configuration from a file", "Anonymous
 * authenticator configuration") and of the API reference, each as it is documented to behave.
 */

const rules = {
  hd: {
    expression: 'claims.hd == "example.com"',
    message: 'the hd claim must be set to example.com',
  },
  lifetime: {
    expression: 'claims.exp - claims.nbf <= 86400',
    message: 'total token lifetime must not exceed 24 hours',
  },
  user: {
    expression: "!user.username.startsWith('system:')",
    message: 'username cannot used reserved system: prefix',
  },
  groups: {
    expression: "user.groups.all(group, !group.startsWith('system:'))",
    message: 'groups cannot used reserved system: prefix',
  },
}
/** Begun an hour ago, so that no clock is in its way. */
const begun = Math.floor(Date.now() / 1_000) - 3_600
const oneDay = { nbf: begun, exp: begun + 86_400 }
const tenant = { key: 'example.com/tenant', valueExpression: 'claims.tenant' }

const byClaim = {
  username: { claim: 'sub', prefix: '' },
  groups: { claim: 'sub', prefix: '' },
  uid: { claim: 'sub' },
  extra: [tenant],
}
const byExpression = {
  username: { expression: 'claims.username + ":external-user"' },
  groups: { expression: 'claims.roles.split(",")' },
  uid: { expression: 'claims.sub' },
  extra: [tenant],
}

/** The annotated file, with what it leaves to the reader filled in or left out. */
const annotated = (claimMappings: object, issuer: object = {}): Record<string, unknown> => ({
  jwt: [
    {
      issuer: {
        url: 'https://example.com',
        discoveryURL: 'https://discovery.example.com/.well-known/openid-configuration',
        audiences: ['my-app', 'my-other-app'],
        audienceMatchPolicy: 'MatchAny',
        ...issuer,
      },
      claimValidationRules: [
        { claim: 'hd', requiredValue: 'example.com' },
        rules.hd,
        rules.lifetime,
      ],
      claimMappings,
      userValidationRules: [rules.user, rules.groups],
    },
  ],
})

/** A tab of the page: a file, and the token that it is tried with. */
const tab = (
  username: string,
  claimValidationRules: readonly object[] = [],
): Record<string, unknown> => ({
  jwt: [
    {
      issuer: { url: 'https://example.com', audiences: ['my-app'] },
      claimValidationRules,
      claimMappings: { ...byExpression, username: { expression: username } },
      userValidationRules: [rules.user],
    },
  ],
})

const claims = (more: object = {}): Record<string, unknown> => ({
  iss: 'https://example.com',
  // The page's tokens say `kubernetes`, which its files do not accept: see the last of these rows.
  aud: 'my-app',
  exp: farAway,
  iat: longAgo,
  nbf: longAgo,
  jti: '7c337942807e73caa2c30c868ac0ce910bce02ddcbfebe8c23b8b5f27ad62873',
  roles: 'user,admin',
  sub: 'auth',
  tenant: '72f988bf-86f1-41af-91ab-2d7cd011db4a',
  username: 'foo',
  ...more,
})

const credentialId = {
  'authentication.kubernetes.io/credential-id': [
    'JTI=7c337942807e73caa2c30c868ac0ce910bce02ddcbfebe8c23b8b5f27ad62873',
  ],
}
const documented = {
  user: 'foo:external-user',
  uid: 'auth',
  groups: ['user', 'admin'],
  extra: {
    ...credentialId,
    'example.com/tenant': ['72f988bf-86f1-41af-91ab-2d7cd011db4a'],
  },
}
const asDocumented = {
  outcome: documented,
  because:
    'lists straight out of `split` and `findAll` are groups and extras, as documented; kube-apiserver 1.36 refuses the token',
} as const
const external = 'claims.username + ":external-user"'

/** The migration from flags: of the announcement of the file. */
const migrated = {
  jwt: [
    {
      issuer: { url: 'https://issuer.example.com', audiences: ['example-client-id'] },
      claimMappings: {
        username: { claim: 'username', prefix: 'oidc:' },
        groups: { claim: 'groups', prefix: 'oidc:' },
      },
      claimValidationRules: [
        { claim: 'hd', requiredValue: 'example.com' },
        { claim: 'admin', requiredValue: 'true' },
      ],
    },
  ],
}

/** The two issuers of the announcement, with their rules and extras as `write` has them. */
const announced = (
  write: (rule: object, value: string) => { readonly rules: unknown; readonly extra: object },
): Record<string, unknown> => {
  const issuers = [
    { url: 'https://issuer1.example.com', audiences: ['audience1', 'audience2'] },
    {
      url: 'https://issuer2.example.com',
      discoveryURL: 'https://discovery.example.com/.well-known/openid-configuration',
      audiences: ['audience3', 'audience4'],
    },
  ]
  const { rules: claimValidationRules, extra } = write(rules.hd, 'claims.tenant')
  return {
    jwt: issuers.map(issuer => ({
      issuer: { ...issuer, audienceMatchPolicy: 'MatchAny' },
      claimValidationRules,
      claimMappings: {
        username: { expression: 'claims.username' },
        groups: { expression: 'claims.groups' },
        uid: { expression: 'claims.uid' },
        extra: [{ key: 'example.com/tenant', ...extra }],
      },
      userValidationRules: [rules.user],
    })),
  }
}

/** The rule that the API reference asks for beside a user name of `claims.email`. */
const verifiedEmail = {
  jwt: [
    {
      issuer: { url: 'https://example.com', audiences: ['my-app'] },
      claimMappings: { username: { expression: 'claims.email' } },
      claimValidationRules: [
        {
          expression: 'claims.?email_verified.orValue(true) == true',
          message: 'the address must be verified',
        },
      ],
    },
  ],
}

export const documentationRows: readonly Row[] = [
  {
    says: 'the annotated file as it is printed shows alternatives side by side, and is refused',
    configuration: annotated(
      {
        username: { ...byClaim.username, ...byExpression.username },
        groups: { ...byClaim.groups, ...byExpression.groups },
        uid: { ...byClaim.uid, ...byExpression.uid },
        extra: [tenant],
      },
      {
        certificateAuthority: '<PEM encoded CA certificates>',
        egressSelectorType: '<egress-selector-type>',
      },
    ),
    apiServer: {
      faults: [
        'jwt[0].issuer.certificateAuthority',
        'jwt[0].issuer.egressSelectorType',
        'jwt[0].claimMappings.username',
        'jwt[0].claimMappings.groups',
        'jwt[0].claimMappings.uid',
      ],
    },
  },
  {
    says: 'the annotated file with the alternatives by claim',
    configuration: annotated(byClaim),
    token: { claims: claims({ hd: 'example.com', nbf: farAway - 86400 * 365 * 100 }) },
    apiServer: 'rejected',
  },
  {
    says: 'the annotated file with the alternatives by expression',
    configuration: annotated(byExpression),
    apiServer: 'loads',
  },
  {
    says: 'the annotated file without the limit of a day, by claim',
    configuration: withoutLifetime(annotated(byClaim)),
    token: { claims: claims({ hd: 'example.com', aud: ['my-other-app'] }) },
    apiServer: { ...documented, user: 'auth', groups: ['auth'] },
  },
  {
    says: 'the annotated file without the limit of a day, by expression',
    configuration: withoutLifetime(annotated(byExpression)),
    token: { claims: claims({ hd: 'example.com' }) },
    apiServer: 'rejected',
    ours: asDocumented,
  },
  ...[86_400, 86_401].map((lifetime): Row => ({
    says: `the annotated file as it stands, and a token for ${lifetime} seconds`,
    configuration: annotated(byExpression),
    token: {
      claims: claims({ ...oneDay, exp: oneDay.nbf + lifetime, hd: 'example.com' }),
    },
    apiServer: 'rejected',
    ...(lifetime <= 86_400 && { ours: asDocumented }),
  })),
  {
    says: 'its limit of a day lets a token of a day in',
    configuration: one({
      claimRules: [rules.lifetime],
      mappings: { username: { claim: 'sub', prefix: '' } },
    }),
    token: { claims: { ...oneDay, iss: issuerUrl, aud: 'my-client', sub: 'auth' } },
    apiServer: { user: 'auth' },
  },
  {
    says: 'the annotated file asks for hd',
    configuration: withoutLifetime(annotated(byExpression)),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'tab “valid token”',
    configuration: tab(external),
    token: { claims: claims() },
    apiServer: 'rejected',
    ours: asDocumented,
  },
  {
    says: 'tab “fails claim validation”: the token has no hd',
    configuration: tab(external, [rules.hd]),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'tab “fails user validation”: system: in front of the name',
    configuration: tab('"system:" + claims.username', [rules.hd]),
    token: { claims: claims({ hd: 'example.com' }) },
    apiServer: 'rejected',
  },
  {
    says: 'the tabs with the audience of the page’s own tokens',
    configuration: tab(external),
    token: { claims: claims({ aud: 'kubernetes' }) },
    apiServer: 'rejected',
  },
  {
    says: 'the least that a token must say',
    configuration: {
      jwt: [
        {
          issuer: { url: 'https://example.com', audiences: ['my-app'] },
          claimMappings: { username: { claim: 'username-claim', prefix: '' } },
        },
      ],
    },
    token: {
      claims: {
        iss: 'https://example.com',
        aud: ['my-app'],
        exp: farAway,
        'username-claim': 'user',
      },
    },
    apiServer: { user: 'user' },
  },
  {
    says: 'anonymous for three paths',
    configuration: {
      anonymous: {
        enabled: true,
        conditions: [{ path: '/livez' }, { path: '/readyz' }, { path: '/healthz' }],
      },
    },
    apiServer: 'loads',
  },
  {
    says: 'an address that is verified, by the rule of the API reference',
    configuration: verifiedEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: true, jti: undefined }) },
    apiServer: { user: 'jane@example.com' },
  },
  {
    says: 'an address of an issuer that does not say whether it is',
    configuration: verifiedEmail,
    token: { claims: claims({ email: 'jane@example.com', jti: undefined }) },
    apiServer: { user: 'jane@example.com' },
  },
  {
    says: 'an address that is not verified',
    configuration: verifiedEmail,
    token: { claims: claims({ email: 'jane@example.com', email_verified: false }) },
    apiServer: 'rejected',
  },
  {
    says: 'the announcement’s two issuers as they are printed: a rule is no list, an extra has no such field',
    configuration: announced((rule, value) => ({ rules: rule, extra: { expression: value } })),
    apiServer: {
      faults: [0, 1].flatMap(index => [
        `jwt[${index}].claimValidationRules`,
        `jwt[${index}].claimMappings.extra[0].expression`,
      ]),
    },
  },
  {
    says: 'the announcement’s two issuers, put right',
    configuration: announced((rule, value) => ({
      rules: [rule],
      extra: { valueExpression: value },
    })),
    token: {
      claims: claims({
        iss: 'https://issuer1.example.com',
        aud: 'audience2',
        hd: 'example.com',
        uid: '7',
        groups: ['a'],
        jti: undefined,
      }),
    },
    apiServer: {
      user: 'foo',
      uid: '7',
      groups: ['a'],
      extra: { 'example.com/tenant': ['72f988bf-86f1-41af-91ab-2d7cd011db4a'] },
    },
  },
  {
    says: 'the file that the flags became',
    configuration: migrated,
    token: {
      claims: {
        iss: 'https://issuer.example.com',
        aud: 'example-client-id',
        exp: farAway,
        username: 'jane',
        groups: ['a'],
        hd: 'example.com',
        admin: 'true',
      },
    },
    apiServer: { user: 'oidc:jane', groups: ['oidc:a'] },
  },
  {
    says: 'the extras of the API reference',
    configuration: {
      jwt: [
        {
          issuer: { url: 'https://example.com', audiences: ['my-app'] },
          claimMappings: {
            username: { claim: 'sub', prefix: '' },
            extra: [
              { key: 'example.org/hard-coded', valueExpression: "'bar'" },
              { key: 'example.org/from-claim', valueExpression: 'claims.some_claim' },
              {
                key: 'example.org/derived',
                valueExpression: '(has(claims.is_admin) && claims.is_admin) ? "true":""',
              },
            ],
          },
        },
      ],
    },
    token: { claims: claims({ some_claim: 'some-value', is_admin: true, jti: undefined }) },
    apiServer: {
      user: 'auth',
      extra: {
        'example.org/derived': ['true'],
        'example.org/from-claim': ['some-value'],
        'example.org/hard-coded': ['bar'],
      },
    },
  },
]

/** A token that these rows could judge for ever cannot be made for a day. */
function withoutLifetime(file: Record<string, unknown>): Record<string, unknown> {
  const text = JSON.stringify(file, (_key, value: unknown) =>
    value === rules.lifetime ? { expression: 'claims.exp - claims.nbf <= 99999999999' } : value,
  )
  // What was stringified above.
  return JSON.parse(text) as Record<string, unknown>
}
