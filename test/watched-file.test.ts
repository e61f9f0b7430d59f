import { existsSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { facts, type Notice } from '../lib/channels.js'
import { watchFile, type WatchedFile } from '../lib/watched-file.js'

const number = (content: Buffer): number => {
  const value = Number.parseInt(content.toString(), 10)
  if (Number.isNaN(value)) throw new Error('not a number')
  return value
}

interface Watched {
  readonly file: WatchedFile<number>
  readonly path: string
  readonly changes: number[]
  readonly said: string[]
}

function watched(t: Test, content: string, settleMs = 1): Watched {
  const path = join(t.testdir({ file: content }), 'file')
  const changes: number[] = []
  const said: string[] = []
  const unsubscribe = [
    facts.reload.subscribe(({ result }) => said.push(result)),
    facts.notice.subscribe(({ level, fields }: Notice) => {
      if (fields?.['file'] === path) said.push(level)
    }),
  ]
  const file = watchFile(path, {
    parse: number,
    changed: value => changes.push(value),
    intervalMs: 3_600_000,
    settleMs,
  })
  t.teardown(() => {
    file.close()
    for (const stop of unsubscribe) stop()
  })
  return { file, path, changes, said }
}

t.test('a new content is the value after the next look', async t => {
  const { file, path, changes, said } = watched(t, '1')
  t.equal(file.value, 1)
  writeFileSync(path, '2')
  t.equal(file.value, 1)
  t.equal(await file.refresh(), 2)
  t.equal(file.value, 2)
  t.equal(await file.refresh(), 2)
  t.strictSame(changes, [2], 'told once')
  t.strictSame(said, ['ok', 'info'])
})

t.test('a broken or missing file keeps the last good value, and says so once', async t => {
  const { file, path, changes, said } = watched(t, '1')
  writeFileSync(path, 'broken')
  t.equal(await file.refresh(), 1)
  t.equal(await file.refresh(), 1)
  t.strictSame(said, ['error', 'error'], 'one failed reload, one notice')
  rmSync(path)
  t.equal(await file.refresh(), 1)
  t.equal(await file.refresh(), 1)
  t.equal(said.length, 4, 'another fault is said too')
  writeFileSync(path, '3')
  t.equal(await file.refresh(), 3)
  writeFileSync(path, 'broken')
  await file.refresh()
  t.equal(said.length, 8, 'the same fault is news after a good content')
  t.strictSame(changes, [3])
})

t.test('what is half written is not taken, however good it looks', async t => {
  const { file, path, changes, said } = watched(t, '1', 500)
  writeFileSync(path, '12')
  const looked = file.refresh()
  await new Promise(resolve => setTimeout(resolve, 50))
  writeFileSync(path, '123')
  t.equal(await looked, 123)
  t.strictSame(changes, [123])
  t.strictSame(said, ['ok', 'info'])

  writeFileSync(path, '12')
  const over = file.refresh()
  await new Promise(resolve => setTimeout(resolve, 50))
  writeFileSync(path, '123')
  t.equal(await over, 123, 'and what is back is no change')
  t.strictSame(changes, [123])

  writeFileSync(path, '4')
  const late = file.refresh()
  file.close()
  await late
  t.strictSame(changes, [123], 'who has closed it hears no more')
})

t.test('symbolic links are followed when they are turned, as in mounted Secrets', async t => {
  const folder = t.testdir({ one: { token: '1' }, two: { token: '2' } })
  symlinkSync('one', join(folder, 'data'))
  symlinkSync('data/token', join(folder, 'token'))
  const file = watchFile(join(folder, 'token'), { parse: number, settleMs: 1 })
  t.teardown(() => file.close())
  t.equal(file.value, 1)
  symlinkSync('two', join(folder, 'next'))
  renameSync(join(folder, 'next'), join(folder, 'data'))
  t.equal(await file.refresh(), 2)
})

t.test('it looks by itself', async t => {
  const path = join(t.testdir({ file: '1' }), 'file')
  let changed: (value: number) => void = () => undefined
  const seen = new Promise<number>(resolve => (changed = resolve))
  const file = watchFile(path, { parse: number, changed, intervalMs: 5 })
  t.teardown(() => file.close())
  writeFileSync(path, '2')
  // The timer keeps no process alive; the test must.
  const alive = setInterval(() => undefined, 1_000)
  t.equal(await seen, 2)
  clearInterval(alive)
})

t.test('a file that cannot be used at the start is an error', async t => {
  const folder = t.testdir({ broken: 'x' })
  t.throws(() => watchFile(join(folder, 'broken'), { parse: number }), /not a number/)
  t.throws(() => watchFile(join(folder, 'none'), { parse: number }), { code: 'ENOENT' })
})

/** Reads as something else every time. */
const restless = '/proc/sys/kernel/random/uuid'

t.test(
  'a file that does not stop changing is given up for now, and said to be so',
  { skip: !existsSync(restless) && 'this system has no such file' },
  async t => {
    const errors: unknown[] = []
    const unsubscribe = facts.notice.subscribe(({ level, fields }) => {
      if (fields?.['file'] === restless) errors.push([level, fields['error']])
    })
    t.teardown(unsubscribe)
    const file = watchFile(restless, {
      parse: content => content.toString(),
      changed: () => t.fail('nothing of it was found twice'),
      intervalMs: 3_600_000,
      settleMs: 1,
    })
    t.teardown(() => file.close())
    const first = file.value
    t.equal(await file.refresh(), first)
    t.strictSame(errors, [['error', 'it does not stop changing']])
  },
)
