import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { modes, startInFront, world } from './world.js'

const program = world().otherKubectl
const skip =
  program === undefined
    ? 'there is no kubectl of another version on PATH'
    : needs('self-subject-review', 'nodes').skip

for (const mode of modes()) {
  t.test(`a kubectl of another version finds its way (${mode} mode)`, { skip }, async t => {
    const gateway = await startInFront(t, { mode })
    const kubectl = kubectlAs(t, 'alice', gateway, program === undefined ? {} : { program })
    t.match((await kubectl.run('auth', 'whoami')).out, /^Username +oidc:alice$/m)
    t.match((await kubectl.run('get', 'pods')).out, /^web +1\/1 +Running /m)
    t.match(await kubectl.run('create', 'configmap', 'by-another'), { status: 0 })
    t.match(await kubectl.run('delete', 'configmap', 'by-another'), { status: 0 })
    t.equal((await kubectl.run('logs', 'web', '--tail=1')).status, 0)
    for (const webSockets of ['true', 'false']) {
      const env = {
        KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets,
        KUBECTL_PORT_FORWARD_WEBSOCKETS: webSockets,
      }
      const script = 'cat; exit 5'
      const said = await kubectl.runWith(
        { env, input: 'hi\n' },
        'exec',
        '-i',
        'shell',
        '--',
        'sh',
        '-c',
        script,
      )
      t.same(said, { status: 5, out: 'hi\n', err: 'command terminated with exit code 5\n' })
      const forwarding = kubectl.start({ env }, 'port-forward', 'pod/web', ':80')
      await forwarding.until('Forwarding from 127.0.0.1:')
      await forwarding.stop()
    }
  })
}
