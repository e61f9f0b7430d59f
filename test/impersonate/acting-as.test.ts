import t from 'tap'
import type { Identity } from '../../lib/identity.js'
import type { AccessQuestion } from '../../lib/impersonate/access-review.js'
import { actingAs } from '../../lib/impersonate/acting-as.js'
import { Refusal } from '../../lib/refusal.js'

const alice: Identity = {
  username: 'alice',
  uid: '7',
  groups: ['dev', 'ops'],
  extra: { scopes: ['view', 'edit'] },
}
const nobody: Identity = { username: 'bob', groups: [], extra: {} }
const originals = {
  'original-user.impersonation-gateway.io/name': ['alice'],
  'original-user.impersonation-gateway.io/groups': ['dev', 'ops'],
  'original-user.impersonation-gateway.io/uid': ['7'],
}

/** How it was decided, and the rights that were asked for: `resource[/sub] [namespace/]name`. */
async function decided(
  asked: Partial<Identity>,
  allow: (right: string) => boolean | Error = () => true,
  who = alice,
): Promise<{ as: Identity | string; rights: string[]; questions: AccessQuestion[] }> {
  const questions: AccessQuestion[] = []
  const rights: string[] = []
  const review = (question: AccessQuestion): Promise<boolean> => {
    const { group, resource, subresource, namespace, name } = question.resourceAttributes
    const right = [
      group === '' ? resource : `${group}/${resource}`,
      ...(subresource === undefined ? [] : [`/${subresource}`]),
      ` ${namespace === undefined ? '' : `${namespace}/`}${name}`,
    ].join('')
    questions.push(question)
    rights.push(right)
    const answer = allow(right)
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }
  try {
    return { as: await actingAs(who, { ...nobody, ...asked }, review), rights, questions }
  } catch (error) {
    return { as: Refusal.from(error).code, rights, questions }
  }
}

t.test('every name that is asked for is a question of its own', async t => {
  const asked = {
    uid: '8',
    groups: ['dev', 'system:masters'],
    extra: { scopes: ['all', 'x'], 'example.com/tenant': ['a'] },
  }
  const { as, rights, questions } = await decided(asked)
  t.strictSame(as, { ...nobody, ...asked, extra: { ...asked.extra, ...originals } })
  t.strictSame(rights, [
    'users bob',
    'authentication.k8s.io/uids 8',
    'groups dev',
    'groups system:masters',
    'authentication.k8s.io/userextras/scopes all',
    'authentication.k8s.io/userextras/scopes x',
    'authentication.k8s.io/userextras/example.com/tenant a',
  ])
  for (const { resourceAttributes, ...who } of questions) {
    t.match(resourceAttributes, { verb: 'impersonate', version: 'v1' })
    t.strictSame(who, {
      user: 'alice',
      groups: ['dev', 'ops', 'system:authenticated'],
      uid: '7',
      extra: alice.extra,
    })
  }
})

t.test('one no among them is a no, and so is not knowing', async t => {
  const asked = { uid: '8', groups: ['a', 'b'], extra: { c: ['d'] } }
  const all = (await decided(asked)).rights
  for (const right of all) {
    t.equal((await decided(asked, it => it !== right)).as, 'impersonation_denied', right)
    const unknown = (it: string): boolean | Error => it !== right || new Error('down')
    t.equal((await decided(asked, unknown)).as, 'access_review_unavailable', right)
  }
  const mixed = (it: string): boolean | Error => it !== 'groups a' && new Error('down')
  t.equal((await decided(asked, mixed)).as, 'impersonation_denied', 'a no is known')
})

t.test('a service account is one of its namespace, and its groups are not asked for', async t => {
  const username = 'system:serviceaccount:ci:deployer'
  const { as, rights } = await decided({ username })
  t.strictSame(rights, ['serviceaccounts ci/deployer'])
  t.match(as, { username, groups: [] })
  t.strictSame((await decided({ username: 'system:serviceaccount:CI:x' })).rights, [
    'users system:serviceaccount:CI:x',
  ])
})

t.test('oneself with less needs no right', async t => {
  const no = (): boolean => false
  const self = { username: 'alice' }
  const less: ReadonlyArray<Partial<Identity>> = [
    {},
    { groups: ['dev'] },
    { groups: ['ops', 'dev'] },
    { groups: ['system:authenticated'] },
    { uid: '7' },
    { uid: '7', groups: ['dev'], extra: { scopes: ['view'] } },
    { extra: { scopes: ['edit', 'view'] } },
  ]
  for (const asked of less) {
    const { as, rights } = await decided({ ...self, ...asked }, no)
    t.strictSame(rights, [], JSON.stringify(asked))
    t.strictSame(as, {
      ...nobody,
      ...self,
      ...asked,
      extra: { ...asked.extra, ...originals },
    })
  }
})

t.test('oneself with anything more, or somebody else with less, needs every right', async t => {
  const no = (): boolean => false
  const more: ReadonlyArray<Partial<Identity>> = [
    { username: 'alice', groups: ['dev', 'more'] },
    { username: 'alice', groups: ['system:masters'] },
    { username: 'alice', groups: ['system:unauthenticated'] },
    { username: 'alice', uid: '8' },
    { username: 'alice', extra: { scopes: ['all'] } },
    { username: 'alice', extra: { more: ['view'] } },
    { username: 'alice', extra: { constructor: ['x'] } },
    { username: 'Alice' },
    { username: 'bob', groups: ['dev'] },
  ]
  for (const asked of more) {
    t.equal((await decided(asked, no)).as, 'impersonation_denied', JSON.stringify(asked))
  }
})

t.test('what a name implies counts: a service account’s groups are more than none', async t => {
  const username = 'system:serviceaccount:ci:deployer'
  const account = { username, groups: ['dev'], extra: {} }
  const no = (): boolean => false
  t.equal((await decided({ username }, no, account)).as, 'impersonation_denied')
  t.match((await decided({ username, groups: ['dev'] }, no, account)).as, { groups: ['dev'] })
  t.match((await decided({ username }, no, { ...account, groups: [] })).as, { username })
})

t.test('who has neither groups nor uid says so by saying nothing', async t => {
  const { as } = await decided({}, undefined, { username: 'carol', groups: [], extra: {} })
  t.strictSame(as, {
    ...nobody,
    extra: { 'original-user.impersonation-gateway.io/name': ['carol'] },
  })
})

t.test('of many names a few are asked about at a time, and after a no none', async t => {
  const names = Array.from({ length: 20 }, (_, n) => `g${String(n)}`)
  const asked: string[] = []
  const open: Array<(allowed: boolean) => void> = []
  const review = ({ resourceAttributes: { name } }: AccessQuestion): Promise<boolean> => {
    asked.push(name)
    return new Promise(resolve => void open.push(resolve))
  }
  const acting = actingAs(alice, { ...nobody, groups: names }, review)
  t.strictSame(asked, ['bob', ...names.slice(0, 7)])
  open.shift()?.(true)
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(asked, ['bob', ...names.slice(0, 8)])
  open.shift()?.(false)
  for (const answer of open) answer(true)
  await t.rejects(acting, { code: 'impersonation_denied' })
  t.equal(asked.length, 9)
})

t.test('all of them together have one deadline', async t => {
  const asked: string[] = []
  const review = ({ resourceAttributes: { name } }: AccessQuestion): Promise<boolean> => {
    asked.push(name)
    return new Promise(resolve => void setTimeout(() => resolve(true), 20))
  }
  const groups = Array.from({ length: 200 }, (_, n) => `g${String(n)}`)
  const acting = actingAs(alice, { ...nobody, groups }, review, { mostAtATime: 1, timeoutMs: 50 })
  await t.rejects(acting, { code: 'access_review_unavailable' })
  const until = asked.length
  await new Promise(resolve => setTimeout(resolve, 50))
  t.ok(until < 200 && asked.length - until <= 1, 'and then nothing more is asked')
})
