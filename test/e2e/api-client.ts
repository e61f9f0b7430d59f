import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'

/** Whom a client comes as. */
export type Credential =
  { readonly cert: string; readonly key: string } | { readonly token: string }

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** As it came: nothing is decompressed. */
  readonly body: Buffer
  /** The body, parsed. */
  json(): unknown
}

export interface Asked {
  readonly headers?: OutgoingHttpHeaders
  /** An object goes as JSON. */
  readonly body?: object | Buffer
}

/** A plain HTTPS client of a Kubernetes API, for what kubectl does not show. */
export interface ApiClient {
  ask(method: string, path: string, asked?: Asked): Promise<Answer>
  /** @throws with the answer, unless it is a success */
  must(method: string, path: string, asked?: Asked): Promise<Answer>
  close(): void
}

export function apiClient(
  server: { readonly url: string; readonly ca: string },
  credential: Credential,
): ApiClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, ca: server.ca, ...tls(credential) })
  const ask: ApiClient['ask'] = (method, path, { headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const bytes = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      const asked = request(
        new URL(path, server.url),
        {
          agent,
          method,
          headers: {
            Accept: 'application/json',
            ...('token' in credential && { Authorization: `Bearer ${credential.token}` }),
            ...(bytes !== undefined && {
              'Content-Type': 'application/json',
              'Content-Length': Buffer.byteLength(bytes),
            }),
            ...headers,
          },
        },
        response => {
          const pieces: Buffer[] = []
          response.on('data', (piece: Buffer) => pieces.push(piece))
          response.once('error', reject)
          response.once('end', () => {
            const whole = Buffer.concat(pieces)
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: whole,
              json: () => JSON.parse(whole.toString()) as unknown,
            })
          })
        },
      )
      asked.once('error', reject)
      asked.end(bytes)
    })
  return {
    ask,
    async must(method, path, asked) {
      const answer = await ask(method, path, asked)
      if (answer.status < 300) return answer
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString()}`)
    },
    close: () => agent.destroy(),
  }
}

const tls = (credential: Credential): object =>
  'token' in credential ? {} : { cert: credential.cert, key: credential.key }
