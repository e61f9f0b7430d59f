import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { tunnel } from '../../lib/upstream/tunnel.js'
import { opened, tunnels } from './upgrade-subject.js'

const mebibyte = 1024 * 1024

for (const { tls: secure, endsWhenAsked, over } of tunnels) {
  t.test(
    `who goes while nothing is read from it is found out, and the other cut (${over})`,
    async t => {
      for (const who of ['client', 'API server']) {
        // What an API server said before it went is still there for a client that reads slowly.
        for (const halfClosed of who === 'client' ? [true, false] : [true]) {
          const { client, there, over } = await opened(t, {
            tls: secure,
            endsWhenAsked,
            lookMs: 50,
          })
          const [goes, stays] = who === 'client' ? [client, there] : [there, client]
          if (halfClosed) {
            goes.socket.end()
            await stays.gone
          } else {
            stays.socket.pause()
            void goes.write(Buffer.alloc(32 * mebibyte))
            await pause(300)
          }
          goes.reset()
          const ended = who === 'client' ? 'client_gone' : 'upstream_broke'
          t.match(await over(), { status: 101, ended }, `${who}, ${String(halfClosed)}`)
          stays.socket.resume()
          await stays.gone
        }
      }
    },
  )
}

t.test('who takes no more of the last words of a client that broke off is cut', async t => {
  const client = new Duplex({ read: () => undefined, write: () => undefined })
  const upstream = new Duplex({ read: () => undefined, write: () => undefined })
  const cut = (): void => void upstream.destroy()
  const over = tunnel({ stream: client, cut: () => undefined }, { stream: upstream, cut })
  client.push('last words')
  client.push(null)
  await once(client, 'end')
  client.destroy()
  // The timer keeps no process alive; the test must.
  const alive = setInterval(() => undefined, 1_000)
  t.strictSame(await over, { bytes: 0, broken: 'client' })
  clearInterval(alive)
})

t.test('an API server that is gone is read to its end', async t => {
  const noPeer = { _handle: { getpeername: () => -107 } }
  const upstream = Object.assign(new Duplex({ read: () => undefined }), noPeer)
  const pieces: Buffer[] = []
  const client = new Duplex({
    read: () => undefined,
    write: (piece: Buffer, _, done) => {
      pieces.push(piece)
      done()
    },
  })
  const over = tunnel(
    { stream: client, cut: () => void client.destroy() },
    { stream: upstream, cut: () => void upstream.destroy() },
    { lookMs: 5 },
  )
  await pause(100)
  t.equal(upstream.destroyed, false)
  upstream.push('exit code')
  upstream.push(null)
  // As above: the clock of the tunnel keeps no process alive.
  const alive = setInterval(() => undefined, 1_000)
  t.strictSame(await over, { bytes: 9, broken: 'upstream' })
  clearInterval(alive)
  t.equal(Buffer.concat(pieces).toString(), 'exit code')
})
