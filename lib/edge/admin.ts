import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One thing that must hold for the gateway to be ready. */
export interface Check {
  readonly name: string
  /** `undefined` when it holds, else why it does not. */
  fails(): string | undefined
}

export interface AdminOptions {
  readonly address: string
  /** 0 for any. */
  readonly port: number
  readonly ready: readonly Check[]
  /** Sentences that `/readyz?verbose` adds, such as the one about privileged mode, while they hold. */
  readonly remarks: ReadonlyArray<string | (() => string | undefined)>
  /** Further lines that `/readyz?verbose` adds, as things stand then. */
  readonly details?: () => readonly string[]
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
}

export interface Admin {
  readonly address: string
  readonly port: number
  close(): Promise<void>
}

/**
 * What operators ask the gateway itself, on a port of its own, plain HTTP: `/livez`, `/readyz` (and `/ready`),
 * `/metrics`. These exact paths; everything else is 404.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16 * 1024 })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(request, options).then(
      ({ status, type = 'text/plain; charset=utf-8', body }) => {
        response.writeHead(status, {
          'Content-Type': type,
          'Cache-Control': 'no-store',
          'X-Content-Type-Options': 'nosniff',
          'Content-Length': Buffer.byteLength(body),
        })
        response.end(request.method === 'HEAD' ? undefined : body)
      },
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.address, resolve)
  })
  const { address, port } = server.address() as AddressInfo
  return {
    address,
    port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string
}

async function answer(request: IncomingMessage, options: AdminOptions): Promise<Answer> {
  const [path, query] = (request.url ?? '').split('?', 2)
  if (!['/livez', '/readyz', '/ready', '/metrics'].includes(path ?? '')) {
    return { status: 404, body: 'not found\n' }
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'only GET and HEAD\n' }
  }
  if (path === '/livez') return { status: 200, body: 'ok\n' }
  if (path === '/metrics') {
    return { status: 200, type: options.metrics.contentType, body: await options.metrics.text() }
  }
  return readiness(options, new URLSearchParams(query).has('verbose'))
}

function readiness({ ready, remarks, details }: AdminOptions, verbose: boolean): Answer {
  const results = ready.map(check => ({ name: check.name, why: check.fails() }))
  const failed = results.some(({ why }) => why !== undefined)
  const status = failed ? 503 : 200
  if (!failed && !verbose) return { status, body: 'ok\n' }
  const lines = results.map(({ name, why }) =>
    why === undefined ? `[+]${name} ok` : `[-]${name} failed: ${why}`,
  )
  lines.push(
    ...(details?.() ?? []).map(detail => `[i]${detail}`),
    ...remarks
      .map(remark => (typeof remark === 'string' ? remark : remark()))
      .filter(remark => remark !== undefined)
      .map(remark => `[!]${remark}`),
    `readyz check ${failed ? 'failed' : 'passed'}`,
  )
  return { status, body: `${lines.join('\n')}\n` }
}
