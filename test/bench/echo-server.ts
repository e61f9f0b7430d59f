import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'

/*
 * The shell at the other end of an exec, in a process of its own: switches to whatever is asked for, and
 * says everything back.
 */

const [, , certFile = '', keyFile = ''] = process.argv
const end = '\r\n\r\n'

const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile), ALPNProtocols: ['http/1.1'] },
  socket => {
    let head = ''
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    const read = (chunk: Buffer): void => {
      head += chunk.toString('latin1')
      if (!head.includes(end)) return
      socket.off('data', read)
      const protocol = /^upgrade: (.+)$/im.exec(head)?.[1] ?? 'websocket'
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}${end}`,
      )
      socket.pipe(socket)
    }
    socket.on('data', read)
  },
)
server.listen(0, '127.0.0.1', () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
)
process.on('disconnect', () => process.exit())
