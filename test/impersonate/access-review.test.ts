import t from 'tap'
import {
  createAccessReview,
  type AccessQuestion,
  type AccessReviewOptions,
} from '../../lib/impersonate/access-review.js'
import { Seats } from '../../lib/seats.js'
import { deferred } from '../actors/deferred.js'

const question = (name: string, groups: readonly string[] = ['dev']): AccessQuestion => ({
  user: 'alice',
  groups,
  resourceAttributes: { verb: 'impersonate', group: '', version: 'v1', resource: 'users', name },
})

function subject(
  answer: (name: string, signal: AbortSignal) => Promise<boolean>,
  options: Partial<AccessReviewOptions> = {},
) {
  const asked: string[] = []
  const clock = { now: 0 }
  const review = createAccessReview({
    ask: ({ resourceAttributes: { name } }, signal) => {
      asked.push(name)
      return answer(name, signal)
    },
    now: () => clock.now,
    ...options,
  })
  return { review, asked, clock }
}

t.test('yes and no are remembered for ten seconds, each', async t => {
  const { review, asked, clock } = subject(async name => name === 'bob')
  const both = async (): Promise<unknown> => [
    await review(question('bob')),
    await review(question('eve')),
  ]
  t.strictSame(await both(), [true, false])
  clock.now = 9_999
  t.strictSame(await both(), [true, false])
  t.strictSame(asked, ['bob', 'eve'])
  clock.now = 10_000
  t.strictSame(await both(), [true, false])
  t.strictSame(asked, ['bob', 'eve', 'bob', 'eve'])
})

t.test('who asks is a part of the question, groups, uid and extra too', async t => {
  const { review, asked } = subject(async () => true)
  const bob = question('bob')
  const others = [
    bob,
    { ...bob, user: 'alice2' },
    question('bob', []),
    question('bob', ['dev', 'ops']),
    question('bob', ['de', 'v']),
    { ...bob, uid: '7' },
    { ...bob, extra: { a: ['b'] } },
    { ...bob, extra: { a: ['c'] } },
    { ...bob, resourceAttributes: { ...bob.resourceAttributes, resource: 'groups' } as const },
    { ...bob, resourceAttributes: { ...bob.resourceAttributes, namespace: 'a' } },
    { ...bob, resourceAttributes: { ...bob.resourceAttributes, subresource: 'a' } },
  ]
  for (const other of [...others, ...others]) t.equal(await review(other), true)
  t.equal(asked.length, others.length)
})

t.test('many who ask the same at once are one question', async t => {
  const gate = deferred<boolean>()
  const { review, asked } = subject(() => gate.promise)
  const all = Array.from({ length: 1_000 }, () => review(question('bob')))
  gate.resolve(true)
  t.ok((await Promise.all(all)).every(allowed => allowed))
  t.equal(asked.length, 1)
})

t.test('what could not be found out is nobody’s answer, and is asked again', async t => {
  let works = false
  const { review, asked } = subject(async () => {
    if (!works) throw new Error('down')
    return true
  })
  await Promise.all([
    t.rejects(review(question('bob')), /down/),
    t.rejects(review(question('bob'))),
  ])
  works = true
  t.equal(await review(question('bob')), true)
  t.equal(asked.length, 2)
})

t.test('it waits five seconds and no longer', async t => {
  const asked: number[] = []
  t.intercept(AbortSignal, 'timeout', {
    value: (ms: number) => {
      asked.push(ms)
      return AbortSignal.abort(new Error('time is up'))
    },
  })
  const { review } = subject((_, signal) => Promise.reject(signal.reason as Error))
  await t.rejects(review(question('bob')), /time is up/)
  t.strictSame(asked, [5_000])
})

t.test('the memory of answers is bounded', async t => {
  const { review, asked } = subject(async () => true, { max: 2 })
  for (const name of ['a', 'b', 'c', 'c', 'b', 'a']) await review(question(name))
  t.strictSame(asked, ['a', 'b', 'c', 'a'])
})

t.test('so many are asked at a time, and users take turns', async t => {
  const open: Array<() => void> = []
  const { review, asked } = subject(
    () => new Promise(resolve => void open.push(() => resolve(true))),
    { seats: new Seats({ most: 2 }) },
  )
  const ofAlice = ['a', 'b', 'c', 'd'].map(name => review(question(name)))
  const ofBob = review({ ...question('e'), user: 'bob' })
  await turn()
  t.strictSame(asked, ['a', 'b'])
  while (open.length > 0) {
    open.shift()?.()
    await turn()
  }
  t.strictSame(asked, ['a', 'b', 'c', 'e', 'd'])
  t.strictSame(await Promise.all([...ofAlice, ofBob]), [true, true, true, true, true])
})

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
