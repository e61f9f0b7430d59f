import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { apiClient, type ApiClient } from './api-client.js'
import { auditEvent } from './audit.js'
import { kubectlAs, type Kubectl, type Said } from './kubectl.js'
import { needs } from './needs.js'
import { startInFront, world, type GatewayInFront } from './world.js'

/*
 * `kubectl --as` through a gateway that asks the API server whether the caller may. What its account may is what
 * `rbac` prints for that, and whom and what there is to be.
 */

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const authentication = 'authentication.k8s.io'
const impersonate = (
  apiGroup: string,
  resources: readonly string[],
  resourceNames?: readonly string[],
): object => ({
  apiGroups: [apiGroup],
  resources,
  verbs: ['impersonate'],
  ...(resourceNames && { resourceNames }),
})

/** What bob may ask for. */
const bobs = [
  impersonate('', ['users'], ['oidc:alice', 'jane']),
  impersonate('', ['groups'], ['testers']),
  impersonate(authentication, ['uids'], ['1234']),
  impersonate(authentication, ['userextras/example.com/site'], ['eu']),
]

async function bind(admin: ApiClient, name: string, rules: readonly object[], subject: object) {
  await admin.must('POST', `${rbac}/clusterroles`, { body: { metadata: { name }, rules } })
  await admin.must('POST', `${rbac}/clusterrolebindings`, {
    body: {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [subject],
    },
  })
}

let gateway: GatewayInFront
let bob: Kubectl

t.before(async () => {
  const { apiServer, ca, admin, impersonation } = world()
  const client = apiClient({ url: apiServer.url, ca }, admin)
  const user = { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'oidc:bob' }
  await bind(client, 'bob-as-others', bobs, user)
  await client.must('POST', `${rbac}/namespaces/default/roles`, {
    body: {
      metadata: { name: 'bob-as-deployer' },
      rules: [impersonate('', ['serviceaccounts'], ['deployer'])],
    },
  })
  await client.must('POST', `${rbac}/namespaces/default/rolebindings`, {
    body: {
      metadata: { name: 'bob-as-deployer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'bob-as-deployer' },
      subjects: [user],
    },
  })
  client.close()
  gateway = await startInFront(t, {
    mode: 'gateway',
    flags: ['--client-impersonation=authorize'],
    rights: [
      ...(impersonation === 'legacy' ? ['--group=testers'] : []),
      '--user=system:serviceaccount:default:deployer',
      '--extra-key=example.com/site',
    ],
  })
  bob = kubectlAs(t, 'bob', gateway)
  // RBAC reads its rules from a cache of its own, and a no is remembered for ten seconds.
  for (let left = 20; (await asJane()).status !== 0 && left > 0; left -= 1) {
    await pause(1_000)
  }
})

const asJane = (): Promise<Said> => bob.run('--as=jane', 'get', '--raw=/version')
const whoami = (...as: readonly string[]): Promise<Said> => bob.run(...as, 'auth', 'whoami')
const denied = {
  status: 1,
  out: '',
  err: /\(Forbidden\): impersonating this user, group, uid or extra is not allowed$/m,
}

t.test(
  'users, groups, uids, extra and service accounts that RBAC names are whom one is',
  needs('self-subject-review', 'impersonated-uid'),
  async t => {
    for (const [as, expected] of [
      [['--as=oidc:alice'], /^Username +oidc:alice\nGroups +\[system:authenticated\]$/m],
      [
        ['--as=jane', '--as-group=testers'],
        /^Username +jane\nGroups +\[testers system:authenticated\]$/m,
      ],
      [['--as=jane', '--as-uid=1234'], /^Username +jane\nUID +1234$/m],
      [
        ['--as=jane', '--as-user-extra=example.com/site=eu'],
        /^Extra: example\.com\/site +\[eu\]$/m,
      ],
      [
        ['--as=system:serviceaccount:default:deployer'],
        /^Groups +\[system:serviceaccounts system:serviceaccounts:default system:authenticated\]$/m,
      ],
    ] as const) {
      const { status, out, err } = await whoami(...as)
      t.same([status, err], [0, ''], as.join(' '))
      t.match(out, expected, as.join(' '))
      t.match(out, /original-user\.impersonation-gateway\.io\/name +\[oidc:bob\]/)
      t.match(out, /original-user\.impersonation-gateway\.io\/groups +\[oidc:viewers\]/)
    }
  },
)

t.test('extra that RBAC names is what one has, each value by itself', async t => {
  const asking = async (site: string): Promise<number> => {
    const headers = { 'Impersonate-User': 'jane', 'Impersonate-Extra-Example.com%2Fsite': site }
    return (await gateway.as('bob').ask('GET', '/version', { headers })).status
  }
  t.equal(await asking('eu'), 200)
  t.equal(await asking('us'), 403)
})

t.test('everybody and everything else is denied', async t => {
  for (const as of [
    ['--as=oidc:carol'],
    ['--as=system:admin'],
    ['--as=jane', '--as-group=system:masters'],
    ['--as=jane', '--as-group=testers', '--as-group=others'],
    ['--as=jane', '--as-uid=1'],
    ['--as=jane', '--as-user-extra=example.com/site=us'],
    ['--as=jane', '--as-user-extra=example.com/other=eu'],
    ['--as=system:serviceaccount:default:other'],
    ['--as=system:serviceaccount:kube-system:deployer'],
  ]) {
    t.match(await bob.run(...as, 'get', '--raw=/version'), denied, as.join(' '))
  }
  const carol = kubectlAs(t, 'carol', gateway)
  t.match(
    await carol.run('--as=jane', 'get', '--raw=/version'),
    denied,
    'rights are those of the caller',
  )
})

t.test('oneself with fewer groups needs no right, and has fewer rights', async t => {
  const alice = kubectlAs(t, 'alice', gateway)
  const self = '--as=oidc:alice'
  t.equal((await alice.run('get', 'pods')).status, 0)
  t.equal((await alice.run(self, '--as-group=oidc:developers', 'get', 'pods')).status, 0)
  t.match(await alice.run(self, 'get', 'pods'), { status: 1, err: /cannot list resource "pods"/ })
  t.match(await alice.run(self, '--as-group=oidc:viewers', 'get', '--raw=/version'), denied)
})

t.test('the audit log of the API server has the one who asked', async t => {
  const id = randomUUID()
  const headers = { 'Audit-ID': id, 'Impersonate-User': 'jane' }
  await gateway.as('bob').ask('GET', '/version', { headers })
  t.match(await auditEvent(gateway.apiServer, id), {
    user: { username: /^system:serviceaccount:default:impersonation-gateway-/ },
    impersonatedUser: {
      username: 'jane',
      extra: {
        'original-user.impersonation-gateway.io/name': ['oidc:bob'],
        'original-user.impersonation-gateway.io/groups': ['oidc:viewers'],
      },
    },
  })
})

t.test("with the caller's own token the API server decides by itself", async t => {
  const before = await startInFront(t, {
    mode: 'caller',
    flags: ['--client-impersonation=authorize'],
  })
  const carol = kubectlAs(t, 'carol', before)
  t.match(await carol.run('--as=jane', 'get', '--raw=/version'), {
    status: 1,
    err: /forbidden: User "oidc:carol" cannot impersonate/,
  })
})
