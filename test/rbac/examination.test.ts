import t from 'tap'
import { examine, type Findings } from '../../lib/rbac/examination.js'
import { neededRights, type RightsConfiguration } from '../../lib/rbac/needed.js'
import { openCluster } from '../../lib/upstream/cluster.js'
import { askOwnRights } from '../../lib/upstream/own-rights.js'
import { startApiServer, statusBody, type Responder } from '../actors/api-server.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import type { HeldRights, HeldRule } from '../actors/rights.js'

const configuration: RightsConfiguration = {
  groups: true,
  uid: false,
  extraKeys: ['a.example/key'],
  reservedUsers: [],
  reservedGroups: [],
  clientImpersonation: false,
  tokenReview: false,
}
const rule = (verbs: string, group: string, resources: string, names?: string[]): HeldRule => ({
  verbs: verbs.split(' '),
  apiGroups: [group],
  resources: resources.split(' '),
  ...(names && { resourceNames: names }),
})
const authentication = 'authentication.k8s.io'
const basic: readonly HeldRule[] = [
  rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
  rule('create', authentication, 'selfsubjectreviews'),
  { verbs: ['get'], nonResourceURLs: ['/api', '/api/*', '/healthz', '/version/'] },
]
const legacy: readonly HeldRule[] = [
  ...basic,
  rule('impersonate', '', 'users'),
  rule('impersonate', '', 'groups', ['oidc:dev']),
  rule('impersonate', authentication, 'userextras/a.example/key'),
]
const least: Findings = { verdict: 'least', excess: [], missing: [], incomplete: false }

const api = await startApiServer()
t.teardown(() => api.close())
const kubeconfig = writeKubeconfig(tempDir(t), { server: api.url, ca: api.ca, token: 'own' })
const cluster = await openCluster({ kubeconfig, useOwnCredential: true })
t.teardown(() => cluster.close())

async function examined(
  rights: HeldRights | Responder,
  more: Partial<RightsConfiguration> = {},
): Promise<Findings> {
  api.grant(rights)
  return await examine(
    {
      ask: (kind, spec, signal) => askOwnRights(cluster, kind, spec, signal),
      configuration: { ...configuration, ...more },
      namespaces: ['default', 'kube-system'],
    },
    AbortSignal.timeout(60_000),
  )
}

t.test('the least rights are in order, of one kind of impersonation or the other', async t => {
  t.strictSame(await examined({ rules: legacy }), least)
  const constrained = neededRights(configuration, 'constrained')
  t.strictSame(await examined({ rules: [...basic, ...constrained] }), least)
  const reading = constrained.map(right => ({
    ...right,
    verbs: right.verbs.filter(verb => !/:(create|update|patch|delete\w*|post|put)$/.test(verb)),
  }))
  t.strictSame(await examined({ rules: [...basic, ...reading] }), least, 'fewer verbs are a choice')
})

t.test('every question is a review with our credential, in nobody’s name', async t => {
  const before = api.aboutRights.length
  await examined({ rules: legacy })
  const asked = api.aboutRights.slice(before)
  t.ok(asked.length > 20)
  t.strictSame(api.requests, [])
  for (const { method, values, headerLines } of asked) {
    t.strictSame([method, values('authorization')], ['POST', ['Bearer own']])
    t.notOk(headerLines.some(([name]) => /^impersonate|^x-/i.test(name)))
  }
  t.strictSame(
    asked.filter(({ target }) => target.endsWith('rulesreviews')).map(({ body }) => parsed(body)),
    ['default', 'kube-system'].map(namespace => ({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace },
    })),
  )
  t.match(
    asked.map(({ body }) => parsed(body)),
    [{}, { spec: { resourceAttributes: { verb: '*', group: '*', resource: '*' } } }],
  )
  for (const attributes of [
    { verb: 'list', group: '', resource: 'secrets' },
    { verb: 'create', group: '', resource: 'pods', subresource: 'exec' },
    { verb: 'create', group: '', resource: 'serviceaccounts', subresource: 'token' },
    { verb: 'escalate', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
    { verb: 'bind', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
    { verb: 'impersonate', group: '', resource: 'serviceaccounts' },
    { verb: 'impersonate', group: '', resource: 'groups', name: 'system:masters' },
  ]) {
    const spec = { resourceAttributes: attributes }
    t.ok(
      asked.some(
        ({ body }) =>
          JSON.stringify((parsed(body) as { spec: object }).spec) === JSON.stringify(spec),
      ),
      JSON.stringify(attributes),
    )
  }
})

t.test('an administrator is found out by the first question, and asked no more', async t => {
  const before = api.aboutRights.length
  const all: HeldRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
  t.strictSame(await examined({ rules: [all], incomplete: true }), {
    ...least,
    verdict: 'excess',
    excess: ['everything (*) on everything (*)'],
  })
  t.equal(api.aboutRights.length, before + 2)
})

t.test('what is listed and not needed is told, each once', async t => {
  t.strictSame(
    await examined({
      rules: [
        ...legacy,
        rule('get list watch', '', 'secrets configmaps'),
        rule('get', '', 'secrets'),
      ],
    }),
    {
      ...least,
      verdict: 'excess',
      excess: ['get, list, watch on secrets', 'get, list, watch on configmaps', 'get on secrets'],
    },
  )
})

t.test('what is not listed is found by its name, and the list need not be complete', async t => {
  const secretly =
    (attributes: object): Responder =>
    (request, answer) => {
      const review = parsed(request.body) as {
        readonly kind: string
        readonly spec: { readonly resourceAttributes?: object }
      }
      const same = JSON.stringify(review.spec.resourceAttributes) === JSON.stringify(attributes)
      const status =
        review.kind === 'SelfSubjectRulesReview'
          ? { resourceRules: [], nonResourceRules: [], incomplete: true }
          : { allowed: same }
      return answer.reply(201, {}, { ...review, status })
    }
  const masters = { verb: 'impersonate', group: '', resource: 'groups', name: 'system:masters' }
  t.match(
    await examined(secretly(masters), { onlyGroups: ['oidc:dev'] }),
    {
      verdict: 'excess',
      incomplete: true,
      missing: [],
      excess: [
        /^impersonate on groups, named "system:masters" \(.*rbac --group=.*--mode=constrained/,
      ],
    },
    'where groups are closed nothing needs it',
  )
  t.strictSame(
    await examined(secretly(masters)),
    {
      ...least,
      verdict: 'open',
      open: 'by a rule that the API server does not list, since its list is not complete',
      incomplete: true,
    },
    'where they are open a rule that cannot be seen may be the needed one',
  )
  t.strictSame(
    await examined(secretly(masters), { reservedGroups: ['system:masters'] }),
    { ...least, incomplete: true },
    'where a token may say it, it is needed',
  )
  t.strictSame(await examined(secretly({ verb: 'get', group: '', resource: 'secrets' })), {
    ...least,
    verdict: 'excess',
    incomplete: true,
    excess: ['get on secrets'],
  })
})

t.test('what rbac prints for open groups is told as open, never as excess', async t => {
  for (const more of [{}, { clientImpersonation: true, reservedGroups: ['system:reviewers'] }]) {
    const printed = neededRights({ ...configuration, ...more }, 'legacy')
    t.strictSame(await examined({ rules: [...basic, ...printed] }, more), {
      ...least,
      verdict: 'open',
      open: 'impersonate on groups',
    })
  }
  const both = [...basic, rule('impersonate', '', 'users groups')]
  t.match(await examined({ rules: both }), {
    verdict: 'open',
    missing: ['impersonate on userextras/a.example/key.authentication.k8s.io'],
  })
})

t.test('system:masters from anything but the needed rule is a right too much', async t => {
  const named = rule('impersonate', '', 'groups', ['oidc:dev', 'system:masters'])
  const open = [...legacy, rule('impersonate', '', 'groups')]
  const rights: ReadonlyArray<readonly [string, readonly HeldRule[]]> = [
    ['by name', [...legacy, named]],
    ['by name beside the open rule', [...open, named]],
    ['verbs', [...legacy, rule('*', '', 'groups')]],
    ['resources', [...legacy, rule('impersonate', '', '*')]],
    ['API groups', [...legacy, rule('impersonate', '*', 'groups')]],
    ['another right beside the open rule', [...open, rule('get', '', 'secrets')]],
  ]
  for (const [name, rules] of rights) {
    t.match(await examined({ rules }), { verdict: 'excess', excess: [/./] }, name)
    t.match(await examined({ rules, incomplete: true }), { verdict: 'excess' }, name)
  }
  t.match(
    await examined((request, answer) => {
      const review = parsed(request.body) as { readonly kind: string; readonly spec: object }
      const isMasters = JSON.stringify(review.spec).includes('system:masters')
      const listed = { resourceRules: legacy, nonResourceRules: [], incomplete: false }
      const status = review.kind === 'SelfSubjectRulesReview' ? listed : { allowed: isMasters }
      return answer.reply(201, {}, { ...review, status })
    }),
    { verdict: 'excess', excess: [/^impersonate on groups, named "system:masters"/] },
    'a complete list does not show where it comes from',
  )
})

t.test('an open rule is a right too much where the configuration closes groups', async t => {
  const open = [...legacy, rule('impersonate', '', 'groups')]
  t.match(await examined({ rules: open }, { onlyGroups: ['oidc:dev'] }), {
    verdict: 'excess',
    excess: ['impersonate on groups'],
  })
})

t.test('a role of one namespace is told with it', async t => {
  t.match(
    await examined((request, answer) => {
      const { spec } = parsed(request.body) as { readonly spec: { readonly namespace?: string } }
      const rules = spec.namespace === 'kube-system' ? [rule('get', '', 'secrets')] : legacy
      const review = parsed(request.body) as object
      const listed = { resourceRules: rules, nonResourceRules: [], incomplete: false }
      return answer.reply(
        201,
        {},
        { ...review, status: spec.namespace === undefined ? { allowed: false } : listed },
      )
    }),
    { verdict: 'excess', excess: ['get on secrets, in the namespace kube-system'] },
  )
})

t.test('what is missing is told as the rule that gives it', async t => {
  t.strictSame(await examined({ rules: [...basic, rule('impersonate', '', 'users', ['a'])] }), {
    ...least,
    verdict: 'missing',
    missing: [
      'impersonate on groups',
      'impersonate on userextras/a.example/key.authentication.k8s.io',
    ],
  })
  t.match(await examined({ rules: [rule('impersonate:user-info', authentication, 'users')] }), {
    verdict: 'missing',
    missing: [
      'impersonate:user-info on groups.authentication.k8s.io',
      'impersonate:user-info on userextras/a.example/key.authentication.k8s.io',
      /^impersonate-on:user-info:create, .* on everything \(\*\)$/,
      /^impersonate-on:user-info:delete, .* at \*$/,
    ],
  })
})

t.test('an API server that gives no such answer is asked no more, and proves nothing', async t => {
  const review =
    (body: object): Responder =>
    (request, answer) =>
      answer.reply(200, {}, { ...(parsed(request.body) as object), ...body })
  const answers: ReadonlyArray<readonly [string, Responder, string | RegExp]> = [
    ['404', (_, answer) => answer.reply(404, {}, statusBody(404, 'NotFound')), 'status 404'],
    ['405', (_, answer) => answer.reply(405), 'status 405'],
    ['501', (_, answer) => answer.reply(501), 'status 501'],
    ['an echo', review({}), /the answer (lists no rules|allows and denies nothing)/],
    [
      'another kind',
      review({ kind: 'SubjectAccessReview', status: { allowed: true } }),
      /the answer is no Self/,
    ],
    [
      'no boolean',
      review({ status: { allowed: 'true', incomplete: 1, resourceRules: {} } }),
      /the answer/,
    ],
    ['no JSON', (_, answer) => answer.reply(201, {}, 'ok'), /JSON/],
    ['nothing', (_, answer) => answer.reply(200), /JSON/],
    [
      'no rules',
      review({ status: { incomplete: false, resourceRules: [{ verbs: 'get' }] } }),
      /the answer/,
    ],
    ['a reset', (_, answer) => answer.reset(), /./],
  ]
  for (const [name, respond, why] of answers) {
    const before = api.aboutRights.length
    const findings = await examined(respond)
    t.match(findings, { verdict: 'unknown', excess: [], missing: [], unknown: why }, name)
    t.equal(api.aboutRights.length, before + 2, name)
  }
})

t.test('one answer that fails leaves it unknown, unless others prove an excess', async t => {
  const without =
    (resource: string, allowed: string): Responder =>
    (request, answer) => {
      const review = parsed(request.body) as {
        readonly kind: string
        readonly spec: { readonly resourceAttributes?: { readonly resource: string } }
      }
      const asked = review.spec.resourceAttributes?.resource
      if (asked === resource) return answer.reply(500)
      const listed = { resourceRules: legacy, nonResourceRules: [], incomplete: false }
      const status = asked === undefined ? listed : { allowed: asked === allowed }
      return answer.reply(201, {}, { ...review, status })
    }
  t.match(await examined(without('secrets', 'none')), {
    verdict: 'unknown',
    unknown: 'status 500',
  })
  t.match(await examined(without('secrets', 'clusterroles')), {
    verdict: 'excess',
    excess: [/clusterroles/, /clusterroles/, /clusterroles/],
  })
})

const parsed = (body: Buffer): unknown => JSON.parse(String(body))
