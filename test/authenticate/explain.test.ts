import t from 'tap'
import { rulesOfFlags } from '../../lib/authenticate/flag-configuration.js'
import {
  explainToken,
  type ExplainOptions,
  type Explanation,
} from '../../lib/authenticate/explain.js'
import { loadConfiguration } from '../../lib/authenticate/load-configuration.js'
import { createAuthority } from '../actors/certificates.js'
import { startIssuer, type Issuer } from '../actors/issuer.js'
import { startHttpsIssuer } from './https-issuer.js'
import { createSigner, signed } from './tokens.js'

const at = Date.parse('2026-01-01T00:00:00Z')
const seconds = at / 1000

function rulesOf(text: string): ExplainOptions['rules'] {
  const result = loadConfiguration(text)
  if ('faults' in result) throw new Error(JSON.stringify(result.faults))
  return result.loaded.rules
}

const flags = (url: string, over: Partial<Parameters<typeof rulesOfFlags>[0]> = {}) =>
  rulesOfFlags({
    url,
    audience: 'kubernetes',
    usernameClaim: 'sub',
    usernamePrefix: 'oidc:',
    groupsClaim: 'groups',
    groupsPrefix: '',
    requiredClaims: new Map(),
    ...over,
  })

function explain(
  token: string,
  rules: ExplainOptions['rules'],
  over: Partial<ExplainOptions> = {},
): Promise<Explanation> {
  return explainToken(
    token,
    {
      rules,
      limits: { allowReservedUsers: [], allowReservedGroups: [], maxGroups: 3 },
      signingAlgs: ['RS256'],
      clockSkewSeconds: 30,
      online: false,
      now: () => at,
      ...over,
    },
    AbortSignal.timeout(60_000),
  )
}

/** A step as one line. */
const lines = ({ steps }: Explanation): readonly string[] =>
  steps.map(({ rule, verdict, value, why, refusal }) =>
    [verdict, rule, value === undefined ? '' : JSON.stringify(value), why, refusal?.code]
      .filter(part => part !== undefined && part !== '')
      .join(' '),
  )

const unsigned = (claims: object, header: object = { alg: 'RS256' }): string =>
  [header, claims, 'signature']
    .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')

const url = 'https://i.example'
const good = {
  iss: url,
  aud: ['kubernetes', 'other'],
  sub: 'alice',
  exp: seconds + 60,
  iat: seconds,
  groups: ['dev'],
}

t.test('a token is walked through every rule of serve, by its signature too', async t => {
  const issuer: Issuer = await startIssuer({ now: () => at })
  t.teardown(() => issuer.close())
  const options = { online: true, ca: issuer.ca }
  const rules = [flags(issuer.url)]
  const explanation = await explain(issuer.sign({ groups: ['dev'] }), rules, options)
  t.match(explanation, {
    verdict: 'accepted',
    issuer: issuer.url,
    header: { alg: 'RS256', kid: 'one' },
    identity: { username: 'oidc:alice', groups: ['dev'] },
    hints: [],
  })
  t.same(
    explanation.steps.map(({ rule, verdict }) => `${verdict} ${rule}`),
    [
      'ok token',
      'ok header.alg',
      'ok issuer.url',
      'ok issuer.audiences',
      'ok claims',
      'ok exp',
      'ok nbf',
      'ok iat',
      'ok signature',
      'ok claimMappings.username',
      'ok claimMappings.groups',
      'ok identity',
    ],
  )

  const forged = issuer.sign().replace(/.{8}$/, 'AAAAAAAA')
  const wrong = await explain(forged, rules, options)
  t.match(wrong, { verdict: 'refused', refusal: { code: 'token_signature' } })
  t.match(wrong.steps.at(-1), { rule: 'identity', verdict: 'ok' })

  await issuer.down()
  const unknown = await explain(issuer.sign(), rules, options)
  t.match(unknown, { verdict: 'unknown', refusal: { code: 'issuer_unavailable' } })
})

t.test('groups that a token only points at are fetched as serve fetches them', async t => {
  const authority = createAuthority()
  const issuer = await startHttpsIssuer(authority)
  t.teardown(() => issuer.close())
  const key = createSigner('RS256', 'key')
  issuer.publish(key)
  const own = { iss: issuer.url, aud: 'kubernetes', exp: seconds + 60 }
  const pointing = {
    ...own,
    sub: 'alice',
    _claim_names: { groups: 'src' },
    _claim_sources: { src: { endpoint: `${issuer.url}/groups`, access_token: 'of-the-source' } },
  }
  const options = { online: true, ca: authority.ca }
  const explained = async (claims: object, over: Partial<ExplainOptions> = {}) => {
    const explanation = await explain(signed(key, claims), [flags(issuer.url)], {
      ...options,
      ...over,
    })
    t.notMatch(JSON.stringify(explanation.steps), /of-the-source/)
    const step = lines(explanation).find(line => line.includes('_claim_sources'))
    return { verdict: explanation.verdict, groups: explanation.identity?.groups, step }
  }
  issuer.on('/groups', (_request, response) => {
    response.end(signed(key, { ...own, groups: ['dev', 'ops'] }))
  })
  t.same(await explained(pointing), {
    verdict: 'accepted',
    groups: ['dev', 'ops'],
    step: 'ok _claim_sources ["dev","ops"]',
  })
  t.same(await explained(pointing, { online: false }), {
    verdict: 'unproven',
    groups: [],
    step: undefined,
  })
  const asked = issuer.asked.filter(path => path === '/groups').length
  t.same(await explained({ ...pointing, exp: seconds - 1 }), {
    verdict: 'refused',
    groups: [],
    step: 'skipped _claim_sources nothing is fetched for a token that is refused',
  })
  t.equal(issuer.asked.filter(path => path === '/groups').length, asked, 'nobody was asked')

  issuer.on('/groups', (_request, response) => {
    response.statusCode = 500
    response.end()
  })
  t.same(await explained(pointing), {
    verdict: 'unknown',
    groups: [],
    step: 'refused _claim_sources the claim "groups" cannot be fetched: answered with status 500 issuer_unavailable',
  })
  issuer.on('/groups', (_request, response) => response.end('no token'))
  t.match(await explained(pointing), {
    verdict: 'refused',
    step: /^refused _claim_sources what was fetched for the claim "groups": .* token_claim$/,
  })
})

t.test('without the issuer the signature stays unproven, and nobody is asked', async t => {
  const explanation = await explain(unsigned(good), [flags(url)])
  t.same(lines(explanation), [
    'ok token',
    'ok header.alg "RS256"',
    `ok issuer.url "${url}"`,
    'ok issuer.audiences ["kubernetes"]',
    'ok claims',
    `ok exp ${seconds + 60}`,
    'ok nbf',
    `ok iat ${seconds}`,
    'skipped signature the issuer was not asked',
    'ok claimMappings.username "oidc:alice"',
    'ok claimMappings.groups ["dev"]',
    'ok identity {"username":"oidc:alice","groups":["dev"],"extra":{}}',
  ])
  t.equal(explanation.verdict, 'unproven')
})

t.test('after a rule that refuses the others are told as well; the first one counts', async t => {
  const token = unsigned(
    { ...good, aud: 'x', exp: seconds - 1, nbf: seconds + 31, sub: 7, groups: [1] },
    { alg: 'ES256', typ: 'logout+jwt' },
  )
  const explanation = await explain(token, [flags(url, { requiredClaims: new Map([['hd', 'a']]) })])
  t.equal(explanation.refusal?.code, 'token_type')
  t.equal(explanation.identity, undefined)
  t.same(lines(explanation), [
    'refused token the token is of a type that is not accepted token_type',
    'refused header.alg alg "ES256" is not accepted token_algorithm',
    `ok issuer.url "${url}"`,
    'refused issuer.audiences the token is meant for somebody else token_audience',
    'refused claims the claim sub is not a string token_claim',
    'refused exp the token has expired token_expired',
    'refused nbf nbf lies in the future token_not_yet_valid',
    `ok iat ${seconds}`,
    'skipped signature the token is not as it must be',
    'refused claimMappings.username the claim "sub" is missing or not a string token_claim',
    'refused claimMappings.groups the claim "groups" is neither a string nor strings token_claim',
    'refused claimValidationRules[0] the claim "hd" is not as required token_claim',
  ])
  t.same(explanation.steps.find(({ rule }) => rule === 'exp')?.found, seconds - 1)
})

t.test('expressions are told with what they gave, and a rule that does not hold', async t => {
  const rules = rulesOf(`
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: "${url}", audiences: [kubernetes] }
    claimValidationRules:
      - expression: claims.exp - claims.iat <= 30
        message: at most 30 seconds
    claimMappings:
      username: { expression: '"u:" + claims.sub' }
      groups: { expression: 'dyn(claims.groups).map(g, "g:" + g)' }
      extra:
        - { key: example.com/sub, valueExpression: claims.sub }
    userValidationRules:
      - { expression: "!user.username.startsWith('system:')", message: reserved }
`)
  const explanation = await explain(unsigned(good), rules)
  t.match(explanation.refusal, { code: 'token_claim' })
  t.same(lines(explanation).slice(9), [
    'ok claimMappings.username "u:alice"',
    'ok claimMappings.groups ["g:dev"]',
    'ok claimMappings.extra["example.com/sub"] ["alice"]',
    'refused claimValidationRules[0] claimValidationRules[0] does not hold: at most 30 seconds token_claim',
    'ok userValidationRules[0] true',
    'ok identity {"username":"u:alice","groups":["g:dev"],"extra":{"example.com/sub":["alice"]}}',
  ])
  t.equal(explanation.steps[9]?.expression, '"u:" + claims.sub')
})

t.test('reserved names and too many groups are told at the identity', async t => {
  const reserved = await explain(unsigned({ ...good, groups: ['system:masters'] }), [flags(url)])
  t.match(reserved.refusal, { code: 'identity_reserved' })
  const many = await explain(unsigned({ ...good, groups: ['a', 'b', 'c', 'd'] }), [flags(url)])
  t.match(many.refusal, { code: 'too_many_groups' })
  t.match(lines(many).at(-1), /^refused identity .*: 4, at most 3 too_many_groups$/)
})

t.test('a token goes to the issuer that it names; of several none is guessed', async t => {
  const rules = [flags(url), flags('https://j.example', { usernamePrefix: 'j:' })]
  const ours = await explain(unsigned({ ...good, iss: 'https://j.example' }), rules)
  t.match(ours, { issuer: 'https://j.example', identity: { username: 'j:alice' } })
  const foreign = await explain(unsigned({ ...good, iss: `${url}/` }), rules)
  t.match(foreign, { verdict: 'refused', refusal: { code: 'token_issuer' } })
  t.same(lines(foreign), [
    'ok token',
    `refused issuer.url iss "${url}/" is not the configured issuer token_issuer`,
  ])
  t.same(foreign.hints, [
    `"${url}" is configured, and an issuer must be the same character for character`,
  ])
})

t.test('what may be behind it is told', async t => {
  const hints = async (claims: object, over = {}): Promise<unknown> =>
    (await explain(unsigned({ ...good, ...claims }), [flags(url, over)])).hints
  const noGroups = { groups: undefined }
  const tooMany =
    'the issuer did not put "groups" into the token and says where it is to be had (_claim_names): the user is in too many groups for it. Have it send only the groups that are assigned to the application'
  const scope =
    'the token has no claim "groups", so its user has no groups: the client may have to ask for a scope (often "groups"), or the issuer to be told to send it'
  const table: ReadonlyArray<readonly [object, object, readonly string[]]> = [
    [{}, {}, []],
    [noGroups, {}, [scope]],
    [
      { ...noGroups, 'cognito:groups': ['a'], realm_access: {} },
      {},
      [`${scope}; it has "cognito:groups", "realm_access"`],
    ],
    [{ ...noGroups, _claim_names: { groups: 'src1' } }, {}, [tooMany]],
    [
      { ...noGroups, hasgroups: true },
      {},
      [
        'the issuer says that the user has groups and left them out (hasgroups): they are too many for the token',
      ],
    ],
    [
      {},
      { groupsClaim: undefined },
      ['no groups are mapped, so nobody has any; the token has "groups"'],
    ],
    [
      { aud: 'account', azp: 'kubernetes' },
      {},
      [
        'the token is for "account"; accepted: "kubernetes"',
        'its azp "kubernetes" would be accepted as aud, and azp does not count: perhaps this is an access token for another API; send the ID token',
      ],
    ],
    [
      {},
      { usernameClaim: 'email' },
      [
        'the token has no claim "email"; a client has to ask for the scope email; it has "iss", "aud", "sub", "exp", "iat", "groups"',
      ],
    ],
    [{ iss: 'https://else.example' }, {}, [`the issuers that are configured: "${url}"`]],
  ]
  for (const [claims, over, expected] of table) t.same(await hints(claims, over), expected)

  const limits = { allowReservedUsers: [], allowReservedGroups: [], maxGroups: 3 }
  const left = await explain(unsigned({ ...good, groups: ['dev', 'ops'] }), [flags(url)], {
    limits: { ...limits, deniedGroups: ['o*'] },
  })
  t.same(left.hints, ['left out by --allowed-groups or --denied-groups: "ops"'])
  t.same([left.identity?.groups, left.leftOut], [['dev'], ['ops']])
  const many = await explain(
    unsigned({ ...good, groups: ['a', 'b', 'c', 'd', 'ops'] }),
    [flags(url)],
    {
      limits: { ...limits, deniedGroups: ['o*'] },
    },
  )
  t.match(many, { refusal: { code: 'too_many_groups' }, leftOut: ['ops'] })
  const all = await explain(unsigned({ ...good, groups: ['dev'] }), [flags(url)], { limits })
  t.notHas(all, 'leftOut')
})

t.test('what is no JWT is told so; neither signature nor token comes out', async t => {
  for (const text of ['opaque', 'a.b.c', 'eyJ.eyJ.', '..']) {
    const explanation = await explain(text, [flags(url)])
    t.match(explanation, { verdict: 'refused', refusal: { code: 'token_malformed' } }, text)
    t.same(explanation.hints, [
      'this is no JWT: an opaque access token cannot be used, send the ID token',
    ])
  }
  const token = unsigned(good)
  const [head, body, signature] = token.split('.')
  const told = JSON.stringify(await explain(token, [flags(url)]))
  for (const part of [head, body, signature]) t.notOk(told.includes(part ?? ''))
  // A line end makes it another text, but what is in it can be told all the same.
  const padded = await explain(`${token}\n`, [flags(url)])
  t.match(padded, { refusal: { code: 'token_malformed' }, identity: { username: 'oidc:alice' } })
})
