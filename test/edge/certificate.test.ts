import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import t, { type Test } from 'tap'
import { facts, type Notice } from '../../lib/channels.js'
import {
  selfSignedPair,
  watchServingCertificate,
  type ServingCertificate,
  type ServingPair,
} from '../../lib/edge/certificate.js'
import { createAuthority } from '../actors/certificates.js'

const authority = createAuthority()
const [one, two] = [await authority.issue(), await authority.issue()]

const heard = (t: Test): Notice[] => {
  const notices: Notice[] = []
  t.teardown(facts.notice.subscribe(notice => notices.push(notice)))
  return notices
}

interface Subject {
  readonly serving: ServingCertificate
  readonly changes: ServingPair[]
  readonly notices: Notice[]
  readonly write: (name: 'cert' | 'key', content: string) => void
  /** Resolves once a notice with this sentence came. */
  readonly said: (msg: RegExp) => Promise<Notice>
}

function subject(t: Test): Subject {
  const folder = t.testdir({ cert: one.cert, key: one.key })
  const notices = heard(t)
  const changes: ServingPair[] = []
  const serving = watchServingCertificate({
    certFile: join(folder, 'cert'),
    keyFile: join(folder, 'key'),
    changed: pair => changes.push(pair),
    intervalMs: 10,
  })
  // The watchers' timers keep no process alive.
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => {
    clearInterval(alive)
    serving.close()
  })
  return {
    serving,
    changes,
    notices,
    write: (name, content) => writeFileSync(join(folder, name), content),
    said: msg =>
      new Promise(resolve => {
        const look = (notice: Notice): void => {
          if (!msg.test(notice.msg)) return
          stop()
          resolve(notice)
        }
        const stop = facts.notice.subscribe(look)
        const before = notices.find(notice => msg.test(notice.msg))
        if (before) look(before)
      }),
  }
}

t.test('a new pair is served once both files are there', async t => {
  const { serving, changes, notices, write, said } = subject(t)
  t.strictSame(serving.pair, one)
  write('cert', two.cert)
  t.match(await said(/do not match/), { level: 'warn' })
  t.strictSame(serving.pair, one, 'half a change keeps the last good pair')
  t.strictSame(changes, [])
  write('key', two.key)
  t.match(await said(/certificate reloaded/), {
    level: 'info',
    fields: { sha256: new X509Certificate(two.cert).fingerprint256 },
  })
  t.strictSame(serving.pair, two)
  t.strictSame(changes, [two])
  t.notMatch(JSON.stringify(notices), 'PRIVATE KEY')
})

t.test('garbage keeps the last good pair', async t => {
  const { serving, changes, write, said } = subject(t)
  write('key', 'garbage')
  await said(/do not match/)
  t.strictSame(serving.pair, one)
  t.strictSame(changes, [])
})

t.test('a pair that does not belong together cannot be served at all', async t => {
  const folder = t.testdir({ cert: one.cert, key: two.key })
  const changed = (): unknown => t.fail()
  const files = { certFile: join(folder, 'cert'), keyFile: join(folder, 'key') }
  t.throws(() => watchServingCertificate({ ...files, changed }), /key/)
  t.throws(() => watchServingCertificate({ ...files, keyFile: join(folder, 'none'), changed }), {
    code: 'ENOENT',
  })
})

t.test('without files there is a certificate of our own, for here and now', async t => {
  const notices = heard(t)
  const pair = await selfSignedPair('192.0.2.9')
  createSecureContext(pair)
  const certificate = new X509Certificate(pair.cert)
  for (const host of ['localhost']) t.equal(certificate.checkHost(host), host)
  for (const ip of ['127.0.0.1', '192.0.2.9']) t.equal(certificate.checkIP(ip), ip)
  t.ok(certificate.checkIP('::1'))
  t.equal(certificate.checkHost('example.com'), undefined)
  t.equal(certificate.ca, false)
  t.ok(certificate.verify(certificate.publicKey))
  t.ok(new Date(certificate.validFrom).getTime() < Date.now())
  t.ok(new Date(certificate.validTo).getTime() > Date.now() + 300 * 24 * 3_600_000)
  t.match(notices, [{ level: 'warn', fields: { sha256: certificate.fingerprint256 } }])
  t.notMatch(JSON.stringify(notices), 'PRIVATE')
  const other = await selfSignedPair('0.0.0.0')
  t.not(new X509Certificate(other.cert).serialNumber, certificate.serialNumber)
  t.notMatch(new X509Certificate(other.cert).subjectAltName, '0.0.0.0')
})
