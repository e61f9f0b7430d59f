import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Authority } from '../actors/certificates.js'
import type { Signer } from './tokens.js'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** An issuer on a real socket that says what it is told to. */
export interface HttpsIssuer {
  readonly url: string
  /** Paths asked for. */
  readonly asked: string[]
  publish(...signers: readonly Signer[]): void
  /** Answers a path in this way. */
  on(path: string, answer: Answer): void
  close(): Promise<void>
}

export const json =
  (value: unknown): Answer =>
  (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(value))
  }

export async function startHttpsIssuer(authority: Authority, port = 0): Promise<HttpsIssuer> {
  const asked: string[] = []
  const answers = new Map<string, Answer>()
  const server = createServer(await authority.issue(), (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const answer = answers.get(path)
    if (answer !== undefined) return answer(request, response)
    response.statusCode = 404
    response.end()
  })
  // Clients that do not trust us hang up.
  server.on('tlsClientError', () => {})
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  // The address of a listening TCP server is an object.
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  answers.set('/.well-known/openid-configuration', json({ issuer: url, jwks_uri: `${url}/keys` }))
  return {
    url,
    asked,
    publish: (...signers) =>
      void answers.set('/keys', json({ keys: signers.map(signer => signer.jwk) })),
    on: (path, answer) => void answers.set(path, answer),
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
