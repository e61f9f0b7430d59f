import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { facts, type Notice } from '../../lib/channels.js'
import { createExpiry, type Expiry } from '../../lib/edge/expiry.js'
import type { Granted } from '../../lib/gateway.js'
import { Grant } from '../../lib/grant.js'
import { requestInfo } from '../../lib/request-info.js'
import { Secret } from '../../lib/secret.js'

const watch = '/api/v1/pods?watch=true'
const exec = '/api/v1/namespaces/a/pods/b/exec'

interface Subject {
  readonly expiry: Expiry
  /** What happened, in order, each with its second. */
  readonly events: string[]
  readonly warnings: unknown[]
  /** Opens an exchange; a stream ends when asked unless it is `stubborn`. */
  readonly open: (name: string, about?: About) => () => void
  readonly pass: (seconds: number) => void
  /** Timers that are set. */
  readonly timers: () => number
}

interface About {
  readonly user?: string
  readonly expiresAt?: number
  readonly target?: string
  readonly upgrade?: string
  readonly stubborn?: boolean
}

function subject(t: Test, skewSeconds = 30): Subject {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const events: string[] = []
  const warnings: unknown[] = []
  const seconds = (): number => Date.now() / 1000
  t.teardown(
    facts.notice.subscribe((notice: Notice) => {
      events.push(`${seconds()} warned`)
      warnings.push(notice)
    }),
  )
  const set = new Set<unknown>()
  const [realSet, realClear] = [globalThis.setTimeout, globalThis.clearTimeout]
  t.teardown(() => Object.assign(globalThis, { setTimeout: realSet, clearTimeout: realClear }))
  Object.assign(globalThis, {
    setTimeout: (then: () => void, ms: number) => {
      const timer = realSet(() => {
        set.delete(timer)
        then()
      }, ms)
      set.add(timer)
      return timer
    },
    clearTimeout: (timer: NodeJS.Timeout) => {
      set.delete(timer)
      realClear(timer)
    },
  })
  const expiry = createExpiry({ skewSeconds })
  return {
    expiry,
    events,
    warnings,
    open(name, { user = 'alice', expiresAt = 300, target = watch, upgrade, stubborn } = {}) {
      const leave = expiry.enter(granted({ user, expiresAt, target, upgrade }), {
        askToEnd(because) {
          events.push(`${seconds()} ${name} asked: ${because.code}`)
          if (stubborn !== true) leave()
        },
        cut() {
          events.push(`${seconds()} ${name} cut`)
          leave()
        },
      })
      return leave
    },
    pass(count) {
      for (let at = 0; at < count * 10; at += 1) mock.timers.tick(100)
    },
    timers: () => set.size,
  }
}

function granted(about: {
  readonly user: string
  readonly expiresAt: number
  readonly target: string
  readonly upgrade: string | undefined
}): Granted {
  const identity = { username: about.user, groups: [], extra: {} }
  const token = new Secret('a.b.c', 'bearer token')
  const { upgrade, target } = about
  return {
    context: {
      id: '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1',
      receivedAt: 0,
      head: {
        protocol: 'HTTP/1.1',
        method: 'GET',
        target,
        headers: [],
        hasBody: false,
        ...(upgrade !== undefined && { upgrade }),
      },
      info: requestInfo('GET', target),
      peer: { address: '192.0.2.7', encrypted: true },
      signal: new AbortController().signal,
    },
    identity,
    token,
    expiresAt: about.expiresAt,
    grant: Grant.byCaller(identity, token, { impersonate: false }),
    stripped: false,
  }
}

t.test(
  'streams end at the expiry of their token plus the skew, announced a minute before',
  async t => {
    const { open, pass, events, warnings, timers } = subject(t)
    open('watch')
    open('exec', { target: exec, upgrade: 'websocket' })
    open('other', { target: '/x', upgrade: 'websocket' })
    t.equal(timers(), 1, 'one timer, however many streams')
    pass(269.9)
    t.strictSame(events, [])
    pass(0.1)
    t.strictSame(events, ['270 warned'])
    t.strictSame(warnings, [
      {
        level: 'warn',
        msg: 'the token expires: its streams are going to be ended',
        fields: {
          user: 'alice',
          endsAt: '1970-01-01T00:05:30.000Z',
          streams: { watch: 1, exec: 1, upgrade: 1 },
        },
      },
    ])
    pass(59.9)
    t.equal(events.length, 1)
    pass(0.1)
    t.strictSame(events.slice(1), [
      '330 watch asked: token_expired',
      '330 exec asked: token_expired',
      '330 other asked: token_expired',
    ])
    t.equal(timers(), 0)
  },
)

t.test('what does not end when it is asked has a second', async t => {
  const { open, pass, events, timers } = subject(t, 0)
  open('watch', { stubborn: true })
  open('log', { target: '/api/v1/namespaces/a/pods/b/log' })
  pass(300)
  t.equal(timers(), 1)
  pass(0.9)
  t.strictSame(events, [
    '240 warned',
    '300 watch asked: token_expired',
    '300 log asked: token_expired',
  ])
  pass(0.1)
  t.strictSame(events.slice(3), ['301 watch cut'])
  t.equal(timers(), 0)
})

t.test('each user, and each token, has its own end', async t => {
  const { open, pass, events, timers } = subject(t, 0)
  open('a', { expiresAt: 100 })
  open('b', { expiresAt: 100 })
  open('c', { expiresAt: 100, user: 'bob' })
  open('d', { expiresAt: 130 })
  t.equal(timers(), 3)
  pass(140)
  t.strictSame(events, [
    '40 warned',
    '40 warned',
    '70 warned',
    '100 a asked: token_expired',
    '100 b asked: token_expired',
    '100 c asked: token_expired',
    '130 d asked: token_expired',
  ])
})

t.test('streams that are over have no timer, and no end', async t => {
  const { open, pass, events, timers } = subject(t)
  const leave = [open('a'), open('b')]
  leave[0]?.()
  t.equal(timers(), 1)
  leave[1]?.()
  leave[1]?.()
  t.equal(timers(), 0)
  for (let count = 0; count < 1_000; count += 1) open(`${count}`)()
  t.equal(timers(), 0)
  pass(400)
  t.strictSame(events, [])
})

t.test('in the last minute is warned at once, and not again for each stream', async t => {
  const { open, pass, events } = subject(t, 0)
  pass(250)
  open('a')()
  open('b')()
  pass(1)
  open('c')
  open('d', { user: 'bob' })
  t.strictSame(events, ['250 warned', '251 warned'])
  pass(49)
  t.strictSame(events.slice(2), ['300 c asked: token_expired', '300 d asked: token_expired'])
})

t.test('what is no stream, and what does not expire, is left alone', async t => {
  const { open, timers } = subject(t)
  open('list', { target: '/api/v1/pods' })
  open('for ever', { expiresAt: Infinity })
  t.equal(timers(), 0)
})

t.test('an end in the far future is not taken for one at once', async t => {
  const { open, pass, events } = subject(t)
  open('watch', { expiresAt: 4_000_000_000 })
  pass(200)
  t.strictSame(events, [])
})

t.test('a clock that is set forward brings the end nearer', async t => {
  const { open, pass, events } = subject(t, 0)
  open('watch', { expiresAt: 7_200 })
  pass(10)
  mock.timers.setTime(7_300_000)
  pass(60)
  t.match(events.at(-1), /^73\d\d\S* watch asked/)
})

t.test('closed, it ends nothing', async t => {
  const { open, pass, events, expiry, timers } = subject(t, 0)
  open('a')
  open('b', { expiresAt: 100, stubborn: true })
  pass(100.5)
  expiry.close()
  t.equal(timers(), 0)
  pass(300)
  t.strictSame(events, ['40 warned', '100 b asked: token_expired'])
})
