import { spawn } from 'node:child_process'
import t from 'tap'
import { facts } from '../../lib/channels.js'
import type { HeaderList } from '../../lib/exchange.js'
import { Grant } from '../../lib/grant.js'
import type { Identity } from '../../lib/identity.js'
import { createLog, type LogOptions } from '../../lib/observe/log.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'
import { context, exchange } from './fixtures.js'

const alice: Identity = { username: 'José ✓', groups: ['dev', 'ops'], extra: {} }
const time = '2025-11-22T03:04:05.678Z'
const auditID = '6e8f9f0e-6a0f-4a86-b8c5-6ba2d4b0b0a1'

async function logged(
  level: LogOptions['level'],
  happen: () => void,
): Promise<{ readonly lines: unknown[]; readonly text: string }> {
  let text = ''
  const destination = { write: (line: string) => (text += line) }
  const log = createLog({ level, destination, now: () => Date.parse(time) })
  happen()
  await log.close()
  const lines: unknown[] = text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line))
  return { lines, text }
}

t.test('an exchange is one line that says who did what and why it was let through', async t => {
  const { lines, text } = await logged('info', () =>
    facts.exchange.publish(
      exchange({
        context: context('GET', '/api/v1/namespaces/a/pods/b/log?follow=true', [
          ['Host', 'gateway'],
          ['USER-AGENT', 'kubectl/v1.35.2 (linux/amd64) kubernetes/abcdef0'],
          ['User-Agent', 'another'],
        ]),
        identity: alice,
        grant: Grant.byGateway(alice),
      }),
    ),
  )
  t.same(lines, [
    {
      level: 'info',
      time,
      auditID,
      method: 'GET',
      path: '/api/v1/namespaces/a/pods/b/log',
      verb: 'get',
      resource: 'pods',
      subresource: 'log',
      protocol: 'HTTP/2.0',
      peer: '192.0.2.7',
      user: 'José ✓',
      groups: 2,
      decision: 'gateway_impersonating',
      status: 200,
      durationMs: 12.35,
      bytes: 1234,
      ended: 'complete',
      userAgent: 'kubectl/v1.35.2 (linux/amd64) kubernetes/abcdef0',
      msg: 'request',
    },
  ])
  t.equal(text.split('\n').length, 2)
})

t.test('a refused exchange says its reason, and its detail where there is more to say', async t => {
  const refused = {
    level: 'info',
    time,
    auditID,
    method: 'DELETE',
    path: '/version',
    verb: 'delete',
    protocol: 'HTTP/2.0',
    peer: '192.0.2.7',
    decision: 'refused',
    status: 401,
    reason: 'token_expired',
    durationMs: 12.35,
    bytes: 1234,
    ended: 'complete',
    msg: 'request',
  }
  const { lines } = await logged('info', () => {
    for (const refusal of [
      new Refusal('token_expired'),
      new Refusal('token_expired', 'exp 5 is over'),
      new Refusal('token_expired', undefined, {
        cause: Object.assign(new TypeError('outer', { cause: 'a text' }), {
          code: 'E_X',
          secret: 1,
        }),
      }),
    ]) {
      facts.exchange.publish(
        exchange({ context: context('DELETE', '/version?a=b'), refusal }, { status: 401 }),
      )
    }
  })
  t.same(lines, [
    refused,
    { ...refused, detail: 'exp 5 is over' },
    {
      ...refused,
      error: {
        type: 'TypeError',
        message: 'outer',
        code: 'E_X',
        cause: { type: 'string', message: 'a text' },
      },
    },
  ])
})

t.test('a mistake of ours is an error with its stack, at every level', async t => {
  for (const level of ['info', 'error'] as const) {
    const { lines } = await logged(level, () => {
      const refusal = Refusal.from(new RangeError('oops'))
      facts.exchange.publish(exchange({ context: context('GET', '/'), refusal }, { status: 500 }))
      facts.exchange.publish(
        exchange({ context: context('GET', '/'), refusal: new Refusal('invariant', 'two users') }),
      )
    })
    t.match(lines, [
      {
        level: 'error',
        reason: 'internal',
        status: 500,
        error: { type: 'RangeError', message: 'oops', stack: /RangeError: oops\n.+log\.test\.ts/ },
      },
      {
        level: 'error',
        reason: 'invariant',
        detail: 'two users',
        error: { type: 'Refusal', message: 'two users', stack: /log\.test\.ts/ },
      },
    ])
    t.equal(lines.length, 2)
  }
})

t.test('what never became a request has its line too', async t => {
  const { lines } = await logged('info', () =>
    facts.malformed.publish({
      id: auditID,
      address: '192.0.2.7',
      refusal: new Refusal('request_framing', 'two lengths'),
    }),
  )
  t.same(lines, [
    {
      level: 'info',
      time,
      auditID,
      peer: '192.0.2.7',
      decision: 'refused',
      status: 400,
      reason: 'request_framing',
      detail: 'two lengths',
      msg: 'request',
    },
  ])
})

t.test('a notice is its sentence and its fields', async t => {
  const { lines } = await logged('info', () => {
    facts.notice.publish({ level: 'debug', msg: 'unheard' })
    facts.notice.publish({ level: 'info', msg: 'listening', fields: { port: 8443 } })
    facts.notice.publish({
      level: 'warn',
      msg: 'failed',
      fields: {
        error: new Error('no', { cause: new Error('really') }),
        token: new Secret('s3cret', 'token'),
      },
    })
    facts.notice.publish({ level: 'error', msg: 'bare' })
  })
  t.same(lines, [
    { level: 'info', time, port: 8443, msg: 'listening' },
    {
      level: 'warn',
      time,
      error: { type: 'Error', message: 'no', cause: { type: 'Error', message: 'really' } },
      token: '[token]',
      msg: 'failed',
    },
    { level: 'error', time, msg: 'bare' },
  ])
})

t.test('access lines are written from level info down', async t => {
  const counts: number[] = []
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    counts.push((await logged(level, oneOfEach)).lines.length)
  }
  t.same(counts, [2, 2, 0, 0])
})

t.test('a token in any header, in the query or in the path never reaches the log', async t => {
  const token = [
    Buffer.from('{"alg":"RS256"}').toString('base64url'),
    Buffer.from('{"sub":"alice"}').toString('base64url'),
    Buffer.alloc(256, 7).toString('base64url'),
  ].join('.')
  const names = ['Authorization', 'Cookie', 'X-Anything', 'Sec-WebSocket-Protocol', 'User-Agent']
  const headers: HeaderList = names.map(name => [name, `Bearer ${token}`])
  const { text, lines } = await logged('debug', () => {
    for (const [method, target] of [
      ['GET', `/api?token=${token}`],
      ['GET', `/api/${token}/x`],
      ['GET', `/api/v1/${token}/x/${token}`],
      [token, '/api'],
    ] as const) {
      facts.exchange.publish(
        exchange({
          context: context(method, target, headers),
          refusal: new Refusal('internal', `saw ${token}`, {
            cause: new Error(token, { cause: token }),
          }),
        }),
      )
    }
  })
  t.equal(lines.length, 4)
  for (const part of token.split('.')) t.notOk(text.includes(part), part)
  t.match(lines, [
    { path: '/api', userAgent: 'Bearer [token]', detail: 'saw [token]' },
    { path: '/api/[token]/x', userAgent: 'Bearer [token]' },
    { path: '/api/v1/[token]/x/[token]', resource: '[token]', subresource: '[token]' },
    { path: '/api' },
  ])
})

t.test('what a client wrote is bounded, and stays on its line', async t => {
  const { lines } = await logged('info', () => {
    for (const [method, target] of [
      ['GET', `/${'a'.repeat(5000)}`],
      ['C'.repeat(5000), `/api/v1/${'d'.repeat(5000)}/x/${'e'.repeat(5000)}`],
    ] as const) {
      const headers = [['User-Agent', 'b"\n{}'.repeat(1000)]] as const
      facts.exchange.publish(exchange({ context: context(method, target, headers) }))
    }
  })
  t.match(lines, [
    { path: `/${'a'.repeat(1023)}…`, userAgent: `${'b"\n{}'.repeat(52).slice(0, 256)}…` },
    {
      method: `${'C'.repeat(32)}…`,
      resource: `${'d'.repeat(256)}…`,
      subresource: `${'e'.repeat(256)}…`,
    },
  ])
  t.equal(lines.length, 2)
})

t.test('after close nothing is heard', async t => {
  let text = ''
  const log = createLog({ level: 'info', destination: { write: line => (text += line) } })
  await log.close()
  facts.notice.publish({ level: 'error', msg: 'late' })
  t.same([text, facts.exchange.heard, facts.notice.heard], ['', false, false])
})

t.test('every line is on standard error when the process exits, however it ends', async t => {
  for (const end of ['await log.close()', 'log.flush()']) {
    const child = spawn(
      process.execPath,
      ['--import=tsx', '--input-type=module', '--eval', script(end)],
      { stdio: ['ignore', 'ignore', 'pipe'], cwd: new URL('../..', import.meta.url).pathname },
    )
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const code = await new Promise(resolve => child.on('close', resolve))
    const numbers = text
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as { readonly n: number }).n)
    t.same([code, numbers], [0, Array.from({ length: 5000 }, (_, n) => n)], end)
  }
})

t.test('a line that comes while another is being written does not wait for a third', async t => {
  const child = spawn(
    process.execPath,
    ['--import=tsx', '--input-type=module', '--eval', twoLines],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: new URL('../..', import.meta.url).pathname },
  )
  const closed = new Promise(resolve => child.once('close', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await closed
  })
  let text = ''
  await new Promise<void>(resolve => {
    child.once('close', () => resolve())
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('second')) resolve()
    })
  })
  t.same(
    text.split('\n').map(line => (line === '' ? line : (JSON.parse(line) as { msg: string }).msg)),
    ['first', 'second', ''],
  )
})

const twoLines = `
  import { facts } from './lib/channels.js'
  import { createLog } from './lib/observe/log.js'
  createLog({ level: 'info' })
  facts.notice.publish({ level: 'info', msg: 'first' })
  facts.notice.publish({ level: 'info', msg: 'second' })
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 10_000)`

function oneOfEach(): void {
  facts.exchange.publish(exchange({ context: context('GET', '/') }))
  facts.malformed.publish({ id: 'x', address: '::1', refusal: new Refusal('request_target') })
}

function script(end: string): string {
  return `
    import { facts } from './lib/channels.js'
    import { createLog } from './lib/observe/log.js'
    const log = createLog({ level: 'info' })
    for (let n = 0; n < 5000; n++) facts.notice.publish({ level: 'info', msg: 'line', fields: { n } })
    ${end}
    process.exit(0)`
}
