import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { RequestBody } from '../../lib/edge/request-body.js'

async function collected(body: RequestBody): Promise<string> {
  let text = ''
  for await (const chunk of body) text += String(chunk)
  return text
}

t.test('a body arrives whole', async t => {
  const source = new PassThrough()
  const body = new RequestBody(source)
  t.equal(body.received, false)
  source.write('one ')
  source.end('two')
  t.equal(await collected(body), 'one two')
  t.equal(body.received, true)
})

t.test('nothing is read before somebody asks, and no more than is taken', async t => {
  const source = new PassThrough({ highWaterMark: 1_024 })
  const body = new RequestBody(source)
  await turn()
  t.equal(source.isPaused(), true)
  let written = 0
  while (source.write(Buffer.alloc(1_024))) written += 1
  body.once('readable', () => undefined)
  for (let tries = 0; tries < 100; tries += 1) {
    if (source.write(Buffer.alloc(1_024))) written += 1
    await turn()
  }
  t.equal(source.isPaused(), true, 'a full body pauses its connection')
  // One default high-water mark (64 KiB at most) here, one in the source.
  t.ok(written < 80, `${written} KiB were taken`)
  body.destroy()
})

t.test('a body that breaks off is an error, not an end', async t => {
  const source = new PassThrough()
  const body = new RequestBody(source)
  source.write('half')
  const text = collected(body)
  await turn()
  source.destroy()
  await t.rejects(text, { message: 'the client did not send the whole body' })
  t.equal(body.received, false)
})

t.test('a broken connection does not break what was received', async t => {
  const source = new PassThrough()
  const body = new RequestBody(source)
  source.end('whole')
  t.equal(await collected(body), 'whole')
  source.destroy(new Error('reset'))
  source.on('error', () => undefined)
  await turn()
  t.equal(body.errored, null)
})

t.test('whoever reads a body may destroy it without touching the connection', async t => {
  const source = new PassThrough()
  const body = new RequestBody(source)
  body.resume()
  body.destroy()
  await turn()
  t.equal(source.destroyed, false)
  t.equal(source.isPaused(), true)
  source.write('more')
  t.equal(source.listenerCount('data'), 0)
})

const discarding = (source: PassThrough, limits?: { bytes: number; ms: number }): Promise<string> =>
  new Promise(resolve => {
    new RequestBody(source).discard(() => resolve('done'), limits)
  })

t.test('the rest of a body is thrown away until it ends', async t => {
  const source = new PassThrough()
  const done = discarding(source, { bytes: 1_000_000, ms: 3_600_000 })
  source.write('x'.repeat(10_000))
  source.end()
  t.equal(await done, 'done')
  t.equal(source.listenerCount('data'), 0)
})

t.test('… or its connection does', async t => {
  const source = new PassThrough()
  const done = discarding(source, { bytes: 1_000_000, ms: 3_600_000 })
  source.destroy()
  t.equal(await done, 'done')
})

t.test('… or it is more than a client is allowed', async t => {
  const source = new PassThrough()
  let isDone = false
  const done = discarding(source, { bytes: 100, ms: 3_600_000 }).then(() => (isDone = true))
  source.write('x'.repeat(100))
  await turn()
  t.equal(isDone, false)
  source.write('x')
  await done
  t.equal(source.readableEnded, false)
})

t.test('… or it takes longer', async t => {
  t.equal(await discarding(new PassThrough(), { bytes: 100, ms: 1 }), 'done')
})
