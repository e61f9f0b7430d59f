import { createHash, randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { kubectlAs, type Kubectl } from './kubectl.js'
import { needs } from './needs.js'
import { until } from './until.js'
import { inBothModes, world } from './world.js'

/** How kubectl upgrades: WebSocket is its default since 1.31, SPDY its fallback and its past. */
const transports = {
  WebSocket: { method: 'GET', env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'true' } },
  'SPDY/3.1': { method: 'POST', env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' } },
} as const

const decisions = { gateway: 'gateway_impersonating', caller: 'own_token' } as const

inBothModes(t, needs('nodes'), (t, gateway, mode) => {
  const kubectl = kubectlAs(t, 'alice', gateway)

  for (const [transport, { method, env }] of Object.entries(transports)) {
    t.test(`exec over ${transport}`, async t => {
      t.test('gives both outputs and the exit code', async t => {
        const script = 'echo to-out; echo to-err >&2; exit 7'
        t.same(await kubectl.runWith({ env }, 'exec', 'shell', '--', 'sh', '-c', script), {
          status: 7,
          out: 'to-out\n',
          err: 'to-err\ncommand terminated with exit code 7\n',
        })
        const path = '/api/v1/namespaces/default/pods/shell/exec'
        const line = await gateway.process.waitForLog(
          one => one['path'] === path && one['method'] === method && one['status'] === 101,
        )
        // Once the exit code is there, either end may go without another word: how it ended says nothing.
        t.match(line, { user: 'oidc:alice', decision: decisions[mode] })
      })

      t.test('ends the input of the command where that of kubectl ends', async t => {
        const said = await kubectl.runWith(
          { env, input: 'a\nb\n' },
          'exec',
          '-i',
          'shell',
          '--',
          'wc',
          '-l',
        )
        t.same(said, { status: 0, out: '2\n', err: '' })
      })

      t.test('carries 64 MiB of output, every byte of it', async t => {
        const size = 64 * 2 ** 20
        const content = patterned(size)
        writeFileSync(join(world().nodeFolder, 'large'), content)
        const run = kubectl.start({ env }, 'exec', 'shell', '--', 'cat', 'large')
        const hash = createHash('sha256')
        let bytes = 0
        run.child.stdout.removeAllListeners('data')
        run.child.stdout.on('data', (piece: Buffer) => {
          bytes += piece.length
          hash.update(piece)
        })
        const { status, err } = await run.ended
        t.same({ status, err, bytes }, { status: 0, err: '', bytes: size })
        t.equal(hash.digest('hex'), digest(content))
      })

      t.test('carries 64 MiB of input, every byte of it', async t => {
        const content = patterned(64 * 2 ** 20)
        const said = await kubectl.runWith(
          { env, input: content },
          'exec',
          '-i',
          'shell',
          '--',
          'sha256sum',
        )
        t.same(said, { status: 0, out: `${digest(content)}  -\n`, err: '' })
      })

      t.test('with a terminal, to a command that asks for one', async t => {
        // kwok drops what a terminal has not yet shown when its command ends, with or without a gateway.
        const said = await atTerminal(
          kubectl,
          env,
          'exec -it web -- sh -c "tty; stty size; sleep 1"',
        )
        t.match(said.replaceAll('\r', ''), /\/dev\/pts\/\d+\n\d+ \d+\n/)
      })

      t.test('cp copies there and back', async t => {
        await copiesBothWays(t, kubectl, env)
      })

      t.test('a refusal of the API server reaches kubectl as it was said', async t => {
        const bob = kubectlAs(t, 'bob', gateway)
        const { status, err } = await bob.runWith({ env }, 'exec', 'shell', '--', 'true')
        t.equal(status, 1)
        t.match(
          err,
          /^Error from server \(Forbidden\): pods "shell" is forbidden: User "oidc:bob" cannot (get|create) resource "pods\/exec" in API group "" in the namespace "default"/,
        )
        const missing = await kubectl.runWith({ env }, 'exec', 'nobody', '--', 'true')
        t.equal(missing.err, 'Error from server (NotFound): pods "nobody" not found\n')
      })
    })
  }

  t.test('a command that is told nothing for ten seconds is still there', async t => {
    const script = 'read line; echo "got $line"'
    const run = kubectl.start(
      { keepInputOpen: true },
      'exec',
      '-i',
      'shell',
      '--',
      'sh',
      '-c',
      script,
    )
    await new Promise(resolve => setTimeout(resolve, 10_000))
    run.child.stdin.end('it\n')
    t.same(await run.ended, { status: 0, out: 'got it\n', err: '' })
  })

  t.test('a command ends when its kubectl is gone', async t => {
    const script = 'echo started; cat; echo over > ended'
    const run = kubectl.start(
      { keepInputOpen: true },
      'exec',
      '-i',
      'shell',
      '--',
      'sh',
      '-c',
      script,
    )
    await run.until('started')
    run.child.kill('SIGKILL')
    await run.ended
    await until('none is open', async () => {
      return (await gateway.process.metric('gateway_open_streams{kind="exec"}')) === 0
    })
    t.pass('its stream through the gateway is closed')
  })

  t.test('twenty commands at once do not get into each other', async t => {
    const said = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        kubectl.runWith(
          { input: `${at}\n` },
          'exec',
          '-i',
          'shell',
          '--',
          'sh',
          '-c',
          'read a; echo "$a"',
        ),
      ),
    )
    t.same(
      said.map(({ out }) => out),
      Array.from({ length: 20 }, (_, at) => `${at}\n`),
    )
  })
})

async function copiesBothWays(t: Test, kubectl: Kubectl, env: Readonly<Record<string, string>>) {
  const name = `copied-${randomBytes(4).toString('hex')}`
  const content = randomBytes(3 * 2 ** 20)
  mkdirSync(join(kubectl.folder, name))
  writeFileSync(join(kubectl.folder, name, 'file'), content)
  const there = await kubectl.runWith({ env }, 'cp', name, `shell:${name}`)
  t.same(there, { status: 0, out: '', err: '' })
  t.ok(readFileSync(join(world().nodeFolder, name, 'file')).equals(content), 'it is there')
  const back = await kubectl.runWith({ env }, 'cp', `shell:${name}/file`, 'came-back')
  t.equal(back.status, 0)
  t.ok(readFileSync(join(kubectl.folder, 'came-back')).equals(content), 'it came back')
}

/** Runs kubectl as in a terminal window; what that shows. */
function atTerminal(
  { program, folder, kubeconfigFile }: Kubectl,
  env: Readonly<Record<string, string>>,
  command: string,
): Promise<string> {
  const all = { ...env, HOME: folder, KUBECONFIG: kubeconfigFile, PATH: process.env['PATH'] ?? '' }
  return new Promise((resolve, reject) => {
    execFile(
      'script',
      ['-qec', `${program} ${command}`, '/dev/null'],
      { env: all },
      (error, out) => (error ? reject(error) : resolve(out)),
    )
  })
}

const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex')

/** No two stretches of it are alike, so that none can be lost, doubled or swapped unseen. */
function patterned(size: number): Buffer {
  const content = Buffer.allocUnsafe(size)
  for (let at = 0; at < size; at += 8) content.writeDoubleLE(at, at)
  return content
}
