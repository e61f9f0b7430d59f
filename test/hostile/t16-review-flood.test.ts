/*
 * T16: whoever makes the gateway ask the API server makes it ask as often as he likes: with tokens that nobody knows,
 * each its own TokenReview, and with a request that names hundreds of groups, each its own SubjectAccessReview.
 */
import t from 'tap'
import type { AskedReview } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import type { HeaderLines } from '../actors/http1.js'
import { startedWorld, type World } from '../actors/world.js'
import { badToken, forbidden, wholeAnswer } from './whole-answer.js'

const unknown = badToken('the API server does not accept the token')

t.test('sixteen TokenReviews at a time, and a stranger’s turn comes all the same', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: ['--token-passthrough', '--trusted-proxies=127.0.0.1/32'],
  })
  const gate = deferred()
  const { asked, most } = watch(world, async token => {
    if (token !== 'good') await gate.promise
    return { authenticated: token === 'good', user: { username: 'somebody', groups: [] } }
  })
  const from = (address: string, token: string) =>
    world.ask({ token, headers: [['X-Forwarded-For', address]] })
  t.equal((await from('192.0.2.1', 'good')).response?.status, 200)

  const flood = Array.from({ length: 40 }, (_, n) => from('192.0.2.6', `bad-${String(n)}`))
  while (asked.length < 17) await turn()
  t.equal((await from('192.0.2.1', 'good')).response?.status, 200, 'known, and not asked about')
  t.equal((await world.ask({ token: false })).response?.status, 401, 'nothing else waits')
  const stranger = from('192.0.2.2', 'stranger')
  gate.resolve()
  t.strictSame(wholeAnswer(await stranger), unknown)
  for (const each of await Promise.all(flood)) t.strictSame(wholeAnswer(each), unknown)
  t.equal(most(), 16)
  t.equal(asked.length, 42, 'each once')
})

t.test('eight SubjectAccessReviews of one request at a time, and none after a no', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: ['--client-impersonation=authorize'],
  })
  const groups: HeaderLines = Array.from({ length: 200 }, (_, n) => [
    'Impersonate-Group',
    `g${String(n)}`,
  ])
  const { asked, most } = watch(world, async () => {
    await turn()
    return { allowed: true }
  })
  const request = { headers: [['Impersonate-User', 'bob'], ...groups] as HeaderLines }
  t.equal((await world.ask(request)).response?.status, 200)
  t.ok(most() <= 8, `${String(most())} at a time`)
  t.equal(asked.length, 201)

  world.api.decide(review => {
    asked.push(review)
    return { allowed: false }
  })
  const before = asked.length
  t.strictSame(
    wholeAnswer(await world.ask({ ...request, token: world.issuer.sign({ sub: 'mallory' }) })),
    forbidden('impersonating this user, group, uid or extra is not allowed'),
  )
  t.ok(asked.length - before <= 8, `${String(asked.length - before)} asked`)
})

/** Answers reviews, and counts how many there are at a time. */
function watch(world: World, answer: (subject: string) => Promise<object>) {
  const asked: AskedReview[] = []
  let open = 0
  let most = 0
  world.api.decide(async review => {
    asked.push(review)
    open += 1
    most = Math.max(most, open)
    try {
      return await answer(String(review.spec['token']))
    } finally {
      open -= 1
    }
  })
  return { asked, most: () => most }
}

const turn = (): Promise<void> => new Promise(resolve => void setTimeout(resolve, 5))
