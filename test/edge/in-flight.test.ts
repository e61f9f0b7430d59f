import t from 'tap'
import { limitInFlight } from '../../lib/edge/in-flight.js'
import type { Client, Outcome } from '../../lib/exchange.js'
import { createGateway, type Stages } from '../../lib/gateway.js'
import type { RefusalCode } from '../../lib/refusal.js'
import { deferred } from '../actors/deferred.js'
import { context, granted } from '../upstream/granted.js'

const outcome: Outcome = { status: 200, bytes: 0, ended: 'complete' }
const { grant, stripped: _, ...alice } = granted()
const client = undefined as unknown as Client

interface Subject {
  /** One request through all stages; resolves with how it was refused. */
  ask(target?: string): Promise<RefusalCode | 'served'>
}

function subject(stages: Partial<Stages>, most = 1): Subject {
  const refused = new Map<object, RefusalCode>()
  const gateway = createGateway<Client>(
    limitInFlight(
      {
        authenticate: about => ({ ...alice, context: about }),
        authorize: known => ({ ...known, grant, stripped: false }),
        carry: () => Promise.resolve(outcome),
        refuse: (about, { code }) => {
          refused.set(about, code)
          return Promise.resolve(outcome)
        },
        ...stages,
      },
      most,
    ),
  )
  return {
    ask: async (target = '/api') => {
      const about = context({ target })
      await gateway(about, client)
      return refused.get(about) ?? 'served'
    },
  }
}

t.test('who is refused, or fails, at any stage leaves no place taken', async t => {
  const fail = (): never => {
    throw new Error('no')
  }
  for (const stages of [
    { authorize: fail },
    { authorize: () => Promise.reject(new Error('no')) },
    { carry: fail },
    { carry: () => Promise.reject(new Error('no')) },
  ] satisfies Array<Partial<Stages>>) {
    const { ask } = subject(stages)
    for (let n = 0; n < 3; n += 1) t.equal(await ask(), 'internal', Object.keys(stages).join())
  }
  const { ask } = subject({ authenticate: fail })
  for (let n = 0; n < 3; n += 1) t.equal(await ask(), 'internal')
})

t.test('the place is taken before anybody is asked what the user may do', async t => {
  const answer = deferred()
  const { ask } = subject({
    authorize: async known => {
      await answer.promise
      return { ...known, grant, stripped: false }
    },
  })
  const first = ask()
  t.equal(await ask(), 'too_many_in_flight')
  t.equal(await ask(), 'too_many_in_flight', 'and a refusal takes none')
  answer.resolve()
  t.equal(await first, 'served')
  t.equal(await ask(), 'served')
})

t.test('streams and requests do not take places from each other', async t => {
  const answer = deferred()
  const { ask } = subject({
    carry: async () => {
      await answer.promise
      return outcome
    },
  })
  const open = [ask('/api/v1/pods?watch=1'), ask('/api')]
  t.equal(await ask('/api/v1/namespaces/a/pods/b/log'), 'too_many_in_flight')
  t.equal(await ask('/version'), 'too_many_in_flight')
  answer.resolve()
  t.strictSame(await Promise.all(open), ['served', 'served'])
})

t.test('no limit is no stage of its own', async t => {
  const stages = {} as Stages
  t.equal(limitInFlight(stages, 0), stages)
})
