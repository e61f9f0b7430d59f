import t from 'tap'
import { describeFault, loadConfiguration } from '../../lib/authenticate/load-configuration.js'
import { createAuthority } from '../actors/certificates.js'

const authority = createAuthority()

const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n'

/** Faults as they are printed, or how many issuers there are. */
const said = (text: string): readonly string[] | number => {
  const result = loadConfiguration(text)
  return 'faults' in result
    ? result.faults.map(fault => describeFault('c.yaml', fault))
    : result.loaded.rules.length
}

/** A configuration with one issuer; parts of it are replaced, as YAML in one line. */
const one = (parts: Record<string, string> = {}): string => {
  const {
    issuer = '{ url: https://a.example, audiences: [x] }',
    username = '{ claim: sub, prefix: "a:" }',
    mappings = '',
    rest = '',
  } = parts
  return `${head}jwt:
- issuer: ${issuer}
  claimMappings: { username: ${username}${mappings && `, ${mappings}`} }
${rest && `  ${rest}\n`}`
}

t.test('a configuration of either version loads, in YAML and in JSON', async t => {
  t.equal(said(one()), 1)
  t.equal(said(one().replace('/v1\n', '/v1beta1\n')), 1)
  t.equal(said(`${head}jwt: []`), 0, 'the API server allows none, too')
  t.equal(said(head), 0)
  t.equal(said(`${head}jwt: null\nanonymous: null`), 0)
  t.equal(
    said(
      JSON.stringify({
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'AuthenticationConfiguration',
        jwt: [
          {
            issuer: { url: 'https://a.example', audiences: ['x'] },
            claimMappings: { username: { claim: 'sub', prefix: '' } },
          },
        ],
      }),
    ),
    1,
  )
})

t.test('what was written is what is loaded', async t => {
  const result = loadConfiguration(`${head}
jwt:
- issuer:
    url: https://a.example
    discoveryURL: https://inside.example/.well-known/openid-configuration
    certificateAuthority: |
${authority.ca.trimEnd().replace(/^/gm, '      ')}
    audiences: [x, y]
    audienceMatchPolicy: MatchAny
  claimValidationRules:
  - claim: hd
    requiredValue: example.org
  - expression: claims.admin == false
    message: no administrators
  claimMappings:
    username: { expression: '"a:" + claims.sub' }
    groups: { claim: roles, prefix: "a:" }
    uid: { claim: oid }
    extra:
    - { key: example.org/team, valueExpression: claims.team }
  userValidationRules:
  - expression: user.username != ""
anonymous:
  enabled: true
  conditions:
  - path: /livez
`)
  if (!('loaded' in result)) throw new Error(JSON.stringify(result))
  const [rules] = result.loaded.rules
  t.match(rules, {
    issuer: {
      url: 'https://a.example',
      discoveryURL: 'https://inside.example/.well-known/openid-configuration',
      certificateAuthority: authority.ca.trimEnd(),
      audiences: ['x', 'y'],
    },
    username: { expression: { text: '"a:" + claims.sub' } },
    groups: { claim: 'roles', prefix: 'a:' },
    uid: { claim: 'oid', prefix: '' },
    extra: [{ key: 'example.org/team', expression: { text: 'claims.team' } }],
    requiredClaims: [{ path: 'claimValidationRules[0]', claim: 'hd', value: 'example.org' }],
    claimRules: [
      {
        path: 'claimValidationRules[1]',
        expression: { text: 'claims.admin == false' },
        message: 'no administrators',
      },
    ],
    userRules: [{ path: 'userValidationRules[0]', expression: { text: 'user.username != ""' } }],
  })
  t.same(result.loaded.anonymous, { enabled: true, conditions: [{ path: '/livez' }] })
})

t.test('a document that is none, or another, is a fault', async t => {
  t.match(said('{'), [/^c\.yaml:1: is not valid YAML: /])
  t.match(said(`${head}jwt: []\njwt: []`), [
    /^c\.yaml:4: is not valid YAML: Map keys must be unique/,
  ])
  t.match(said(`${head}---\n${head}`), [/^c\.yaml:3: is not valid YAML: /])
  t.same(said(''), ['c.yaml: is empty: write apiVersion, kind and jwt'])
  t.same(said('- a'), [
    'c.yaml:1: must be a mapping',
    'c.yaml:1: is empty: write apiVersion, kind and jwt',
  ])
  const versions = 'must be apiserver.config.k8s.io/v1 or apiserver.config.k8s.io/v1beta1'
  t.same(said('jwt: []'), [
    `c.yaml:1: apiVersion: ${versions}`,
    'c.yaml:1: kind: must be AuthenticationConfiguration',
  ])
  t.same(said('apiVersion: apiserver.config.k8s.io/v1alpha1\nkind: AuthorizationConfiguration'), [
    `c.yaml:1: apiVersion "apiserver.config.k8s.io/v1alpha1": ${versions}`,
    'c.yaml:2: kind "AuthorizationConfiguration": must be AuthenticationConfiguration',
  ])
})

t.test('unknown fields and wrong types are faults, all of them, with path and line', async t => {
  t.same(
    said(`${head}jwts: []
jwt:
- issuer:
    URL: https://a.example
    url: 5
    audiences: x
  claimMappings:
    username: sub
    extra: {}
    groups: { claim: [a], prefix: true }
  claimValidationRules: [a]
anonymous: { enabled: "yes" }
`),
    [
      'c.yaml:3: jwts: is no field here; there are apiVersion, kind, jwt, anonymous',
      'c.yaml:14: anonymous.enabled: must be true or false, without quotes',
      'c.yaml:6: jwt[0].issuer.URL: is no field here; there are url, discoveryURL, certificateAuthority, audiences, audienceMatchPolicy, egressSelectorType',
      'c.yaml:7: jwt[0].issuer.url "5": must be a string; put it in quotes',
      'c.yaml:8: jwt[0].issuer.audiences: must be a list',
      'c.yaml:13: jwt[0].claimValidationRules[0]: must be a mapping',
      'c.yaml:10: jwt[0].claimMappings.username: must be a mapping',
      'c.yaml:12: jwt[0].claimMappings.groups.claim: must be a string; put it in quotes',
      'c.yaml:12: jwt[0].claimMappings.groups.prefix "true": must be a string; put it in quotes',
      'c.yaml:11: jwt[0].claimMappings.extra: must be a list',
    ],
  )
})

t.test('each rule of the API server, and each of ours, is a fault of its own', async t => {
  const table: ReadonlyArray<readonly [text: string, ...faults: string[]]> = [
    [
      one({ issuer: '{ audiences: [x] }' }),
      'issuer.url: is required: the issuer whose tokens are accepted',
    ],
    [
      one({ issuer: '{ url: http://a.example, audiences: [x] }' }),
      'issuer.url "http://a.example": must be an https URL such as https://issuer.example.com',
    ],
    [
      one({ issuer: '{ url: "https://a.example?b", audiences: [x] }' }),
      'issuer.url "https://a.example?b": must not have a query',
    ],
    [
      one({ issuer: '{ url: "https://a.example#b", audiences: [x] }' }),
      'issuer.url "https://a.example#b": must not have a fragment',
    ],
    [
      one({ issuer: '{ url: "https://u:p@a.example", audiences: [x] }' }),
      'issuer.url: must not have a user or password',
    ],
    [
      one({
        issuer: '{ url: https://a.example, discoveryURL: "https://a.example/", audiences: [x] }',
      }),
      'issuer.discoveryURL "https://a.example/": must differ from url; leave it out',
    ],
    [
      one({
        issuer: '{ url: https://a.example, discoveryURL: "http://b.example/", audiences: [x] }',
      }),
      'issuer.discoveryURL "http://b.example/": must be an https URL such as https://issuer.example.com',
    ],
    [
      one({ issuer: '{ url: https://a.example, certificateAuthority: x, audiences: [x] }' }),
      'issuer.certificateAuthority: must hold at least one certificate in PEM',
    ],
    [
      one({
        issuer:
          '{ url: https://a.example, certificateAuthority: "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----", audiences: [x] }',
      }),
      'issuer.certificateAuthority: certificate 1 of 1 cannot be read',
    ],
    [
      one({ issuer: '{ url: https://a.example }' }),
      'issuer.audiences: needs at least one: whom the tokens are meant for',
    ],
    [
      one({ issuer: '{ url: https://a.example, audiences: [""] }' }),
      'issuer.audiences[0]: must not be empty',
    ],
    [
      one({
        issuer: '{ url: https://a.example, audiences: [x, x], audienceMatchPolicy: MatchAny }',
      }),
      'issuer.audiences[1] "x": is there already',
    ],
    [
      one({ issuer: '{ url: https://a.example, audiences: [x, y] }' }),
      'issuer.audienceMatchPolicy: must be MatchAny where there is more than one audience, and may be nothing else',
    ],
    [
      one({ issuer: '{ url: https://a.example, audiences: [x], audienceMatchPolicy: MatchAll }' }),
      'issuer.audienceMatchPolicy "MatchAll": must be MatchAny where there is more than one audience, and may be nothing else',
    ],
    [
      one({ issuer: '{ url: https://a.example, audiences: [x], egressSelectorType: cluster }' }),
      'issuer.egressSelectorType "cluster": cannot be honoured: the gateway has no egress selector and connects by itself; take it out',
    ],

    [one({ username: '{}' }), 'claimMappings.username: needs a claim or an expression'],
    [
      one({ username: '{ claim: sub }' }),
      'claimMappings.username.prefix: is required with a claim; "" for none',
    ],
    [
      one({ username: '{ claim: sub, prefix: "", expression: claims.sub }' }),
      'claimMappings.username "sub": has both a claim and an expression; there must be one of them',
    ],
    [
      one({ username: '{ prefix: "", expression: claims.sub }' }),
      'claimMappings.username.prefix "": goes with a claim only; put it into the expression',
    ],
    [
      one({ username: '{ claim: sub, prefix: "system:" }' }),
      'claimMappings.username.prefix "system:": must not begin with "system:": those names are the cluster\'s own',
    ],
    [
      one({ username: '{ claim: sub, prefix: " a" }' }),
      'claimMappings.username.prefix " a": must not begin with a blank or hold control characters',
    ],
    [
      one({ username: '{ expression: "claims.sub +" }' }),
      'claimMappings.username.expression "claims.sub +": line 1, column 13: unexpected end',
    ],
    [
      one({ username: '{ expression: "claims.email" }' }),
      'claimMappings.username.expression "claims.email": uses claims.email, which anybody could have typed: use claims.email_verified in it, in an extra or in a claimValidationRule',
    ],
    [
      one({ mappings: 'groups: { claim: groups }' }),
      'claimMappings.groups.prefix: is required with a claim; "" for none',
    ],
    [
      one({ mappings: 'groups: { claim: groups, prefix: "system:" }' }),
      'claimMappings.groups.prefix "system:": must not begin with "system:": those names are the cluster\'s own',
    ],
    [
      one({ mappings: 'groups: { expression: user.groups }' }),
      'claimMappings.groups.expression "user.groups": line 1, column 1: undeclared reference to \'user\': only claims is known here',
    ],
    [
      one({ mappings: 'uid: { claim: a, expression: claims.a }' }),
      'claimMappings.uid "a": has both a claim and an expression; there must be one of them',
    ],
    [
      one({ mappings: 'uid: { expression: "foo()" }' }),
      'claimMappings.uid.expression "foo()": line 1, column 1: undeclared reference to \'foo\': there is no such function',
    ],
    [
      one({ mappings: 'extra: [{ key: "", valueExpression: claims.a }]' }),
      'claimMappings.extra[0].key "": is required, as in example.org/team',
    ],
    [
      one({ mappings: 'extra: [{ key: team, valueExpression: claims.a }]' }),
      'claimMappings.extra[0].key "team": must be a path below a domain, as in example.org/team',
    ],
    [
      one({ mappings: 'extra: [{ key: "example.org/ü", valueExpression: claims.a }]' }),
      'claimMappings.extra[0].key "example.org/ü": must be a path below a domain, as in example.org/team',
    ],
    [
      one({ mappings: 'extra: [{ key: example.org/Team, valueExpression: claims.a }]' }),
      'claimMappings.extra[0].key "example.org/Team": must be in lower case',
    ],
    [
      one({ mappings: 'extra: [{ key: kubernetes.io/a, valueExpression: claims.a }]' }),
      'claimMappings.extra[0].key "kubernetes.io/a": must not lie in kubernetes.io or k8s.io: those are reserved for Kubernetes',
    ],
    [
      one({ mappings: 'extra: [{ key: authentication.k8s.io/a, valueExpression: claims.a }]' }),
      'claimMappings.extra[0].key "authentication.k8s.io/a": must not lie in kubernetes.io or k8s.io: those are reserved for Kubernetes',
    ],
    [
      one({
        mappings:
          'extra: [{ key: a.b/c, valueExpression: claims.a }, { key: a.b/c, valueExpression: claims.b }]',
      }),
      'claimMappings.extra[1].key "a.b/c": is there already',
    ],
    [
      one({ mappings: 'extra: [{ key: a.b/c }]' }),
      'claimMappings.extra[0].valueExpression: is required',
    ],

    [
      one({ rest: 'claimValidationRules: [{}]' }),
      'claimValidationRules[0]: needs a claim or an expression',
    ],
    [
      one({ rest: 'claimValidationRules: [{ claim: a, expression: "true" }]' }),
      'claimValidationRules[0] "a": has both a claim and an expression; there must be one of them',
    ],
    [
      one({ rest: 'claimValidationRules: [{ claim: a, message: b }]' }),
      'claimValidationRules[0].message "b": goes with an expression only',
    ],
    [
      one({ rest: 'claimValidationRules: [{ claim: a }, { claim: a, requiredValue: b }]' }),
      'claimValidationRules[1].claim "a": has a rule above already',
    ],
    [
      one({ rest: 'claimValidationRules: [{ expression: "true", requiredValue: b }]' }),
      'claimValidationRules[0].requiredValue "b": goes with a claim only',
    ],
    [
      one({ rest: 'claimValidationRules: [{ expression: "true" }, { expression: "true" }]' }),
      'claimValidationRules[1].expression "true": is there already',
    ],
    [
      one({ rest: 'claimValidationRules: [{ expression: claims.admin }]' }),
      'claimValidationRules[0].expression "claims.admin": must evaluate to bool; compare a claim to say so, as in claims.admin == true',
    ],
    [
      one({ rest: 'claimValidationRules: [{ expression: "claims.?admin.orValue(false)" }]' }),
      'claimValidationRules[0].expression "claims.?admin.orValue(false)": must evaluate to bool; compare a claim to say so, as in claims.admin == true',
    ],
    [one({ rest: 'userValidationRules: [{}]' }), 'userValidationRules[0].expression: is required'],
    [
      one({ rest: 'userValidationRules: [{ expression: user.username }]' }),
      'userValidationRules[0].expression "user.username": must evaluate to bool; compare a claim to say so, as in claims.admin == true',
    ],
    [
      one({ rest: 'userValidationRules: [{ expression: "true" }, { expression: "true" }]' }),
      'userValidationRules[1].expression "true": is there already',
    ],
  ]
  for (const [text, ...faults] of table) {
    const found = said(text)
    const paths =
      typeof found === 'number'
        ? []
        : found.map(line => line.replace(/^c\.yaml:\d+: jwt\[0\]\./, ''))
    t.same(paths, faults)
  }
})

t.test('an address in the user name has to be verified somewhere', async t => {
  const email = '{ expression: claims.email }'
  t.equal(
    said(
      one({
        username: email,
        rest: 'claimValidationRules: [{ expression: "claims.?email_verified.orValue(true) == true" }]',
      }),
    ),
    1,
  )
  t.equal(
    said(
      one({
        username: email,
        mappings: 'extra: [{ key: a.b/c, valueExpression: string(claims.email_verified) }]',
      }),
    ),
    1,
  )
  t.equal(
    said(one({ username: '{ expression: "claims.email_verified ? claims.email : claims.sub" }' })),
    1,
  )
  t.equal(
    said(one({ username: '{ claim: email, prefix: "" }' })),
    1,
    'a claim is looked at by itself',
  )
  for (const rest of [
    'claimValidationRules: [{ claim: email_verified, requiredValue: "true" }]',
    'userValidationRules: [{ expression: "true" }]',
  ]) {
    t.match(
      said(one({ username: email, rest })),
      [/uses claims\.email/],
      'the API server wants it in an expression',
    )
  }
})

t.test('issuers are up to 64, each with an address of its own', async t => {
  const many = (count: number): string =>
    `${head}jwt:\n${Array.from(
      { length: count },
      (_, index) =>
        `- { issuer: { url: "https://a.example/${index}", audiences: [x] }, claimMappings: { username: { claim: sub, prefix: "" } } }\n`,
    ).join('')}`
  t.equal(said(many(64)), 64)
  t.same(said(many(65)), ['c.yaml:3: jwt: has 65 issuers: there may be 64'])
  const twice = `${one({ issuer: '{ url: https://a.example, discoveryURL: https://d.example/x, audiences: [x] }' })}- issuer: { url: https://a.example, discoveryURL: https://d.example/x, audiences: [y] }
  claimMappings: { username: { claim: sub, prefix: "" } }
`
  t.same(said(twice), [
    'c.yaml:6: jwt[1].issuer.url "https://a.example": is that of another issuer above; there may be one of each',
    'c.yaml:6: jwt[1].issuer.discoveryURL "https://d.example/x": is that of another issuer above; there may be one of each',
  ])
})

t.test('anonymous conditions need to be in force, and able to match', async t => {
  t.equal(said(`${head}anonymous: { enabled: false }`), 0)
  t.equal(said(`${head}anonymous: { enabled: true }`), 0)
  t.equal(said(`${head}anonymous: { enabled: true, conditions: [{ path: /livez }] }`), 0)
  t.same(said(`${head}anonymous: { conditions: [{ path: /livez }] }`), [
    'c.yaml:3: anonymous.conditions: have no effect: set enabled to true, or take them out',
  ])
  t.same(said(`${head}anonymous: { enabled: true, conditions: [{ path: livez }, {}] }`), [
    'c.yaml:3: anonymous.conditions[0].path "livez": must begin with a slash to match a request',
    'c.yaml:3: anonymous.conditions[1].path "": must begin with a slash to match a request',
  ])
})
