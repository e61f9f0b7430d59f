import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { run } from '../../cmd/demo.js'
import { unpackKubectl } from '../../lib/demo/kubectl.js'
import { kubectlWith } from './run-kubectl.js'

const main = new URL('../../cmd/main.ts', import.meta.url).pathname

interface Demo {
  readonly said: () => string
  /** Resolves with the exit status. */
  stop(signal: NodeJS.Signals): Promise<number | null>
}

async function startDemo(t: Test, ...args: readonly string[]): Promise<Demo> {
  const child = spawn(process.execPath, ['--import=tsx', main, 'demo', ...args])
  let said = ''
  const ended = once(child, 'close')
  const stop: Demo['stop'] = async signal => {
    child.kill(signal)
    await ended
    return child.exitCode
  }
  t.teardown(() => stop('SIGKILL'))
  await new Promise<void>(running => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString('utf8')
      if (said.includes('Requests that went through')) running()
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('close', () => running())
  })
  return { said: () => said, stop }
}

t.setTimeout(60_000)

t.test('everything the demo says to try does what it says', async t => {
  const folder = t.testdir({ demo: {}, home: {} })
  const demo = await startDemo(t, '--port=0', `--dir=${join(folder, 'demo')}`)
  t.match(demo.said(), 'The gateway is running.', 'it is up')
  t.match(demo.said(), 'an in-memory stand-in: not a cluster')
  const file = join(folder, 'demo', 'kubeconfig')
  t.equal((await stat(file)).mode & 0o777, 0o600)

  const kubectl = kubectlWith((await unpackKubectl()).kubectl, file, join(folder, 'home'))
  const kubectlSays = async (...args: readonly string[]): Promise<string> => {
    const { out, err } = await kubectl.run(...args)
    return out + err
  }
  t.equal(
    await kubectlSays('auth', 'whoami'),
    'ATTRIBUTE   VALUE\nUsername    alice\nGroups      [developers system:authenticated]\n',
  )
  t.match(await kubectlSays('get', 'pods'), /^web-7c5ddbdf54-4xk2p +1\/1 +Running +0 +3d$/m)
  const watching = kubectl.until('hello ', 'get', 'configmaps', '-w')
  t.equal(
    await kubectlSays('create', 'configmap', 'hello', '--from-literal=a=b'),
    'configmap/hello created\n',
  )
  t.match(await watching, /^hello +1 /m)
  t.equal(
    await kubectlSays('delete', 'configmap', 'hello'),
    'configmap "hello" deleted from default namespace\n',
  )
  t.match(await kubectlSays('--context=bob', 'get', 'pods'), 'worker-')
  t.equal(
    await kubectlSays('--context=bob', 'create', 'configmap', 'hello'),
    'error: failed to create configmap: configmaps is forbidden: User "bob" cannot create resource "configmaps" in API group "" in the namespace "default"\n',
  )
  const as = await kubectlSays('--context=bob', '--as=alice', 'auth', 'whoami')
  t.match(as, /^Warning: /m)
  t.match(as, /^Username +bob$/m)
  t.match(demo.said(), /  bob +403  POST /)

  t.equal(await demo.stop('SIGINT'), 0)
  t.strictSame((await readdir(join(folder, 'demo'))).toSorted(), [
    'ca.crt',
    'gateway.kubeconfig',
    'kubeconfig',
    'serving.crt',
    'serving.key',
  ])
})

t.test('a wrong command line is a line a fault, and status 2', async t => {
  const written = t.capture(process.stderr, 'write', () => true)
  t.equal(await run(['--port=x', '--context=prod']), 2)
  t.equal(await run(['--what']), 2)
  t.match(
    written().map(call => call.args[0]),
    [
      '--port: must be a port from 0 to 65535, not "x"\n',
      '--context: needs --kubeconfig\n',
      /^Unknown option '--what'.* \(--help lists the flags\)\n$/,
    ],
  )
})

t.test('a port that is asked for and taken is an error, not a surprise', async t => {
  const other = createServer()
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const address = other.address()
  const port = typeof address === 'object' && address ? address.port : 0
  await t.rejects(run([`--port=${port}`]), { code: 'EADDRINUSE' })
})
