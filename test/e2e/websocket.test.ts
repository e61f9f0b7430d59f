import t from 'tap'
import { Agent, WebSocket } from 'undici'
import { needs } from './needs.js'
import { inBothModes, world } from './world.js'

inBothModes(t, needs('nodes'), (t, gateway) => {
  t.test('a browser without headers of its own execs with its token as a subprotocol', async t => {
    const dispatcher = new Agent({ connect: { ca: gateway.ca } })
    t.teardown(() => dispatcher.destroy())
    const bearer = Buffer.from(world().tokens.alice).toString('base64url')
    const query = new URLSearchParams({ stdout: 'true', stderr: 'true' })
    for (const word of ['sh', '-c', 'echo out; echo err >&2; exit 3']) query.append('command', word)
    const socket = new WebSocket(
      `${gateway.url.replace('https', 'wss')}/api/v1/namespaces/default/pods/shell/exec?${query.toString()}`,
      {
        protocols: [`base64url.bearer.authorization.k8s.io.${bearer}`, 'v5.channel.k8s.io'],
        dispatcher,
      },
    )
    socket.binaryType = 'arraybuffer'
    const channels = new Map<number, string>()
    const closed = new Promise<void>((resolve, reject) => {
      socket.addEventListener('message', ({ data }) => {
        const bytes = Buffer.from(data as ArrayBuffer)
        const channel = bytes[0] ?? -1
        channels.set(channel, (channels.get(channel) ?? '') + bytes.subarray(1).toString())
      })
      socket.addEventListener('error', () => reject(new Error('the WebSocket failed')))
      socket.addEventListener('close', () => resolve())
    })
    await closed
    t.equal(socket.protocol, 'v5.channel.k8s.io')
    t.equal(channels.get(1), 'out\n')
    t.equal(channels.get(2), 'err\n')
    t.match(JSON.parse(channels.get(3) ?? ''), {
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    })
    const line = await gateway.process.waitForLog(one => String(one['path']).endsWith('/exec'))
    t.match(line, { user: 'oidc:alice', status: 101 })
    t.notMatch(JSON.stringify(gateway.process.logs), bearer)
  })
})
