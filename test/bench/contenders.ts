import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer, connect, type AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { World } from './world.js'

/** Something that answers the requests of the bench. */
export interface Contender {
  readonly name: string
  readonly port: number
  /** The process whose CPU time counts; absent where there is none between client and API server. */
  readonly pid?: number
  /** Whether it verifies tokens. */
  readonly verifies: boolean
  /** Whether it takes part in the rounds over HTTP/2. */
  readonly multiplexes: boolean
  close(): Promise<void>
}

export interface Setting {
  readonly world: World
  /** Port of the API server, on loopback. */
  readonly upstreamPort: number
  /** Path of the gateway's program. */
  readonly program: string
}

/** The API server, with nobody in between. */
export const direct = ({ upstreamPort }: Setting): Contender => ({
  name: 'direct',
  port: upstreamPort,
  verifies: false,
  multiplexes: false,
  close: () => Promise.resolve(),
})

/** The gateway as it runs in production, forwarding the caller's token and `Impersonate-*`. */
export async function gateway(
  { world, upstreamPort, program }: Setting,
  { name, logLevel }: { readonly name: string; readonly logLevel: string },
): Promise<Contender> {
  const { files, issuerUrl, audience } = world
  const server = `https://localhost:${upstreamPort}`
  const kubeconfig = await world.write(
    'kubeconfig',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'bench', cluster: { server, 'certificate-authority': files.ca } }],
      users: [],
      contexts: [{ name: 'bench', context: { cluster: 'bench', user: '' } }],
      'current-context': 'bench',
    }),
  )
  const [port, adminPort] = [await freePort(), await freePort()]
  const log = await world.write(`${name}.log`, '')
  const flags = [
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--admin-port=${adminPort}`,
    `--tls-cert-file=${files.cert}`,
    `--tls-private-key-file=${files.key}`,
    `--oidc-issuer-url=${issuerUrl}`,
    `--oidc-ca-file=${files.ca}`,
    `--oidc-client-id=${audience}`,
    '--oidc-username-claim=sub',
    '--oidc-username-prefix=-',
    '--oidc-groups-claim=groups',
    `--kubeconfig=${kubeconfig}`,
    '--impersonation=always',
    `--log-level=${logLevel}`,
    '--shutdown-grace-period=1s',
  ]
  const child = run(process.execPath, [...nodeFlags(), program, 'serve', ...flags], log)
  await until(child, log, async () => {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined)
    return answer?.ok ?? false
  })
  return { name, port, ...measured(child), verifies: true, multiplexes: true }
}

/** As the image starts it. */
function nodeFlags(): readonly string[] {
  const image = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8')
  const entry = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(image)?.[1] ?? '[]') as readonly string[]
  return entry.filter(word => word.startsWith('--'))
}

/**
 * What `node:https` and undici cost when nobody decides anything in between: the floor under the
 * gateway, and no gateway.
 */
export async function bareNode({ world, upstreamPort }: Setting): Promise<Contender> {
  const { files } = world
  const port = await freePort()
  const log = await world.write('node.log', '')
  const script = fileURLToPath(new URL('./bare-node.ts', import.meta.url))
  const args = [String(port), String(upstreamPort), files.cert, files.key, files.ca]
  const child = run(process.execPath, [...nodeFlags(), '--import=tsx', script, ...args], log)
  await until(child, log, () => answers(port))
  return { name: 'bare node', port, ...measured(child), verifies: false, multiplexes: false }
}

/**
 * HAProxy with `jwt_verify`: the same checks of a token, without a memory, and the same headers, as
 * cheaply as its configuration can say it. One issuer key that never changes, no name that is odd or
 * reserved: half of the gateway's job.
 */
export async function haproxy(
  { world, upstreamPort }: Setting,
  { name, accessLog }: { readonly name: string; readonly accessLog: boolean },
): Promise<Contender> {
  const { files, issuerUrl, audience } = world
  const port = await freePort()
  const claim = (path: string): string => `var(txn.claims),json_query('${path}')`
  const log = await world.write(`${name}.log`, '')
  const config = await world.write(
    `${name}.cfg`,
    `global
  nbthread 1
  maxconn 1024
  ${accessLog ? 'log stdout format raw local0' : ''}
defaults
  mode http
  timeout connect 10s
  timeout client 90s
  timeout server 90s
  timeout http-keep-alive 90s
  option http-keep-alive
  http-reuse always
frontend client
  bind 127.0.0.1:${port} ssl crt ${files.servingBundle} alpn h2,http/1.1
  ${accessLog ? `log global\n  log-format '${haproxyLine}'` : ''}
  http-request capture req.hdr(User-Agent) len 256
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.claims) var(txn.token),field(2,.),ub64dec
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { ${claim('$.iss')} -m str ${issuerUrl} }
  http-request deny deny_status 401 unless { ${claim('$.aud')} -m str ${audience} }
  http-request set-var(txn.now) date()
  http-request set-var(txn.left) var(txn.claims),json_query('$.exp','int'),sub(txn.now)
  http-request deny deny_status 401 unless { var(txn.left) -m int gt 0 }
  http-request deny deny_status 401 unless { var(txn.token),jwt_verify(txn.alg,"${files.issuerPublicKey}") -m int 1 }
  http-request set-var(txn.user) ${claim('$.sub')}
  http-request del-header Impersonate- -m beg
  http-request set-header Impersonate-User %[var(txn.user)]
  http-request add-header Impersonate-Group %[${claim('$.groups[0]')}]
  http-request add-header Impersonate-Group %[${claim('$.groups[1]')}]
  http-request set-header X-Forwarded-For %[src]
  default_backend api
backend api
  server api 127.0.0.1:${upstreamPort} ssl verify required ca-file ${files.ca} sni str(localhost) verifyhost localhost alpn http/1.1
`,
  )
  const child = run('haproxy', ['-db', '-f', config], log)
  await until(child, log, () => answers(port))
  return { name, port, ...measured(child), verifies: true, multiplexes: true }
}

/** Much the same fields as the gateway's access line. */
const haproxyLine = [
  '{"level":"info","time":"%T","msg":"request","method":"%HM","path":"%HP","protocol":"%HV"',
  '"peer":"%ci","user":"%[var(txn.user)]","status":%ST,"durationMs":%Ta,"bytes":%B,"ended":"%ts"',
  '"userAgent":"%[capture.req.hdr(0)]"}',
].join(',')

/** nginx with TLS on both sides, and nothing else. */
export async function nginx({ world, upstreamPort }: Setting): Promise<Contender> {
  const { files, folder } = world
  const port = await freePort()
  await mkdir(`${folder}/nginx`)
  const config = await world.write(
    'nginx/nginx.conf',
    `daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${kind};`).join(' ')}
  upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${files.cert};
    ssl_certificate_key ${files.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    keepalive_requests 1000000000;
    location / {
      proxy_pass https://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${files.ca};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
    }
  }
}
`,
  )
  const log = await world.write('nginx.log', '')
  const child = run('nginx', ['-p', `${dirname(config)}/`, '-e', 'stderr', '-c', config], log)
  await until(child, log, () => answers(port))
  return { name: 'nginx', port, ...measured(child), verifies: false, multiplexes: false }
}

/** What a program says of its version; `undefined` where it is not installed. */
export function versionOf(command: string): string | undefined {
  try {
    // nginx says it on standard error.
    const said = execFileSync('sh', [
      '-c',
      `command -v ${command} >/dev/null && ${command} -v 2>&1`,
    ])
    return /\d+\.\d+[\d.]*/.exec(said.toString())?.[0]
  } catch {
    return undefined
  }
}

/** Standard output and error go to a file: a terminal would be part of the measurement. */
function run(command: string, args: readonly string[], log: string): ChildProcess {
  const fd = openSync(log, 'a')
  try {
    return spawn(command, args, { stdio: ['ignore', fd, fd] })
  } finally {
    closeSync(fd)
  }
}

async function until(
  child: ChildProcess,
  log: string,
  ready: () => Promise<boolean>,
): Promise<void> {
  let failed: Error | undefined
  child.once('error', error => (failed = error))
  for (let tries = 0; tries < 200; tries += 1) {
    if (failed !== undefined || child.exitCode !== null || child.signalCode !== null) break
    if (await ready()) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  child.kill('SIGKILL')
  const said = readFileSync(log, 'utf8').slice(-2000)
  throw new Error(`${child.spawnfile} does not come up: ${failed?.message ?? ''}\n${said}`)
}

const answers = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })

function measured(child: ChildProcess): Required<Pick<Contender, 'pid' | 'close'>> {
  return {
    pid: child.pid ?? 0,
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** A port that nothing listens on now; HAProxy and nginx cannot say which one they were given. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
