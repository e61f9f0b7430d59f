import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { kubectlAs, type Ongoing } from './kubectl.js'
import { needs } from './needs.js'
import { until } from './until.js'
import { inBothModes } from './world.js'

const transports = {
  WebSocket: { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'true' },
  'SPDY/3.1': { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' },
} as const

inBothModes(t, needs('nodes'), (t, gateway) => {
  const kubectl = kubectlAs(t, 'alice', gateway)

  for (const [transport, env] of Object.entries(transports)) {
    t.test(`port-forward over ${transport}`, async t => {
      const forwarding = kubectl.start({ env }, 'port-forward', 'pod/web', ':80')
      const port = await portOf(forwarding)

      t.test('carries ten connections at once, 16 MiB each way', async t => {
        const contents = Array.from({ length: 10 }, (_, at) => filledWith(at, 16 * 2 ** 20))
        const came = await Promise.all(contents.map(content => echoed(port, content)))
        t.same(came, contents.map(digest))
      })

      t.test('and after those, a hundred more, one after another', async t => {
        for (let at = 0; at < 100; at += 1) {
          const content = filledWith(at, 1_000 + at)
          if ((await echoed(port, content)) !== digest(content)) t.fail(`connection ${at}`)
        }
        t.equal(await gateway.process.metric('gateway_open_streams{kind="portforward"}'), 1)
      })

      await t.test('its end ends the stream through the gateway', async t => {
        await forwarding.stop()
        await until('none is open', async () => {
          return (await gateway.process.metric('gateway_open_streams{kind="portforward"}')) === 0
        })
        t.pass('none is open')
      })
    })

    t.test(`port-forward over ${transport} is refused to who may not`, async t => {
      const bob = kubectlAs(t, 'bob', gateway)
      const { status, err } = await bob.runWith({ env }, 'port-forward', 'pod/web', ':80')
      t.equal(status, 1)
      t.match(err, /User "oidc:bob" cannot (get|create) resource "pods\/portforward"/)
    })
  }
})

async function portOf(forwarding: Ongoing): Promise<number> {
  const said = await forwarding.until('Forwarding from 127.0.0.1:')
  return Number(/127\.0\.0\.1:(\d+)/.exec(said)?.[1])
}

/** What comes back, as a digest, once as much has come back as was sent. */
async function echoed(port: number, content: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const hash = createHash('sha256')
  let bytes = 0
  const whole = new Promise<void>((resolve, reject) => {
    socket.on('data', (piece: Buffer) => {
      hash.update(piece)
      bytes += piece.length
      if (bytes >= content.length) resolve()
    })
    socket.once('error', reject)
    socket.once('close', () =>
      reject(new Error(`closed after ${bytes} of ${content.length} bytes`)),
    )
  })
  socket.write(content)
  await whole
  socket.destroy()
  return hash.digest('hex')
}

const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex')

function filledWith(seed: number, size: number): Buffer {
  const content = Buffer.alloc(size)
  for (let at = 0; at + 8 <= size; at += 8) content.writeDoubleLE(at + seed / 16, at)
  return content
}
