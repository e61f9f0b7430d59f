import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { upstreamHeaders } from '../../lib/upstream/headers.js'
import { byCaller, context } from './granted.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

/** Bytes in use once nothing more can be given back. */
const used = (): number => {
  gc()
  return process.memoryUsage().heapUsed
}

/** Made of bytes, so that no two names share any. */
const longName = (start: string): string =>
  Buffer.from(start.padEnd(64 * 1024, 'x')).toString('latin1')

const names = (name: string): readonly (string | undefined)[] =>
  upstreamHeaders(context({ headers: [[name, '1']] }), byCaller, undefined).filter(
    (_, at) => at % 2 === 0,
  )

t.test('long names that a client makes up are judged and not kept', async t => {
  names('x-first')
  const before = used()
  for (let at = 0; at < 600; at += 1) names(longName(`x-${at}-`))
  t.ok(used() - before < 8 * 1024 * 1024, 'of 38 MB')
  for (const start of ['Impersonate-Extra-', 'x_remote_', 'X-Forwarded-']) {
    t.strictSame(names(longName(start)), ['X-Forwarded-For', 'Audit-ID', 'Authorization'], start)
  }
  const passes = longName('X-')
  t.strictSame(names(passes), [passes, 'X-Forwarded-For', 'Audit-ID', 'Authorization'])
})
