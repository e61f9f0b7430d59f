import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Authority } from '../actors/certificates.js'
import type { Teardown } from '../actors/files.js'

/** A server that nobody has any business with. */
export interface Bystander {
  readonly url: string
  /** What came to it: `connection`, and then the path of each request. */
  readonly seen: readonly string[]
}

/**
 * Starts one that whoever trusts `authority` would trust too, and that answers every request with `answer`: so
 * that what keeps the gateway away is that it does not go there.
 */
export async function startBystander(
  t: Teardown,
  authority: Authority,
  answer: () => object = () => ({}),
): Promise<Bystander> {
  const seen: string[] = []
  const open = new Set<Socket>()
  const server = createServer(await authority.issue(), (request, response) => {
    seen.push(request.url ?? '')
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(answer()))
  })
  server.on('connection', (socket: Socket) => {
    seen.push('connection')
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of open) socket.destroy()
    await closed
  })
  return { url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`, seen }
}
