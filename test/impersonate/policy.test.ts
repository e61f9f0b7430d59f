import t, { type Test } from 'tap'
import { facts } from '../../lib/channels.js'
import type { Authenticated, Granted } from '../../lib/gateway.js'
import { Grant } from '../../lib/grant.js'
import { createPolicy, type CredentialMode } from '../../lib/impersonate/policy.js'
import { alice, known, token } from './known.js'

const actions = (t: Test): string[] => {
  const seen: string[] = []
  t.teardown(facts.clientImpersonation.subscribe(({ action }) => seen.push(action)))
  return seen
}

const granted = async (mode: CredentialMode, about: Authenticated = known()): Promise<Granted> =>
  createPolicy({ mode, clientImpersonation: 'strip' })(about)

t.test('the gateway speaks for the caller with its own credential', async t => {
  const about = known()
  const { grant, ...rest } = await granted({ kind: 'gateway' }, about)
  t.strictSame(rest, { ...about, stripped: false })
  t.ok(Grant.isGrant(grant))
  t.equal(grant.as, alice)
  t.strictSame(grant.credential, { whose: 'gateway' })
  t.equal(grant.decision, 'gateway_impersonating')
})

t.test('one identity has one grant, another identity another', async t => {
  const policy = createPolicy({ mode: { kind: 'gateway' }, clientImpersonation: 'strip' })
  const [first, again] = [await policy(known()), await policy(known())]
  t.equal(first.grant, again.grant)
  const bob = { username: 'bob', groups: [], extra: {} }
  t.equal((await policy(known([], bob))).grant.as, bob)
})

t.test("the caller's token goes with or without impersonation, as configured", async t => {
  const always = await granted({ kind: 'caller', impersonation: 'always' })
  t.strictSame(always.grant.credential, { whose: 'caller', token, impersonate: true })
  t.equal(always.grant.decision, 'own_token_impersonating')
  t.equal(always.grant.as, alice)
  const never = await granted({ kind: 'caller', impersonation: 'never' })
  t.strictSame(never.grant.credential, { whose: 'caller', token, impersonate: false })
  t.equal(never.grant.decision, 'own_token')
})

t.test('auto: whom the API server knows by the same name needs no impersonation', async t => {
  const auto = (same: boolean | Promise<boolean>): Promise<Granted> =>
    granted({ kind: 'caller', impersonation: 'auto', review: () => same })
  for (const answer of [true, Promise.resolve(true)]) {
    t.match((await auto(answer)).grant, { decision: 'own_token' })
  }
  for (const answer of [false, Promise.resolve(false)]) {
    const { grant } = await auto(answer)
    t.match(grant, { as: alice, decision: 'own_token_impersonating' })
    t.strictSame(grant.credential, { whose: 'caller', token, impersonate: true })
  }
})

t.test("strip: the client's own headers are noted, and change nothing of the grant", async t => {
  const seen = actions(t)
  const asking = known([['Impersonate_User', 'root']])
  const result = await granted({ kind: 'gateway' }, asking)
  t.equal(result.stripped, true)
  t.equal(result.grant.as, alice)
  const review = (): Promise<boolean> => Promise.resolve(false)
  t.equal((await granted({ kind: 'caller', impersonation: 'auto', review }, asking)).stripped, true)
  t.strictSame(seen, ['stripped', 'stripped'])
  await granted({ kind: 'gateway' })
  t.equal(seen.length, 2)
})

t.test('reject: they are refused before the API server hears of it', async t => {
  const seen = actions(t)
  const review = (): boolean => t.fail('asked the API server')
  const policy = createPolicy({
    mode: { kind: 'caller', impersonation: 'auto', review },
    clientImpersonation: 'reject',
  })
  t.throws(() => policy(known([['impersonate-uid', '0']])), {
    name: 'Refusal',
    code: 'impersonation_refused',
    status: 403,
  })
  t.strictSame(seen, ['rejected'])
})

t.test('reject: who does not ask is served', async t => {
  const policy = createPolicy({ mode: { kind: 'gateway' }, clientImpersonation: 'reject' })
  t.match(await policy(known()), { stripped: false, grant: { as: alice } })
})

const asBob = [['Impersonate-User', 'bob']] as const

t.test('authorize: whom the caller may act as is whom the grant is for', async t => {
  const seen = actions(t)
  const allowed = (answer: boolean | Error): CredentialMode => ({
    kind: 'gateway',
    accessReview: () =>
      typeof answer === 'boolean' ? Promise.resolve(answer) : Promise.reject(answer),
  })
  const policy = (answer: boolean | Error) =>
    createPolicy({ mode: allowed(answer), clientImpersonation: 'authorize' })
  const about = known(asBob)
  const { grant, ...rest } = await policy(true)(about)
  t.strictSame(rest, { ...about, stripped: false }, 'the caller stays who he is')
  t.strictSame(grant.as, {
    username: 'bob',
    groups: [],
    extra: {
      'original-user.impersonation-gateway.io/name': ['alice'],
      'original-user.impersonation-gateway.io/groups': ['dev', 'ops'],
    },
  })
  t.strictSame(grant.credential, { whose: 'gateway' })
  t.equal(grant.decision, 'gateway_impersonating_other')
  await t.rejects(policy(false)(known(asBob)) as Promise<unknown>, { code: 'impersonation_denied' })
  await t.rejects(policy(new Error('down'))(known(asBob)) as Promise<unknown>, {
    code: 'access_review_unavailable',
  })
  t.throws(() => policy(true)(known([['Impersonate-Group', 'a']])), {
    code: 'impersonation_malformed',
  })
  t.match(await policy(false)(known()), { grant: { as: alice }, stripped: false })
  t.match(await policy(false)(known([['Impersonate_User', 'root']])), {
    grant: { as: alice, decision: 'gateway_impersonating' },
    stripped: true,
  })
  t.strictSame(seen, ['authorized', 'denied', 'denied', 'stripped'])
  t.throws(
    () => createPolicy({ mode: { kind: 'gateway' }, clientImpersonation: 'authorize' }),
    TypeError,
  )
})

t.test(
  "authorize: with the caller's token the API server decides, and is asked nothing",
  async t => {
    const review = (): boolean => t.fail('asked the API server')
    const ownExtra = (): never => t.fail('added to what the client asks') as never
    for (const mode of [
      { kind: 'caller', impersonation: 'auto', review },
      { kind: 'caller', impersonation: 'always' },
      { kind: 'caller', impersonation: 'never' },
    ] as const) {
      const policy = createPolicy({ mode, clientImpersonation: 'authorize', ownExtra })
      const { grant, stripped } = await policy(known(asBob))
      t.equal(stripped, false)
      t.strictSame(grant.as, { username: 'bob', groups: [], extra: {} })
      t.strictSame(grant.credential, { whose: 'caller', token, impersonate: true })
      t.equal(grant.decision, 'own_token_impersonating_other')
    }
  },
)

t.test('a grant cannot be made by copying one', async t => {
  const { grant } = await granted({ kind: 'gateway' })
  t.equal(Grant.isGrant(Object.assign({}, grant)), false)
  t.equal(Grant.isGrant(Object.create(grant) as object), false)
  t.ok(Object.isFrozen(grant) && Object.isFrozen(grant.credential))
})

t.test('who came without a credential goes on without one, or as what he is', async t => {
  const anonymous = {
    ...known([], { username: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} }),
    token: undefined,
  }
  const unasked = (): never => {
    throw new Error('nobody is to be asked about')
  }
  for (const mode of [
    { kind: 'caller', impersonation: 'always' },
    { kind: 'caller', impersonation: 'never' },
    { kind: 'caller', impersonation: 'auto', review: unasked },
  ] as const) {
    const { grant } = await granted(mode, anonymous)
    t.strictSame(grant.credential, { whose: 'nobody' })
    t.equal(grant.decision, 'anonymous')
  }
  const { grant } = await granted({ kind: 'gateway' }, anonymous)
  t.strictSame(grant.credential, { whose: 'gateway' })
  t.equal(grant.as, anonymous.identity)
  for (const mode of [
    { kind: 'caller', impersonation: 'always' },
    { kind: 'gateway', accessReview: unasked },
  ] as const) {
    const policy = createPolicy({ mode, clientImpersonation: 'authorize' })
    const asking = { ...anonymous, context: known([['Impersonate-User', 'bob']]).context }
    await t.rejects(async () => policy(asking), { code: 'impersonation_refused' })
  }
})
