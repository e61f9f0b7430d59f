import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { until } from './until.js'
import { startInFront } from './world.js'

t.test('SIGTERM: watches end as if they were over, commands get to their end', async t => {
  const flags = ['--shutdown-grace-period=20s']
  const gateway = await startInFront(t, { mode: 'gateway', flags })
  const kubectl = kubectlAs(t, 'alice', gateway)
  const open = (kind: string): Promise<number | undefined> =>
    gateway.process.metric(`gateway_open_streams{kind="${kind}"}`)
  const watching = kubectl.start({}, 'get', 'pods', '-w')
  const script = 'read line; echo "got $line"; exit 4'
  const command = kubectl.start(
    { keepInputOpen: true },
    'exec',
    '-i',
    'shell',
    '--',
    'sh',
    '-c',
    script,
  )
  await until(
    'both are open',
    async () => (await open('watch')) === 1 && (await open('exec')) === 1,
  )

  gateway.process.kill('SIGTERM')
  t.match(await watching.ended, { status: 0, err: '' })
  t.equal(await open('exec'), 1, 'the command is still there')
  command.child.stdin.end('it\n')
  t.match(await command.ended, { status: 4, out: 'got it\n' })
  t.same(await gateway.process.exited, { code: 0, signal: null })
})
