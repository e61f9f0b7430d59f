import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  createDrain,
  type Cut,
  type Drain,
  type DrainOptions,
  type OpenExchange,
} from '../../lib/edge/drain.js'
import { requestInfo } from '../../lib/request-info.js'

interface Subject {
  readonly drain: Drain
  /** What happened, in order, each with its millisecond. */
  readonly events: string[]
  /** Opens an exchange; a stream ends when asked unless it is `stubborn`. */
  readonly open: (name: string, target: string, how?: 'stubborn') => () => void
  /** Lets time pass, a millisecond at a time, so that what follows from one event comes before the next. */
  readonly pass: (ms: number) => Promise<void>
  readonly begin: () => Promise<Cut>
}

function subject(t: Test, options: DrainOptions): Subject {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const drain = createDrain(options)
  const events: string[] = []
  let now = 0
  const note = (what: string): unknown => events.push(`${now} ${what}`)
  return {
    drain,
    events,
    open(name, target, how) {
      const exchange: OpenExchange = {
        info: requestInfo('GET', target),
        isUpgrade: target === exec,
        client: {
          askToEnd: () => {
            note(`${name} asked`)
            if (how !== 'stubborn') leave()
          },
          cut: () => {
            note(`${name} cut`)
            if (how !== 'stubborn') leave()
          },
        },
      }
      const leave = drain.enter(exchange)
      return leave
    },
    async pass(ms) {
      for (const end = now + ms; now < end;) {
        now += 1
        mock.timers.tick(1)
        await turn()
      }
    },
    begin: async () => {
      const result = await drain.begin(() => note('refusing'))
      note(`over, ${result.cut} cut`)
      return result
    },
  }
}

const watch = '/api/v1/pods?watch=true'
const log = '/api/v1/namespaces/a/pods/b/log?follow=true'
const proxy = '/api/v1/namespaces/a/services/b/proxy/'
const exec = '/api/v1/namespaces/a/pods/b/exec'

t.test('what is open is counted', async t => {
  const { drain, open } = subject(t, { graceMs: 100 })
  t.equal(drain.phase, 'serving')
  const leave = open('one', '/api')
  const leaveToo = open('two', '/api')
  t.equal(drain.open, 2)
  leave()
  leave()
  t.equal(drain.open, 1)
  leaveToo()
  t.equal(drain.open, 0)
})

t.test('with nothing open it is over as soon as load balancers had their time', async t => {
  const { drain, events, begin, pass } = subject(t, { graceMs: 10_000 })
  const over = begin()
  t.equal(drain.phase, 'announced', 'not ready at once')
  await pass(1_999)
  t.equal(drain.phase, 'announced', 'still serving')
  await pass(1)
  t.equal(drain.phase, 'refusing')
  t.strictSame(await over, { cut: 0, lost: 0 })
  t.strictSame(events, ['2000 refusing', '2000 over, 0 cut'])
})

t.test('a grace period too short for an announcement is halved', async t => {
  const { events, begin, pass } = subject(t, { graceMs: 10 })
  const over = begin()
  await pass(10)
  await over
  t.strictSame(events, ['5 refusing', '5 over, 0 cut'])
})

t.test(
  'streams that come back by themselves are asked to end, spread over the grace period',
  async t => {
    const drawn = [0.01, 0.5, 0.625]
    const { events, open, begin, pass } = subject(t, {
      graceMs: 1_200,
      announceMs: 200,
      random: () => drawn.shift() ?? 0,
    })
    open('watch', watch)
    open('log', log)
    open('proxy', proxy)
    const over = begin()
    await pass(1_200)
    t.strictSame(await over, { cut: 0, lost: 0 })
    t.strictSame(events, [
      '200 refusing',
      '208 watch asked',
      '600 log asked',
      '700 proxy asked',
      '700 over, 0 cut',
    ])
  },
)

t.test('the last fifth of the grace period is for streams in the middle of a line', async t => {
  const { events, open, begin, pass } = subject(t, {
    graceMs: 1_200,
    announceMs: 200,
    random: () => 1 - Number.EPSILON,
  })
  open('watch', watch)
  const over = begin()
  await pass(1_100)
  t.strictSame(await over, { cut: 0, lost: 0 })
  t.match(events[1], /^(999|1000) watch asked$/)
})

t.test('short requests and exec are left alone, to the end of the grace period', async t => {
  const { events, open, begin, pass } = subject(t, {
    graceMs: 100,
    announceMs: 20,
    random: () => 0.125,
  })
  const finish = open('short', '/api/v1/pods')
  open('exec', exec)
  open('watch', watch, 'stubborn')
  const over = begin()
  await pass(50)
  finish()
  await pass(49)
  t.strictSame(events, ['20 refusing', '28 watch asked'])
  await pass(1)
  t.strictSame(events.slice(2).toSorted(), ['100 exec cut', '100 watch cut'])
  await pass(1_000)
  t.strictSame(await over, { cut: 2, lost: 1 }, 'what nobody could have ended is not lost')
  t.strictSame(events.slice(4), ['1100 over, 2 cut'], 'a second is left to say how it ended')
})

t.test('it is over when the last one that was cut has said so', async t => {
  const { events, open, begin, pass } = subject(t, { graceMs: 100, announceMs: 20 })
  open('exec', exec)
  open('short', '/api/v1/pods')
  const over = begin()
  await pass(101)
  t.strictSame(await over, { cut: 2, lost: 1 })
  t.strictSame(events, ['20 refusing', '100 exec cut', '100 short cut', '100 over, 2 cut'])
})

t.test('it is over as soon as the last one is gone', async t => {
  const { events, open, begin, pass } = subject(t, { graceMs: 100, announceMs: 20 })
  const finish = open('exec', exec)
  const over = begin()
  await pass(30)
  finish()
  t.strictSame(await over, { cut: 0, lost: 0 })
  t.strictSame(events, ['20 refusing', '30 over, 0 cut'])
})
