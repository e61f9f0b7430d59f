import { connect, type TLSSocket } from 'node:tls'
import type { World } from './world.js'

/**
 * A client for tests that ask thousands of times: it sends a GET that is always the same but for its token, and
 * knows of an answer no more than its status and where it ends. A whole HTTP client would take as long as the gateway.
 */
export interface BusyClient {
  /** The status of the answer. Rejects when there is none. */
  ask(path: string, token: string): Promise<number>
  close(): void
}

/** @param most connections open at a time; those who find none idle wait */
export function createBusyClient({ port, ca }: World['target'], most = 48): BusyClient {
  const idle: Connection[] = []
  const waiting: Asked[] = []
  const open = new Set<Connection>()
  const free = (connection: Connection): void => {
    const next = waiting.shift()
    if (next === undefined) idle.push(connection)
    else connection.send(next)
  }
  const lost = (connection: Connection): void => {
    open.delete(connection)
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    const next = waiting.shift()
    if (next !== undefined) start().send(next)
  }
  const start = (): Connection => {
    const socket = connect({ port, ca, host: '127.0.0.1', servername: 'localhost' })
    const connection = openConnection(socket, free, lost)
    open.add(connection)
    return connection
  }
  return {
    ask: (path, token) =>
      new Promise((resolve, reject) => {
        const text = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`
        const asked = { text, resolve, reject }
        const connection = idle.pop() ?? (open.size < most ? start() : undefined)
        if (connection === undefined) waiting.push(asked)
        else connection.send(asked)
      }),
    close: () => {
      for (const connection of open) connection.close()
    },
  }
}

interface Asked {
  readonly text: string
  readonly resolve: (status: number) => void
  readonly reject: (error: Error) => void
}

interface Connection {
  send(asked: Asked): void
  close(): void
}

function openConnection(
  socket: TLSSocket,
  free: (connection: Connection) => void,
  lost: (connection: Connection) => void,
): Connection {
  let current: Asked | undefined
  let received = ''
  const connection: Connection = {
    send: asked => {
      current = asked
      socket.write(asked.text, 'latin1')
    },
    close: () => socket.destroy(),
  }
  socket.setNoDelay(true)
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    if (!isWhole(received)) return
    const status = Number(received.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length))
    received = ''
    const answered = current
    current = undefined
    answered?.resolve(status)
    free(connection)
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    current?.reject(new Error('the connection ended before the answer'))
    lost(connection)
  })
  return connection
}

/** Answers come one at a time: whatever follows the head is the body, and ends with what came. */
function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1]
  return length === undefined
    ? received.endsWith('\r\n0\r\n\r\n')
    : received.length >= end + 4 + Number(length)
}
