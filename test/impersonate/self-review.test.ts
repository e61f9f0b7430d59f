import t from 'tap'
import { facts } from '../../lib/channels.js'
import {
  createSelfReview,
  type SelfReview,
  type SelfSubject,
} from '../../lib/impersonate/self-review.js'
import { deferred } from '../actors/deferred.js'
import { alice, known, token } from './known.js'

interface Subject {
  readonly review: SelfReview
  /** How often the API server was asked. */
  readonly asked: { count: number; tokens: unknown[] }
  readonly clock: { now: number }
}

function subject(
  answer: (signal: AbortSignal) => Promise<SelfSubject>,
  options: { timeoutMs?: number; retryMs?: number } = {},
): Subject {
  const asked = { count: 0, tokens: [] as unknown[] }
  const clock = { now: 0 }
  const review = createSelfReview({
    ask: (presented, signal) => {
      asked.count += 1
      asked.tokens.push(presented)
      return answer(signal)
    },
    now: () => clock.now,
    ...options,
  })
  return { review, asked, clock }
}

const says = (username: string, groups: readonly string[]) => () =>
  Promise.resolve({ username, groups })

t.test('the same is the same user name and the same set of groups', async t => {
  const cases: ReadonlyArray<readonly [boolean, string, readonly string[], (readonly string[])?]> =
    [
      [true, 'alice', ['dev', 'ops']],
      [true, 'alice', ['ops', 'dev']],
      [true, 'alice', ['ops', 'dev', 'dev']],
      [true, 'alice', ['dev', 'system:authenticated', 'ops']],
      [true, 'alice', ['dev'], ['dev', 'system:authenticated']],
      [true, 'alice', [], []],
      [true, 'alice', ['system:authenticated'], []],
      [false, 'Alice', ['dev', 'ops']],
      [false, 'oidc:alice', ['dev', 'ops']],
      [false, 'alice', ['dev']],
      [false, 'alice', []],
      [false, 'alice', ['dev', 'ops', 'more']],
      [false, 'alice', ['dev', 'system:masters']],
      [false, 'alice', ['dev', 'ops', 'system:unauthenticated']],
      [false, 'alice', ['dev, ops']],
    ]
  for (const [same, username, there, here = ['dev', 'ops']] of cases) {
    const { review } = subject(says(username, there))
    const identity = { ...alice, groups: here }
    t.equal(await review(known([], identity)), same, `${username} ${there.join()} | ${here.join()}`)
  }
})

t.test('uid and extra do not count', async t => {
  const { review } = subject(says('alice', ['dev', 'ops']))
  const identity = { ...alice, uid: '7', extra: { 'example.com/tenant': ['a'] } }
  t.equal(await review(known([], identity)), true)
})

t.test(
  'an identity is asked about once, with its own token, and answered at once from then on',
  async t => {
    const { review, asked, clock } = subject(says('alice', ['dev', 'ops']))
    t.equal(await review(known()), true)
    clock.now = 1e9
    t.equal(review(known()), true)
    t.equal(review(known()), true)
    t.strictSame(asked.tokens, [token])
    await review(known([], { ...alice }))
    t.equal(asked.count, 2, 'the verdict of another token is another question')
  },
)

t.test('that the API server sees somebody else is remembered as long', async t => {
  const { review, asked, clock } = subject(says('bob', []))
  t.equal(await review(known()), false)
  clock.now = 1e9
  t.equal(review(known()), false)
  t.equal(asked.count, 1)
})

t.test('a thousand requests at once are one question', async t => {
  const answer = deferred<SelfSubject>()
  const { review, asked } = subject(() => answer.promise)
  const all = Array.from({ length: 1_000 }, async () => await review(known()))
  answer.resolve({ username: 'alice', groups: ['dev', 'ops'] })
  t.ok((await Promise.all(all)).every(same => same))
  t.equal(asked.count, 1)
})

t.test('an API server that cannot say is asked again after ten seconds, no sooner', async t => {
  let works = false
  const notices: unknown[] = []
  t.teardown(facts.notice.subscribe(notice => notices.push(notice)))
  const { review, asked, clock } = subject(() =>
    works ? says('alice', ['dev', 'ops'])() : Promise.reject(new Error('status 404')),
  )
  t.equal(await review(known()), false, 'impersonating is the safe side')
  t.match(notices, [{ level: 'debug', fields: { error: 'status 404' } }])
  works = true
  clock.now = 9_999
  t.equal(review(known()), false)
  t.equal(asked.count, 1)
  clock.now = 10_000
  t.equal(await review(known()), true)
  t.equal(asked.count, 2)
})

t.test('an API server that does not answer cannot say', async t => {
  let aborted: unknown
  const { review } = subject(
    signal =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted = signal.reason
          reject(signal.reason as Error)
        })
      }),
    { timeoutMs: 1 },
  )
  // The limit's timer keeps no process alive.
  const alive = setInterval(() => undefined, 1_000)
  t.equal(await review(known()), false)
  clearInterval(alive)
  t.match(aborted, { name: 'TimeoutError' })
})

t.test('it waits five seconds, if nothing else is said', async t => {
  const asked: number[] = []
  t.intercept(AbortSignal, 'timeout', {
    value: (ms: number) => {
      asked.push(ms)
      return new AbortController().signal
    },
  })
  await subject(says('alice', [])).review(known())
  t.strictSame(asked, [5_000])
})
