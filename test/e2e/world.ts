import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Teardown } from '../actors/files.js'
import { tempDir, writeKubeconfig, writeServing } from '../actors/files.js'
import { createAuthority, type KeyPair } from '../actors/certificates.js'
import { startGatewayProcess, type GatewayProcess } from '../actors/gateway.js'
import { apiClient, type ApiClient } from './api-client.js'
import type { ApiServer } from './cluster.js'
import {
  accountName,
  gatewayAccount,
  printedRights,
  type Impersonation,
} from './gateway-account.js'
import { users } from './seed.js'

export type User = keyof typeof users

/** What `main.ts` has set up, as the files of the tests find it. */
export interface World {
  readonly ca: string
  readonly admin: KeyPair
  readonly apiServer: ApiServer
  readonly trusting: ApiServer
  /** To start one more of the same cluster; without its port, its log of audit, and whose tokens it takes. */
  readonly kubeApiServer: {
    readonly program: string
    /** Which 1.x of Kubernetes it is. */
    readonly minor: number
    readonly flags: readonly string[]
  }
  /** Whether nodes answer for their pods. */
  readonly nodes: boolean
  readonly nodeFolder: string
  readonly containerLog: string
  readonly issuer: { readonly url: string; readonly ca: string; readonly clientId: string }
  readonly tokens: Readonly<Record<User, string>>
  /** How every gateway of this run does it that comes with its own credential. */
  readonly impersonation: Impersonation
  /** Whether the API server has constrained impersonation. */
  readonly constrainable: boolean
  /** Of the service account `accountOfAll`, which holds what `rbac` prints for `issuerFlags`. */
  readonly gatewayToken: string
  readonly kubectl: string
  /** One more, of another version, where there is one on `PATH`. */
  readonly otherKubectl?: string
}

const variable = 'IMPERSONATION_GATEWAY_E2E_WORLD'

/** Writes the world down, and gives the environment in which `world` reads it. */
export function handOver(world: World, folder: string): Readonly<Record<string, string>> {
  const path = join(folder, 'world.json')
  writeFileSync(path, JSON.stringify(world), { mode: 0o600 })
  return { [variable]: path }
}

let read: World | undefined

/** @throws outside of `npm run test:e2e` */
export function world(): World {
  const path = process.env[variable]
  if (path === undefined) throw new TypeError('run these tests with npm run test:e2e')
  return (read ??= JSON.parse(readFileSync(path, 'utf8')) as World)
}

/** A gateway in front of the cluster. */
export interface GatewayInFront {
  readonly url: string
  readonly ca: string
  readonly process: GatewayProcess
  /** Of the gateway, as this user. */
  as(user: User): ApiClient
  /** Of the API server that is behind it, as its administrator. */
  readonly behind: ApiClient
  readonly apiServer: ApiServer
}

/** `gateway`: with the service account; `caller`: with the caller's token, before the API server that takes it. */
export type Mode = 'gateway' | 'caller'

/** The modes of this run: without an account of the gateway's there is one kind of impersonation to try. */
export const modes = (): readonly Mode[] =>
  world().impersonation === 'legacy' ? ['gateway', 'caller'] : ['gateway']

export interface InFrontOptions {
  readonly mode: Mode
  readonly flags?: readonly string[]
  /** Of `rbac`, for the account of a gateway that comes with its own credential. */
  readonly rights?: readonly string[]
}

/** How the gateways of the tests know whose tokens they take, and what these say. */
export const issuerFlags = (issuer: Pick<World['issuer'], 'url' | 'clientId'>) =>
  [
    `--oidc-issuer-url=${issuer.url}`,
    `--oidc-client-id=${issuer.clientId}`,
    '--oidc-username-prefix=oidc:',
    '--oidc-groups-claim=groups',
    '--oidc-groups-prefix=oidc:',
  ] as const

/**
 * The flags of `rbac` for a gateway with these flags: the groups there are, by name, where the API server cannot
 * keep it from others itself.
 */
export function rightsFlags(
  flags: readonly string[],
  impersonation: Impersonation,
): readonly string[] {
  const own = ['--unsafe-use-service-account-token', `--mode=${impersonation}`]
  const closed = flags.some(flag => flag.startsWith('--allowed-groups='))
  const prefix = flags.findLast(flag => flag.startsWith('--oidc-groups-prefix='))?.slice(21) ?? ''
  const groups = new Set(Object.values(users).flatMap(user => user.groups))
  return impersonation === 'constrained' || closed
    ? [...flags, ...own]
    : [...flags, ...own, ...[...groups].map(group => `--group=${prefix}${group}`)]
}

/** The account for a gateway with these flags: the one that all share, unless it needs other rights. */
async function tokenFor(t: Teardown, flags: readonly string[], rights: readonly string[]) {
  const { apiServer, ca, admin, kubectl, issuer, gatewayToken, impersonation } = world()
  const wanted = [...rightsFlags(flags, impersonation), ...rights]
  const printed = await printedRights(wanted)
  const shared = await printedRights(rightsFlags(issuerFlags(issuer), impersonation))
  if (printed === shared) return gatewayToken
  const where = { url: apiServer.url, ca, admin, kubectl }
  return await gatewayAccount(t, where, accountName(printed), wanted)
}

/** Declares the same tests for a gateway in either mode, which each finds running; unless they are to be skipped. */
export function inBothModes(
  t: Test,
  options: { readonly skip: false | string },
  declare: (t: Test, gateway: GatewayInFront, mode: Mode) => Promise<void> | void,
): void {
  for (const mode of modes()) {
    t.test(`in ${mode} mode`, options, async t => {
      await declare(t, await startInFront(t, { mode }), mode)
    })
  }
}

/** An API server without SelfSubjectReview cannot say for whom it takes the caller: it is told nothing, unless a test is about that. */
const callerFlags = (): readonly string[] =>
  world().kubeApiServer.minor >= 28 ? [] : ['--impersonation=never']

/** Starts the built program, and ends it with the test. */
export async function startInFront(t: Teardown, options: InFrontOptions): Promise<GatewayInFront> {
  const { apiServer, trusting, ca, admin, issuer } = world()
  const target = options.mode === 'gateway' ? apiServer : trusting
  const folder = tempDir(t)
  const authority = createAuthority('gateway')
  const serving = await writeServing(folder, authority)
  const issuerCa = join(folder, 'issuer.crt')
  writeFileSync(issuerCa, issuer.ca)
  const flags = options.flags ?? []
  const given = new Set(flags.map(flag => flag.split('=', 1)[0]))
  const isOpen = (flag: string): boolean => !given.has(flag.split('=', 1)[0])
  const mapping = [...issuerFlags(issuer).filter(isOpen), ...flags]
  const kubeconfig = writeKubeconfig(folder, {
    server: target.url,
    ca,
    ...(options.mode === 'gateway' && {
      token: await tokenFor(t, mapping, options.rights ?? []),
    }),
  })
  const needed = [
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    ...issuerFlags(issuer),
    `--oidc-ca-file=${issuerCa}`,
    `--kubeconfig=${kubeconfig}`,
    ...(options.mode === 'gateway' ? ['--unsafe-use-service-account-token'] : callerFlags()),
  ].filter(isOpen)
  const running = await startGatewayProcess(t, [...needed, ...flags], { from: 'dist' })
  const server = { url: `https://127.0.0.1:${running.port}`, ca: authority.ca }
  const clients: ApiClient[] = []
  t.teardown(() => clients.forEach(client => client.close()))
  const client = (...args: Parameters<typeof apiClient>): ApiClient => {
    const made = apiClient(...args)
    clients.push(made)
    return made
  }
  return {
    ...server,
    process: running,
    as: user => client(server, { token: world().tokens[user] }),
    behind: client({ url: target.url, ca }, admin),
    apiServer: target,
  }
}
