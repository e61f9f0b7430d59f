import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { ServerResponse } from 'node:http'
import { Pool, type Dispatcher } from 'undici'

/*
 * TLS, HTTP/1.1 in and out, and nothing decided: what is left when everything is taken out of the gateway
 * except the two libraries that it stands on. No failure is handled.
 */

const [, , port = '', upstreamPort = '', certFile = '', keyFile = '', caFile = ''] = process.argv
const pool = new Pool(`https://localhost:${upstreamPort}`, {
  pipelining: 1,
  headersTimeout: 0,
  bodyTimeout: 0,
  connect: { ca: readFileSync(caFile) },
})

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  onConnect(): void {}

  onHeaders(status: number, rawHeaders: readonly Buffer[]): boolean {
    this.#response.writeHead(status, rawHeaders.map(latin1))
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#response.write(chunk)
  }

  onComplete(): void {
    this.#response.end()
  }

  onError(): void {
    this.#response.destroy()
  }
}

const latin1 = (bytes: Buffer): string => bytes.toString('latin1')

createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile), noDelay: true },
  ({ url = '', method = '', rawHeaders }, response) => {
    const headers: string[] = []
    for (let at = 0; at < rawHeaders.length; at += 2) {
      if (rawHeaders[at] !== 'Host') headers.push(rawHeaders[at]!, rawHeaders[at + 1]!)
    }
    pool.dispatch({ path: url, method, headers, body: null }, new Relay(response))
  },
).listen(Number(port), '127.0.0.1')
