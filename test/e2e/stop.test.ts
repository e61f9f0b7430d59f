import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { until } from './until.js'
import { modes, startInFront } from './world.js'

for (const mode of modes()) {
  t.test(
    `SIGTERM: watches end as if they were over, commands get to their end (${mode} mode)`,
    needs('nodes'),
    async t => {
      const flags = ['--shutdown-grace-period=20s']
      const gateway = await startInFront(t, { mode, flags })
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
      const pods = '/api/v1/namespaces/default/pods?watch=true'
      const type = 'application/vnd.kubernetes.protobuf'
      const events = gateway.as('alice').ask('GET', pods, { headers: { Accept: type } })
      await until(
        'both are open',
        async () => (await open('watch')) === 2 && (await open('exec')) === 1,
      )

      gateway.process.kill('SIGTERM')
      t.match(await watching.ended, { status: 0, err: '' })
      const answer = await events
      t.equal(answer.headers['content-type'], `${type};stream=watch`)
      t.equal(wholeMessages(answer.body), true, 'events that are no lines end whole, too')
      t.equal(await open('exec'), 1, 'the command is still there')
      command.child.stdin.end('it\n')
      t.match(await command.ended, { status: 4, out: 'got it\n' })
      t.same(await gateway.process.exited, { code: 0, signal: null })
    },
  )
}

/** Whether these are messages behind their length, and nothing half said. */
function wholeMessages(body: Buffer): boolean {
  let at = 0
  while (at + 4 <= body.length) at += 4 + body.readUInt32BE(at)
  return at === body.length && at > 0
}
