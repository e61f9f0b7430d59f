import t from 'tap'
import { Seats, type SeatsOptions } from '../lib/seats.js'
import { deferred, type Deferred } from './actors/deferred.js'

/** Questions by name; each goes on until it is answered. */
function subject(options: SeatsOptions) {
  const seats = new Seats({ perSecond: Infinity, ...options })
  const begun: string[] = []
  const open = new Map<string, Deferred<void>>()
  const ask = (flow: string, name: string, signal = new AbortController().signal) => {
    const answered = deferred()
    open.set(name, answered)
    return seats
      .run(flow, signal, async () => {
        begun.push(name)
        await answered.promise
        return name
      })
      .catch((error: unknown) => (error instanceof Error ? error.message : 'no error'))
  }
  const answer = async (name: string): Promise<void> => {
    open.get(name)?.resolve()
    await settled()
  }
  return { ask, answer, begun }
}

const settled = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
const full = 'too many questions are waiting to be asked'

t.test('so many at a time, and the rest as seats become free', async t => {
  const { ask, answer, begun } = subject({ most: 2 })
  const all = ['a', 'b', 'c', 'd'].map(name => ask('one', name))
  await settled()
  t.strictSame(begun, ['a', 'b'])
  await answer('b')
  t.strictSame(begun, ['a', 'b', 'c'])
  for (const name of ['a', 'c', 'd']) await answer(name)
  t.strictSame(await Promise.all(all), ['a', 'b', 'c', 'd'])
})

t.test('a seat is free again also after a failure', async t => {
  const seats = new Seats({ most: 1 })
  const { signal } = new AbortController()
  await t.rejects(
    seats.run('one', signal, () => Promise.reject(new Error('down'))),
    /down/,
  )
  t.equal(await seats.run('one', signal, async () => 7), 7)
})

t.test('flows take turns, however long their lines are', async t => {
  const { ask, answer, begun } = subject({ most: 1 })
  for (const name of ['a1', 'a2', 'a3', 'a4']) void ask('a', name)
  void ask('b', 'b1')
  void ask('c', 'c1')
  for (const name of ['a1', 'a2', 'b1', 'c1', 'a3', 'a4']) await answer(name)
  t.strictSame(begun, ['a1', 'a2', 'b1', 'c1', 'a3', 'a4'])
})

t.test('when no more can wait, the newest of the longest line gives way', async t => {
  const { ask, answer, begun } = subject({ most: 1, mostWaiting: 3 })
  const lines = ['a0', 'a1', 'a2', 'a3', 'a4'].map(name => ask('a', name))
  t.equal(await lines[4], full, 'its own')
  const other = ask('b', 'b1')
  t.equal(await lines[3], full, 'for somebody else')
  for (const name of ['a0', 'a1', 'b1', 'a2']) await answer(name)
  t.strictSame(begun, ['a0', 'a1', 'b1', 'a2'])
  t.strictSame(await Promise.all([...lines.slice(0, 3), other]), ['a0', 'a1', 'a2', 'b1'])
})

t.test('who has no more time waits for nothing, and leaves no gap', async t => {
  const { ask, answer, begun } = subject({ most: 1, mostWaiting: 1 })
  void ask('a', 'a1')
  const abort = new AbortController()
  const late = ask('b', 'b1', abort.signal)
  abort.abort(new Error('time is up'))
  t.equal(await late, 'time is up')
  t.equal(await ask('b', 'b2', AbortSignal.abort(new Error('was up'))), 'was up')
  void ask('c', 'c1')
  for (const name of ['a1', 'c1']) await answer(name)
  t.strictSame(begun, ['a1', 'c1'])
})

t.test('so many in a second, after a burst', async t => {
  const clock = { now: 0 }
  const { ask, answer, begun } = subject({
    most: 100,
    perSecond: 50,
    burst: 2,
    now: () => clock.now,
  })
  for (const name of ['a', 'b', 'c', 'd', 'e']) void ask('one', name)
  await settled()
  t.strictSame(begun, ['a', 'b'])
  clock.now = 40
  await answer('a')
  t.strictSame(begun, ['a', 'b', 'c', 'd'])
  clock.now = 60
  while (begun.length < 5) await new Promise(resolve => setTimeout(resolve, 5))
  t.strictSame(begun, ['a', 'b', 'c', 'd', 'e'], 'by itself, without anybody leaving')
})
