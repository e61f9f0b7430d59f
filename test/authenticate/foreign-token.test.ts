import { inspect } from 'node:util'
import t from 'tap'
import type { AnyVerdict } from '../../lib/authenticate/authenticator.js'
import {
  createForeignToken,
  type ForeignTokenOptions,
  type ReviewedToken,
} from '../../lib/authenticate/foreign-token.js'
import { Refusal } from '../../lib/refusal.js'
import { Seats } from '../../lib/seats.js'
import { Secret } from '../../lib/secret.js'
import { deferred } from '../actors/deferred.js'

const waiting = { signal: new AbortController().signal }
const deployer = {
  username: 'system:serviceaccount:ci:deployer',
  groups: ['system:serviceaccounts'],
  extra: {},
}
const good: ReviewedToken = { authenticated: true, identity: deployer, audiences: [] }
const jwt = (claims: object): string =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.sig`

function subject(
  answer: (token: string, signal: AbortSignal) => Promise<ReviewedToken>,
  options: Partial<ForeignTokenOptions> = {},
) {
  const asked: Array<readonly [string, readonly string[]]> = []
  const clock = { now: 0 }
  const authenticator = createForeignToken({
    review: (token, audiences, signal) => {
      asked.push([token.reveal(), audiences])
      return answer(token.reveal(), signal)
    },
    now: () => clock.now,
    ...options,
  })
  return { judge: judge(authenticator), asked, clock }
}

const judge =
  (authenticator: ReturnType<typeof createForeignToken>) =>
  async (token: string, address = '192.0.2.1'): Promise<AnyVerdict | string> => {
    try {
      const credential = { kind: 'bearer', token: new Secret(token, 'token') } as const
      const verdict = await authenticator.authenticate(credential, {
        ...waiting,
        peer: { address },
      })
      return verdict.outcome === 'rejected' ? verdict.refusal.code : verdict
    } catch (error) {
      return Refusal.from(error).code
    }
  }

t.test('what the API server accepts is its own, and named for the log', async t => {
  const { judge, asked } = subject(async token =>
    token === 'bad' ? { authenticated: false } : good,
  )
  const accepted = { outcome: 'foreign', identity: deployer, expiresAt: Infinity }
  t.strictSame(await judge('opaque'), accepted)
  t.strictSame(await judge(jwt({ exp: 1_900_000_000 })), { ...accepted, expiresAt: 1_900_000_000 })
  for (const exp of ['1', null, -1, 0]) t.strictSame(await judge(jwt({ exp })), accepted)
  t.strictSame(await judge('a.b.c'), accepted)
  t.equal(await judge('bad'), 'token_unknown')
  t.ok(asked.every(([, audiences]) => audiences.length === 0))
})

t.test('a token must be meant for one of the audiences, and the answer must say so', async t => {
  const answers: Record<string, readonly string[]> = { none: [], other: ['c'], one: ['b', 'c'] }
  const { judge, asked } = subject(async token => ({ ...good, audiences: answers[token] ?? [] }), {
    audiences: ['a', 'b'],
  })
  t.equal(await judge('none'), 'token_audience')
  t.equal(await judge('other'), 'token_audience')
  t.match(await judge('one'), { outcome: 'foreign' })
  t.strictSame(asked[0], ['none', ['a', 'b']])
})

t.test('good and bad are remembered for ten seconds, and no longer', async t => {
  let known = true
  const { judge, asked, clock } = subject(async () => (known ? good : { authenticated: false }))
  t.match(await judge('x'), { outcome: 'foreign' })
  known = false
  clock.now = 9_999
  t.match(await judge('x'), { outcome: 'foreign' })
  clock.now = 10_000
  t.equal(await judge('x'), 'token_unknown')
  known = true
  clock.now = 19_999
  t.equal(await judge('x'), 'token_unknown')
  clock.now = 20_000
  t.match(await judge('x'), { outcome: 'foreign' })
  t.equal(asked.length, 3)
  t.match(await judge('y'), { outcome: 'foreign' })
  t.equal(asked.length, 4, 'each token is asked about by itself')
})

t.test('a thousand at once are one question', async t => {
  const gate = deferred<ReviewedToken>()
  const { judge, asked } = subject(() => gate.promise)
  const all = Array.from({ length: 1_000 }, () => judge('x'))
  gate.resolve(good)
  for (const verdict of await Promise.all(all)) t.match(verdict, { outcome: 'foreign' })
  t.equal(asked.length, 1)
})

t.test('what could not be found out is no verdict, and not remembered', async t => {
  let works = false
  const { judge, asked } = subject(async () => {
    if (!works) throw new Error('down')
    return good
  })
  t.equal(await judge('x'), 'token_review_unavailable')
  works = true
  t.match(await judge('x'), { outcome: 'foreign' })
  t.equal(asked.length, 2)
})

t.test('it waits five seconds, and its memory is bounded', async t => {
  const waits: number[] = []
  t.intercept(AbortSignal, 'timeout', {
    value: (ms: number) => {
      waits.push(ms)
      return new AbortController().signal
    },
  })
  const { judge, asked } = subject(async () => good, { max: 2 })
  for (const token of ['a', 'b', 'c', 'c', 'b', 'a']) await judge(token)
  t.strictSame(
    asked.map(([token]) => token),
    ['a', 'b', 'c', 'a'],
  )
  t.strictSame(waits, [5_000, 5_000, 5_000, 5_000])
})

t.test('no token is to be found in what it remembers', async t => {
  const authenticator = createForeignToken({ review: async () => good })
  await judge(authenticator)('s3cret-token')
  t.notMatch(inspect(authenticator, { depth: 10, showHidden: true }), /s3cret-token/)
})

t.test('without a credential to ask with, the API server judges it when it comes', async t => {
  const everything = judge(createForeignToken())
  t.strictSame(await everything('opaque'), { outcome: 'foreign', expiresAt: Infinity })
  const meant = judge(createForeignToken({ audiences: ['a', 'b'] }))
  t.match(await meant(jwt({ aud: 'a' })), { outcome: 'foreign' })
  t.match(await meant(jwt({ aud: ['x', 'b'] })), { outcome: 'foreign' })
  for (const token of [
    'opaque',
    'a.b.c',
    jwt({}),
    jwt({ aud: 'x' }),
    jwt({ aud: ['x'] }),
    jwt([]),
  ]) {
    t.equal(await meant(token), 'token_audience', token)
  }
})

t.test('tokens that nobody knows wait for their turn, and networks take turns', async t => {
  const open: Array<() => void> = []
  const { judge, asked } = subject(
    () => new Promise(resolve => void open.push(() => resolve({ authenticated: false }))),
    { seats: new Seats({ most: 1, mostWaiting: 4 }) },
  )
  const flood = ['2001:db8::1', '2001:db8:0:0:f::2', '2001:db8::f', '2001:db8::4', '2001:db8::5']
  const bad = flood.map((address, n) => judge(`bad-${String(n)}`, address))
  const others = [judge('v4', '192.0.2.9'), judge('v6', '2001:db8:0:1::1')]
  await turn()
  t.strictSame(names(asked), ['bad-0'])
  t.equal(await bad[4], 'token_review_unavailable', 'there is no room for a network with four')
  t.equal(await bad[3], 'token_review_unavailable')
  while (open.length > 0) {
    open.shift()?.()
    await turn()
  }
  t.strictSame(names(asked), ['bad-0', 'bad-1', 'v4', 'v6', 'bad-2'])
  for (const verdict of await Promise.all([...bad.slice(0, 3), ...others])) {
    t.equal(verdict, 'token_unknown')
  }
})

t.test('a flood of bad tokens neither pushes good ones out nor goes before them', async t => {
  let answers: (token: string) => Promise<ReviewedToken> = async token =>
    token === 'good' ? good : { authenticated: false }
  const { judge, asked, clock } = subject(token => answers(token), {
    max: 2,
    seats: new Seats({ most: 1 }),
  })
  t.match(await judge('good'), { outcome: 'foreign' })
  for (const token of ['a', 'b', 'c']) t.equal(await judge(token), 'token_unknown')
  t.match(await judge('good'), { outcome: 'foreign' })
  t.strictSame(names(asked), ['good', 'a', 'b', 'c'], 'it is still remembered')

  clock.now = 10_000
  const never = deferred<ReviewedToken>()
  answers = token => (token === 'good' ? Promise.resolve(good) : never.promise)
  const stuck = judge('d')
  t.match(await judge('good'), { outcome: 'foreign' }, 'the only seat is taken')
  never.resolve({ authenticated: false })
  t.equal(await stuck, 'token_unknown')

  clock.now = 20_000
  answers = async () => ({ authenticated: false })
  t.equal(await judge('good'), 'token_unknown')
  t.equal(await judge('good'), 'token_unknown')
  t.equal(names(asked).filter(name => name === 'good').length, 3, 'its no is remembered too')
})

const names = (asked: ReadonlyArray<readonly [string, unknown]>): readonly string[] =>
  asked.map(([token]) => token)
const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
