import t from 'tap'
import type { Verdict } from '../../lib/authenticate/authenticator.js'
import { createVerdicts, type Judgement } from '../../lib/authenticate/verdicts.js'
import { facts } from '../../lib/channels.js'
import type { Identity } from '../../lib/identity.js'
import { Refusal } from '../../lib/refusal.js'
import { turns } from './fake-clock.js'

const { signal } = new AbortController()
const alice = (expiresAt = 1_000): Verdict => ({
  outcome: 'authenticated',
  identity: { username: 'alice', groups: [], extra: {} },
  expiresAt,
})
const refused: Judgement = {
  verdict: { outcome: 'rejected', refusal: new Refusal('token_signature') },
}
const code = (error: unknown): string => Refusal.from(error).code

t.test('what is known is said at once, and with the same object each time', async t => {
  const results: string[] = []
  t.teardown(facts.token.subscribe(({ result }) => results.push(result)))
  let judged = 0
  const verdicts = createVerdicts({
    now: () => 0,
    judge: async () => {
      judged += 1
      return { verdict: alice(), proof: { live: true } }
    },
  })
  const first = await verdicts.decide('a', { signal })
  t.equal(verdicts.decide('a', { signal }), first, 'no promise, no copy')
  t.equal(verdicts.decide('a', { signal }), first)
  t.type(verdicts.decide('A', { signal }), Promise, 'another token')
  t.equal(judged, 2)
  t.strictSame(results, ['miss', 'hit', 'hit', 'miss'])
})

t.test('a thousand requests with one new token verify it once', async t => {
  const results: Record<string, number> = {}
  t.teardown(
    facts.token.subscribe(({ result }) => {
      results[result] = (results[result] ?? 0) + 1
    }),
  )
  let finish: ((judgement: Judgement) => void) | undefined
  let judged = 0
  const verdicts = createVerdicts({
    now: () => 0,
    judge: () => {
      judged += 1
      return new Promise(resolve => {
        finish = resolve
      })
    },
  })
  const answers = Array.from({ length: 1000 }, async () =>
    verdicts.decide('a', new AbortController()),
  )
  const verdict = alice()
  finish?.({ verdict, proof: { live: true } })
  t.strictSame(new Set(await Promise.all(answers)), new Set([verdict]))
  t.equal(judged, 1)
  t.strictSame(results, { miss: 1, shared: 999 })
})

t.test('nothing is remembered past its end', async t => {
  let now = 999_999
  let judged = 0
  const verdicts = createVerdicts({
    now: () => now,
    judge: async () => {
      judged += 1
      return { verdict: alice(1_000), proof: { live: true } }
    },
  })
  const known = await verdicts.decide('a', { signal })
  t.equal(verdicts.decide('a', { signal }), known, 'to the last millisecond')
  now = 1_000_000
  t.match(verdicts.decide('a', { signal }), {
    outcome: 'rejected',
    refusal: { code: 'token_expired' },
  })
  t.equal(judged, 1)
})

t.test('a verdict goes with its proof', async t => {
  const proof = { live: true }
  let judged = 0
  const verdicts = createVerdicts({
    now: () => 0,
    judge: async () => {
      judged += 1
      return { verdict: alice(), proof }
    },
  })
  await verdicts.decide('a', { signal })
  proof.live = false
  t.type(verdicts.decide('a', { signal }), Promise)
  t.equal(judged, 2)
  await turns()
  t.type(verdicts.decide('a', { signal }), Promise, 'nor is one remembered that came too late')
})

t.test('a connection remembers which token came last, and nothing else of it', async t => {
  let now = 0
  let proof = { live: true }
  const judged: string[] = []
  const verdicts = createVerdicts({
    now: () => now,
    judge: username => {
      judged.push(username)
      const identity = { username, groups: [], extra: {} }
      return { verdict: { outcome: 'authenticated', identity, expiresAt: 1 }, proof }
    },
  })
  const connection = {}
  const whose = (token: string, on: object = connection): unknown => {
    const verdict = verdicts.decide(token, { signal, connection: on })
    if (verdict instanceof Promise) return 'a promise'
    return verdict.outcome === 'authenticated' ? verdict.identity.username : verdict.refusal.code
  }
  const asked = ['a', 'a', 'b', 'b', 'a', 'a', 'c', 'a']
  t.strictSame(
    asked.map(token => whose(token)),
    asked,
  )
  t.equal(whose('b', {}), 'b', 'on another connection')
  t.strictSame(judged, ['a', 'b', 'c'])

  proof.live = false
  proof = { live: true }
  t.equal(whose('a'), 'a')
  t.strictSame(judged, ['a', 'b', 'c', 'a'], 'a proof that is gone')
  now = 1_000
  t.equal(whose('a'), 'token_expired')
})

t.test('a no is not remembered, said at once or later', async t => {
  let judged = 0
  const verdicts = createVerdicts({
    judge: token => {
      judged += 1
      return token === 'sync' ? refused : Promise.resolve(refused)
    },
  })
  t.equal(verdicts.decide('sync', { signal }), refused.verdict)
  t.equal(verdicts.decide('sync', { signal }), refused.verdict)
  t.equal(await verdicts.decide('async', { signal }), refused.verdict)
  t.equal(await verdicts.decide('async', { signal }), refused.verdict)
  t.equal(judged, 4)
})

t.test('that it could not be known reaches all who wait, and nobody after them', async t => {
  let fail = true
  const verdicts = createVerdicts({
    now: () => 0,
    judge: async () => {
      if (fail) throw new Refusal('issuer_unavailable')
      return { verdict: alice(), proof: { live: true } }
    },
  })
  const both = [verdicts.decide('a', { signal }), verdicts.decide('a', { signal })].map(answer =>
    Promise.resolve(answer).catch(code),
  )
  t.strictSame(await Promise.all(both), ['issuer_unavailable', 'issuer_unavailable'])
  fail = false
  t.match(await verdicts.decide('a', { signal }), { outcome: 'authenticated' })
})

t.test(
  'one that leaves takes nothing from the others; when all have left it is given up',
  async t => {
    const flights: { readonly signal: AbortSignal; readonly finish: (j: Judgement) => void }[] = []
    const verdicts = createVerdicts({
      now: () => 0,
      judge: (_token, _digest, signal) =>
        new Promise(finish => {
          flights.push({ signal, finish })
        }),
    })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = Promise.resolve(verdicts.decide('a', one)).catch(code)
    const second = Promise.resolve(verdicts.decide('a', two)).catch(code)
    one.abort()
    t.equal(await first, 'client_gone')
    t.equal(flights[0]?.signal.aborted, false)
    two.abort()
    t.equal(await second, 'client_gone')
    t.equal(flights[0]?.signal.aborted, true)

    const third = verdicts.decide('a', { signal })
    t.equal(flights.length, 2, 'who comes then begins anew')
    flights[0]?.finish(refused)
    await turns()
    const fourth = verdicts.decide('a', { signal })
    t.equal(flights.length, 2, 'and is not disturbed by what was given up')
    flights[1]?.finish({ verdict: alice(), proof: { live: true } })
    t.match(await Promise.all([third, fourth]), [
      { outcome: 'authenticated' },
      { outcome: 'authenticated' },
    ])
    t.equal(
      await Promise.resolve(verdicts.decide('b', { signal: AbortSignal.abort() })).catch(code),
      'client_gone',
    )
  },
)

t.test('memory is bounded: the longest unused goes first', async t => {
  const judged: string[] = []
  const verdicts = createVerdicts({
    max: 2,
    now: () => 0,
    judge: async token => {
      judged.push(token)
      return { verdict: alice(), proof: { live: true } }
    },
  })
  for (const token of ['a', 'b', 'a', 'c', 'a', 'b']) await verdicts.decide(token, { signal })
  t.strictSame(judged, ['a', 'b', 'c', 'b'])
})

t.test('memory is bounded by every name of an identity, long ones by the character', async t => {
  // Four of these are more than 64 Mi characters; the one string is there once.
  const long = 'x'.repeat(17 * 1024 * 1024)
  const table: Record<string, Identity> = {
    username: { username: long, groups: [], extra: {} },
    uid: { username: 'alice', uid: long, groups: [], extra: {} },
    groups: { username: 'alice', groups: ['a', long], extra: {} },
    'keys of extra': { username: 'alice', groups: [], extra: { [long]: ['a'] } },
    'values of extra': { username: 'alice', groups: [], extra: { a: ['a', long], b: [] } },
  }
  for (const [what, identity] of Object.entries(table)) {
    const judged: string[] = []
    const verdicts = createVerdicts({
      now: () => 0,
      judge: token => {
        judged.push(token)
        const verdict: Verdict = { outcome: 'authenticated', identity, expiresAt: 1_000 }
        return { verdict, proof: { live: true } }
      },
    })
    for (const token of ['a', 'b', 'c', 'c', 'd', 'a']) void verdicts.decide(token, { signal })
    t.strictSame(judged, ['a', 'b', 'c', 'd', 'a'], what)
  }
})

t.test('digests are of this process alone', async t => {
  const digests: string[] = []
  const judge = (_token: string, digest: string): Judgement => {
    digests.push(digest)
    return refused
  }
  for (const verdicts of [createVerdicts({ judge }), createVerdicts({ judge })]) {
    void verdicts.decide('a', { signal })
    void verdicts.decide('a', { signal })
  }
  t.equal(digests[0], digests[1])
  t.not(digests[1], digests[2])
})
