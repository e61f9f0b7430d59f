import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startApiServer, type ApiServer, type ApiServerOptions, type WhoAmI } from './api-server.js'
import { createAuthority, type Authority } from './certificates.js'
import { tempDir, writeKubeconfig, writeServing, type Teardown } from './files.js'
import { startGatewayProcess, type GatewayProcess, type ProcessOptions } from './gateway.js'
import { startIssuer, type Issuer, type IssuerOptions } from './issuer.js'
import { rawRequest, requestBytes, type RawExchange, type RawRequest } from './raw-client.js'
import type { HeaderLines } from './http1.js'

/** The gateway, and the two parties it stands between. */
export interface World {
  readonly issuer: Issuer
  readonly api: ApiServer
  readonly gateway: GatewayProcess
  /** What clients of the gateway must trust, PEM. */
  readonly ca: string
  /** Signed the gateway's serving certificate. */
  readonly authority: Authority
  readonly directory: string
  readonly kubeconfig: string
  /** Where `configuration` was written. */
  readonly configurationFile: string
  /** Port and trust, to be spread into the options of a client. */
  readonly target: { readonly port: number; readonly ca: string }
  /** One HTTP/1.1 request of its own connection, with alice's token unless the fields say otherwise. */
  ask(request?: Asked): Promise<RawExchange>
}

export interface Asked extends Partial<Omit<RawRequest, 'port' | 'ca' | 'bytes'>> {
  /** @default GET */
  readonly method?: string
  /** @default /api/v1/namespaces/default/pods */
  readonly path?: string
  /** After `Host` and `Authorization`. */
  readonly headers?: HeaderLines
  /** @default a good token of alice; `false` for none */
  readonly token?: string | false
  readonly body?: string
}

export interface WorldOptions {
  /** `gateway` is `--unsafe-use-service-account-token`, with the bearer token `gateway-token`. */
  readonly mode: 'gateway' | 'caller'
  /** Flags beside those that a world needs; they win. */
  readonly flags?: readonly string[]
  /** Content of an `--authentication-config`, instead of the `--oidc-*` flags. */
  readonly configuration?: (issuer: Issuer) => string
  readonly issuer?: Issuer | IssuerOptions
  readonly api?: ApiServer | ApiServerOptions
  readonly process?: ProcessOptions
  /** Waits until the gateway knows the issuer's keys (`/readyz`). @default true */
  readonly untilReady?: boolean
}

/** The credential of the gateway in a world of mode `gateway`. */
export const gatewayToken = 'gateway-token'

/** Starts issuer, API server and gateway for one test, and ends them with it. */
export async function startedWorld(t: Teardown, options: WorldOptions): Promise<World> {
  const directory = tempDir(t)
  const authority = createAuthority('gateway')
  const [issuer, api, serving] = await Promise.all([
    options.issuer && 'url' in options.issuer ? options.issuer : startIssuer(options.issuer),
    options.api && 'url' in options.api
      ? options.api
      : startApiServer({ whoami: sameAsTheGateway, ...options.api }),
    writeServing(directory, authority),
  ])
  t.teardown(() => Promise.all([issuer.close(), api.close()]))
  const caFile = join(directory, 'issuer-ca.crt')
  writeFileSync(caFile, issuer.ca)
  const kubeconfig = writeKubeconfig(directory, {
    server: api.url,
    ca: api.ca,
    ...(options.mode === 'gateway' && { token: gatewayToken }),
  })
  const { flags = [] } = options
  const configurationFile = join(directory, 'authentication.yaml')
  if (options.configuration) writeFileSync(configurationFile, options.configuration(issuer))
  const whoseTokens = options.configuration
    ? [`--authentication-config=${configurationFile}`]
    : [
        `--oidc-issuer-url=${issuer.url}`,
        '--oidc-client-id=kubernetes',
        `--oidc-ca-file=${caFile}`,
        '--oidc-groups-claim=groups',
      ]
  const given = new Set(flags.map(flag => flag.split('=', 1)[0]))
  const needed = [
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    ...whoseTokens,
    `--kubeconfig=${kubeconfig}`,
    ...(options.mode === 'gateway' ? ['--unsafe-use-service-account-token'] : []),
  ].filter(flag => !given.has(flag.split('=', 1)[0]))
  const gateway = await startGatewayProcess(t, [...needed, ...flags], options.process)
  if (options.untilReady ?? true) await ready(gateway)
  const target = { port: gateway.port, ca: authority.ca }
  return {
    issuer,
    api,
    gateway,
    ca: authority.ca,
    authority,
    directory,
    kubeconfig,
    configurationFile,
    target,
    ask: (asked = {}) => {
      const { method = 'GET', path = '/api/v1/namespaces/default/pods', headers = [] } = asked
      const token = asked.token ?? issuer.sign()
      const fields: HeaderLines = [
        ['Host', `localhost:${String(gateway.port)}`],
        ...(token === false ? [] : ([['Authorization', `Bearer ${token}`]] as const)),
        ...headers,
      ]
      return rawRequest({
        ...asked,
        ...target,
        bytes: requestBytes(method, path, fields, asked.body),
      })
    },
  }
}

async function ready(gateway: GatewayProcess): Promise<void> {
  while ((await gateway.admin('/readyz')).status !== 200) await pause(20)
}

/**
 * An API server that trusts the same issuer with the same flags as a world's gateway: the user is
 * `<issuer>#<sub>`, groups are those of `groups` and, as everywhere, `system:authenticated`.
 */
const sameAsTheGateway: WhoAmI = token => {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
  try {
    const claims = JSON.parse(payload) as { iss?: string; sub?: string; groups?: string[] }
    return {
      username: `${claims.iss ?? ''}#${claims.sub ?? ''}`,
      groups: [...(claims.groups ?? []), 'system:authenticated'],
    }
  } catch {
    return undefined
  }
}
