import { authenticator, claim, expression, issuerUrl, one, type Outcome, type Row } from './row.js'

const at = (...paths: readonly string[]): Outcome => ({
  faults: paths.map(path => (path === '' ? 'jwt[0]' : `jwt[0].${path}`)),
})
const row = (
  says: string,
  configuration: Row['configuration'],
  apiServer: Outcome,
  ours?: Row['ours'],
): Row => ({ says, configuration, apiServer, ...(ours && { ours }) })

const loads = 'loads'

const issuers: readonly Row[] = [
  row('no authenticator at all', {}, loads),
  row('a good one', one(), loads),
  row('url is missing', one({ issuer: { url: '' } }), at('issuer.url')),
  row('url does not parse', one({ issuer: { url: 'https://a:port' } }), at('issuer.url')),
  row('url is not https', one({ issuer: { url: 'http://a.example' } }), at('issuer.url')),
  row('url has no scheme', one({ issuer: { url: 'a.example' } }), at('issuer.url')),
  row('url has a password', one({ issuer: { url: 'https://u:p@a.example' } }), at('issuer.url')),
  row('url has a query', one({ issuer: { url: 'https://a.example?q' } }), at('issuer.url')),
  row('url has a fragment', one({ issuer: { url: 'https://a.example#f' } }), at('issuer.url')),
  row(
    'the same url twice',
    { jwt: [authenticator(), authenticator()] },
    { faults: ['jwt[1].issuer.url'] },
  ),
  row(
    'the same discoveryURL twice',
    {
      jwt: ['https://a.example', 'https://b.example'].map(url =>
        authenticator({ issuer: { url, discoveryURL: 'https://discovery.example/x' } }),
      ),
    },
    { faults: ['jwt[1].issuer.discoveryURL'] },
  ),
  row(
    '64 authenticators',
    {
      jwt: Array.from({ length: 64 }, (_, index) =>
        authenticator({ issuer: { url: `https://issuer-${index}.example` } }),
      ),
    },
    loads,
  ),
  row(
    '65 authenticators',
    {
      jwt: Array.from({ length: 65 }, (_, index) =>
        authenticator({ issuer: { url: `https://issuer-${index}.example` } }),
      ),
    },
    { faults: ['jwt'] },
  ),
]

const discovery = (discoveryURL: string, url = issuerUrl): Row['configuration'] =>
  one({ issuer: { url, discoveryURL } })
const wrongDiscovery = at('issuer.discoveryURL')

const discoveries: readonly Row[] = [
  row('discoveryURL is empty', discovery(''), loads),
  row('discoveryURL', discovery('https://oidc.example'), loads),
  row('discoveryURL has a path', discovery('https://oidc.example/path'), loads),
  row('discoveryURL does not parse', discovery('https://oidc.example:port'), wrongDiscovery),
  row('discoveryURL is not https', discovery('http://oidc.example'), wrongDiscovery),
  row('discoveryURL has a password', discovery('https://u:p@oidc.example'), wrongDiscovery),
  row('discoveryURL has a query', discovery('https://oidc.example?query'), wrongDiscovery),
  row('discoveryURL has a fragment', discovery('https://oidc.example#f'), wrongDiscovery),
  row('discoveryURL is url', discovery(issuerUrl), wrongDiscovery),
  row('discoveryURL is url and a slash', discovery(`${issuerUrl}/`), wrongDiscovery),
  row('discoveryURL is url and slashes', discovery(`${issuerUrl}///`), wrongDiscovery),
  row('discoveryURL is url less a slash', discovery(issuerUrl, `${issuerUrl}/`), wrongDiscovery),
]

const audiences = (names: readonly string[], policy?: string): Row['configuration'] =>
  one({
    issuer: { audiences: names, ...(policy !== undefined && { audienceMatchPolicy: policy }) },
  })

const audienceFaults: readonly Row[] = [
  row('no audiences', audiences([]), at('issuer.audiences')),
  row('an empty audience', audiences(['']), at('issuer.audiences[0]')),
  row('an unknown policy', audiences(['a'], 'MatchExact'), at('issuer.audienceMatchPolicy')),
  row('one audience', audiences(['a']), loads),
  row('one audience with the policy', audiences(['a'], 'MatchAny'), loads),
  row('an audience twice', audiences(['a', 'a'], 'MatchAny'), at('issuer.audiences[1]')),
  row('several without the policy', audiences(['a', 'b']), at('issuer.audienceMatchPolicy')),
  row('several', audiences(['a', 'b'], 'MatchAny'), loads),
]

const otherIssuerFields: readonly Row[] = [
  row(
    'certificateAuthority is no certificate',
    one({ issuer: { certificateAuthority: 'invalid' } }),
    at('issuer.certificateAuthority'),
  ),
  row('certificateAuthority is empty', one({ issuer: { certificateAuthority: '' } }), loads),
  row(
    'egressSelectorType is unknown',
    one({ issuer: { egressSelectorType: 'etcd' } }),
    at('issuer.egressSelectorType'),
  ),
  ...['controlplane', 'cluster'].map(type =>
    row(
      `egressSelectorType ${type} without such an egress`,
      one({ issuer: { egressSelectorType: type } }),
      loads,
      {
        outcome: at('issuer.egressSelectorType') as { readonly faults: readonly string[] },
        because: 'the gateway has no egress selector that could be honoured',
      },
    ),
  ),
]

const rules = (...claimRules: readonly unknown[]): Row['configuration'] => one({ claimRules })
const first = 'claimValidationRules[0]'

const claimRules: readonly Row[] = [
  row('a rule that says nothing', rules({}), at(first)),
  row('claim and expression', rules({ claim: 'a', expression: 'true' }), at(first)),
  row('a message for a claim', rules({ claim: 'a', message: 'm' }), at(`${first}.message`)),
  row(
    'a required value for an expression',
    rules({ expression: "claims.foo == 'bar'", requiredValue: 'v' }),
    at(`${first}.requiredValue`),
  ),
  row(
    'a claim twice',
    rules({ claim: 'a', requiredValue: 'x' }, { claim: 'a', requiredValue: 'y' }),
    at('claimValidationRules[1].claim'),
  ),
  row(
    'an expression twice',
    rules({ expression: "claims.a == 'b'" }, { expression: "claims.a == 'b'" }),
    at('claimValidationRules[1].expression'),
  ),
  row('an unknown variable', rules({ expression: 'foo.bar' }), at(`${first}.expression`)),
  row('no boolean', rules({ expression: 'claims.foo' }), at(`${first}.expression`)),
  row(
    'an optional value with a default is no boolean',
    rules({ expression: 'claims.?email_verified.orValue(true)' }),
    at(`${first}.expression`),
  ),
  row(
    'the variable of user rules',
    rules({ expression: "user.username == 'foo'" }),
    at(`${first}.expression`),
  ),
  row('a syntax error', rules({ expression: 'claims.a ==' }), at(`${first}.expression`)),
  row('an unknown function', rules({ expression: 'claims.a.foo()' }), at(`${first}.expression`)),
  row('a good rule', rules({ expression: "claims.foo == 'bar'" }), loads),
  row(
    'rules of both kinds',
    rules(
      { claim: 'a', requiredValue: 'x' },
      { claim: 'b', requiredValue: 'claims.email_verified' },
      { expression: 'has(claims.email_verified)' },
    ),
    loads,
  ),
]

const mapped = (mappings: Readonly<Record<string, unknown>>): Row['configuration'] =>
  one({ mappings })
const user = 'claimMappings.username'
const groups = 'claimMappings.groups'
const uid = 'claimMappings.uid'

const mappings: readonly Row[] = [
  row('a user by nothing', mapped({ username: {} }), at(user)),
  row('a user by a prefix alone', mapped({ username: { prefix: 'p' } }), at(user)),
  row(
    'a user by claim and expression',
    mapped({ username: { claim: 'a', expression: 'claims.a' } }),
    at(user),
  ),
  row(
    'a user by expression with a prefix',
    mapped({ username: { expression: 'claims.a', prefix: 'p' } }),
    at(`${user}.prefix`),
  ),
  row(
    'a user by expression with an empty prefix',
    mapped({ username: { expression: 'claims.a', prefix: '' } }),
    at(`${user}.prefix`),
  ),
  row('a user by claim without prefix', mapped({ username: { claim: 'a' } }), at(`${user}.prefix`)),
  row(
    'a user by a wrong expression',
    mapped({ username: expression('foo.bar') }),
    at(`${user}.expression`),
  ),
  row(
    'groups by claim and expression',
    mapped({ groups: { claim: 'a', expression: 'claims.a' } }),
    at(groups),
  ),
  row(
    'groups by expression with a prefix',
    mapped({ groups: { expression: 'claims.a', prefix: 'p' } }),
    at(`${groups}.prefix`),
  ),
  row('groups by claim without prefix', mapped({ groups: { claim: 'a' } }), at(`${groups}.prefix`)),
  row('groups by a prefix alone', mapped({ groups: { prefix: 'p' } }), loads),
  row(
    'groups by a wrong expression',
    mapped({ groups: expression('foo.bar') }),
    at(`${groups}.expression`),
  ),
  row(
    'uid by claim and expression',
    mapped({ uid: { claim: 'a', expression: 'claims.a' } }),
    at(uid),
  ),
  row('uid by a wrong expression', mapped({ uid: expression('foo.bar') }), at(`${uid}.expression`)),
  row('uid has no prefix', mapped({ uid: { claim: 'a', prefix: 'p' } }), at(`${uid}.prefix`)),
  row(
    'an expression that adds a map and a number',
    mapped({ username: expression('claims + 1') }),
    at(`${user}.expression`),
  ),
]

const extra = (...entries: ReadonlyArray<readonly [string, string]>): Row['configuration'] =>
  mapped({ extra: entries.map(([key, valueExpression]) => ({ key, valueExpression })) })
const key = 'claimMappings.extra[0].key'

const extras: readonly Row[] = [
  row('an extra without key', extra(['', 'claims.a']), at(key)),
  row('a key without domain', extra(['foo', 'claims.a']), at(key)),
  row('a key without path', extra(['example.org/', 'claims.a']), at(key)),
  row('a key with capitals', extra(['example.org/Foo', 'claims.a']), at(key)),
  ...['k8s.io', 'example.k8s.io', 'kubernetes.io', 'example.kubernetes.io'].map(domain =>
    row(`a key of ${domain}`, extra([`${domain}/foo`, 'claims.a']), at(key)),
  ),
  row(
    'keys of domains that only end like those',
    extra(
      ['ak8s.io/foo', 'claims.a'],
      ['example.ak8s.io/foo', 'claims.a'],
      ['bkubernetes.io/foo', 'claims.a'],
      ['example.bkubernetes.io/foo', 'claims.a'],
    ),
    loads,
  ),
  row(
    'a key twice',
    extra(
      ['example.org/foo', 'claims.a'],
      ['example.org/bar', 'claims.b'],
      ['example.org/foo', 'claims.b'],
    ),
    at('claimMappings.extra[2].key'),
  ),
  row(
    'an extra without expression',
    extra(['example.org/foo', '']),
    at('claimMappings.extra[0].valueExpression'),
  ),
  row(
    'an extra by a wrong expression',
    extra(['example.org/foo', 'foo.bar']),
    at('claimMappings.extra[0].valueExpression'),
  ),
]

/** `email` by expression asks for `email_verified` somewhere. */
const email = (
  username: string,
  more: { readonly extra?: string; readonly rule?: string } = {},
): Row['configuration'] =>
  one({
    ...(more.rule !== undefined && { claimRules: [{ expression: more.rule }] }),
    mappings: {
      username: expression(username),
      ...(more.extra !== undefined && {
        extra: [{ key: 'panda.example/foo', valueExpression: more.extra }],
      }),
    },
  })
const unverified = at(`${user}.expression`)
const joined = "['yay', string(claims.email), 'panda'].join(' ')"
const verified = 'claims.?email_verified.orValue(true) == true'

const emails: readonly Row[] = [
  ...[
    'claims.email',
    joined,
    'claims.?email',
    '{claims.?email: "panda"}',
    '{"fancy": claims.?email}',
    '["a"].map(i, i + claims.email)',
    'has(claims.email) ? claims.email : claims.sub',
    'claims.email.trim()',
  ].map(username => row(`unverified: ${username}`, email(username), unverified)),
  ...[
    'claims.email_',
    'claims.other.claims.email',
    'claims["email"]',
    'claims.?email_verified.orValue(true) ? claims.email : claims.sub',
    'claims.?email_verified.orValue(false) ? claims.email : claims.sub',
  ].map(username => row(`no email, or verified: ${username}`, email(username), loads)),
  ...[
    'claims.email_verified',
    'claims.email_verified.upperAscii()',
    'claims.?email_verified',
    'has(claims.email_verified) ? string(claims.email_verified) : "false"',
  ].map(value => row(`verified by extra: ${value}`, email(joined, { extra: value }), loads)),
  row(
    'an extra of another claim',
    email('claims.email', {
      extra: 'has(claims.email_verified_) ? string(claims.email_verified_) : "false"',
    }),
    unverified,
  ),
  row('verified by rule', email(joined, { rule: 'string(claims.email_verified) == "x"' }), loads),
  row('verified as by claim', email('{claims.?email: "panda"}', { rule: verified }), loads),
  row('has is enough', email('claims.email', { rule: 'has(claims.email_verified)' }), loads),
  row(
    'a rule of another claim',
    email('claims.email', { rule: 'has(claims.email_verified_)' }),
    unverified,
  ),
  row(
    'a rule that is no boolean does not count',
    email('claims.email', { rule: 'claims.?email_verified.orValue(true)' }),
    at(`${first}.expression`, `${user}.expression`),
  ),
  row(
    'a rule about the user does not count',
    one({
      mappings: { username: expression('claims.email') },
      userRules: [{ expression: 'user.username != ""' }],
    }),
    unverified,
  ),
]

const userRule = (...expressions: readonly string[]): Row['configuration'] =>
  one({ userRules: expressions.map(cel => ({ expression: cel })) })
const firstUser = 'userValidationRules[0].expression'

const userRules: readonly Row[] = [
  row('a user rule that says nothing', one({ userRules: [{}] }), at(firstUser)),
  row(
    'a user rule twice',
    userRule("user.username == 'foo'", "user.username == 'foo'"),
    at('userValidationRules[1].expression'),
  ),
  row('an unknown variable', userRule('foo.bar'), at(firstUser)),
  row('the variable of claim rules', userRule("claims.foo == 'bar'"), at(firstUser)),
  row('an unknown field of the user', userRule("user.unknown == 'foo'"), at(firstUser)),
  row('no boolean', userRule('user.username'), at(firstUser)),
  row('a text compared with a number', userRule('user.username == 1'), at(firstUser)),
  row(
    'good user rules',
    one({
      userRules: [
        { expression: "user.username == 'foo'" },
        { expression: "!user.username.startsWith('system:')", message: 'reserved prefix' },
      ],
    }),
    loads,
  ),
]

const anonymous: readonly Row[] = [
  row('anonymous, on', { anonymous: { enabled: true } }, loads),
  row('anonymous, off', { anonymous: { enabled: false } }, loads),
  row(
    'anonymous, for some paths',
    { anonymous: { enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] } },
    loads,
  ),
  row(
    'anonymous, off, for some paths',
    { anonymous: { enabled: false, conditions: [{ path: '/livez' }] } },
    { faults: ['anonymous.conditions'] },
  ),
]

const document = (apiVersion: string, kind: string, more = ''): string =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\n${more}`
const v1 = 'apiserver.config.k8s.io/v1'
const kind = 'AuthenticationConfiguration'
const written = 'jwt:\n- issuer:\n    url: https://a.example\n    audiences: [a]\n'

const documents: readonly Row[] = [
  row('v1', document(v1, kind), loads),
  row('v1beta1', document('apiserver.config.k8s.io/v1beta1', kind), loads),
  row('v1alpha1', document('apiserver.config.k8s.io/v1alpha1', kind), loads, {
    outcome: { faults: ['apiVersion'] },
    because: 'the alpha version is not read: its fields are those of v1beta1',
  }),
  row('an unknown version', document('apiserver.config.k8s.io/v2', kind), {
    faults: ['apiVersion'],
  }),
  row('another group', document('v1', kind), { faults: ['apiVersion'] }),
  row('another kind', document(v1, 'AuthorizationConfiguration'), { faults: ['kind'] }),
  row('no kind', `apiVersion: ${v1}\n`, { faults: ['kind'] }),
  row('no version', `kind: ${kind}\n`, { faults: ['apiVersion'] }),
  row('an unknown field', document(v1, kind, 'foo: bar\n'), { faults: ['foo'] }),
  row(
    'an unknown field within',
    document(
      v1,
      kind,
      `${written}    foo: 1\n  claimMappings: {username: {expression: claims.a}}\n`,
    ),
    { faults: ['jwt[0].issuer.foo'] },
  ),
  row(
    'a field in other capitals',
    document(v1, kind, `${written}  ClaimMappings: {username: {expression: claims.a}}\n`),
    { faults: ['jwt[0].ClaimMappings'] },
  ),
  row('a number for a text', document(v1, kind, 'jwt:\n- issuer: {url: 1, audiences: [a]}\n'), {
    faults: ['jwt[0].issuer.url'],
  }),
  row(
    'the same field twice',
    document(v1, kind, 'anonymous: {enabled: true, enabled: false}\n'),
    // Neither has a path for it.
    { faults: [''] },
  ),
]

/** What a configuration may say, and what is wrong with it if not. */
export const configurationRows: readonly Row[] = [
  ...issuers,
  ...discoveries,
  ...audienceFaults,
  ...otherIssuerFields,
  ...claimRules,
  ...mappings,
  ...extras,
  ...emails,
  ...userRules,
  ...anonymous,
  ...documents,
  row(
    'several faults are all told',
    one({
      issuer: { url: 'http://a.example', audiences: [] },
      claimRules: [{}],
      mappings: { username: {}, groups: claim('groups'), extra: [{ key: 'foo' }] },
      userRules: [{}],
    }),
    at(
      'issuer.url',
      'issuer.audiences',
      first,
      user,
      key,
      'claimMappings.extra[0].valueExpression',
      firstUser,
    ),
  ),
]
