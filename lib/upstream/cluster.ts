import { setTimeout as pause } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import { Pool } from 'undici'
import { facts } from '../channels.js'
import { Secret } from '../secret.js'
import {
  ClusterFault,
  findTarget,
  said,
  type Target,
  type TargetOptions,
} from './cluster-target.js'
import type { Proof } from './credential.js'
import type { GrantedDispatcher } from './granted-dispatcher.js'
import type { GatewayCredential } from './headers.js'
import { noticingConnector } from './reset.js'
import { createCredentialCheck } from './refused-credential.js'
import { askWhetherTaken, type ReviewDispatcher } from './review.js'

export interface ClusterOptions extends TargetOptions {
  /**
   * An exec plugin is not run for it; then there is none. For those who ask the API server nothing.
   * @default false
   */
  readonly withoutPlugin?: boolean
  /** How often kubeconfig, CA and credential are looked at. @default 10_000 ms */
  readonly intervalMs?: number
  /** How long what is found there must stand before it is taken: half of it may have been written. @default 1_000 ms */
  readonly settleMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** The API server: where it is, how it is trusted, and with what we come. */
export interface Cluster {
  /** Where requests go now: an origin, and the path that the kubeconfig puts before every target. */
  readonly url: string
  readonly basePath: string
  /**
   * Connections for ordinary requests, or for long-running ones, which keep theirs to themselves; `fresh`
   * are those of requests that found theirs dead. Those for the caller's credential never show ours.
   */
  dispatcher(use: 'request' | 'stream' | 'fresh', whose: Whose): GrantedDispatcher
  /** With what to open a connection of one's own, for an upgrade. */
  connection(whose: Whose): ConnectionOptions
  /** Connections for the questions of the gateway itself. */
  reviewer(whose: Whose): ReviewDispatcher
  /** Where the gateway itself is at home: its own namespace, or the context's. */
  readonly namespace: string
  /** The gateway's own credential; `undefined` when it is not to be used. */
  readonly credential: GatewayCredential | undefined
  /**
   * The API server refused this credential: reads it anew, for all who ask at once, and at most every
   * 5 s. True when another try is worth it.
   */
  renew(refused: GatewayCredential | undefined): Promise<boolean>
  /** Whether the API server takes this credential, as far as it says so: once for all who ask within some seconds. */
  takes(credential: GatewayCredential | undefined): Promise<boolean>
  /** Looks at the files now. Never rejects. */
  refresh(): Promise<void>
  close(): Promise<void>
}

/** Whose credential a connection is for: our client certificate is a credential too. */
export type Whose = 'caller' | 'gateway'

/** Where the API server is, how it is trusted, and what certificate we show it; for `node:http` and `node:https`. */
export interface ConnectionOptions {
  readonly protocol: string
  readonly hostname: string
  readonly port: string
  /** As a `Host` field says it. */
  readonly host: string
  readonly rejectUnauthorized: boolean
  readonly ca?: string
  readonly servername?: string
  readonly cert?: string
  readonly key?: string
}

interface Found {
  readonly target: Target
  readonly proof: Proof | undefined
}

interface Connection {
  readonly fingerprint: string
  readonly gateway: Pools
  /** The same where our credential is none of the connection. */
  readonly caller: Pools
}

interface Pools {
  readonly options: ConnectionOptions
  readonly requests: Pool
  readonly streams: Pool
  /** Each of its connections carries one request. */
  readonly fresh: Pool
}

const renewAtMostEveryMs = 5_000

/** Of two successive readings that differ. */
const mostTries = 10

/**
 * Finds the API server and keeps its address, CA and credential current: files that change are live at the next
 * look, and a broken one keeps the last good.
 * @throws ClusterFault
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { now = () => performance.now() } = options
  const { intervalMs = 10_000 } = options
  const settleMs = options.settleMs ?? Math.min(1_000, intervalMs)
  let target: Target
  let proof: Proof | undefined
  let connection: Connection
  try {
    target = findTarget(options)
    const isLeft = options.withoutPlugin === true && target.source?.runsPlugin === true
    if (!isLeft) proof = await target.source?.load(false)
    if (options.useOwnCredential && !isLeft && proof === undefined) {
      throw new ClusterFault(
        'the kubeconfig user has no credential: --unsafe-use-service-account-token needs a token, tokenFile, exec or client certificate',
      )
    }
    connection = connect(target, proof)
  } catch (error) {
    throw error instanceof ClusterFault ? error : new ClusterFault(said(error))
  }
  let credential = proof && spokenAs(proof)
  let path = basePath(target.url)
  let complaint: string | undefined
  let looking: Promise<void> | undefined
  let renewing: Promise<boolean> | undefined
  let lastRenewal = -Infinity
  const closing = new AbortController()
  /** Pools that finish what they carry. */
  const retired = new Set<Pool>()

  const read = async (last: Target, force: boolean): Promise<Found> => {
    const found = findTarget(options, last)
    return { target: found, proof: await found.source?.load(force) }
  }

  /** What is new must be found twice alike, unless what is in force is known to be no good. */
  const find = async (force: boolean): Promise<Found> => {
    let found = await read(target, force)
    if (force) return found
    for (let tries = 0; !isSame(found, { target, proof }); tries += 1) {
      if (tries === mostTries) throw new Error('what it is read from does not stop changing')
      await pause(settleMs, undefined, closing)
      const again = await read(found.target, false)
      if (isSame(again, found)) break
      found = again
    }
    closing.signal.throwIfAborted()
    return found
  }

  const look = async (force: boolean): Promise<void> => {
    try {
      const { target: nextTarget, proof: nextProof } = await find(force)
      if (options.useOwnCredential && nextProof === undefined) {
        throw new ClusterFault('the kubeconfig user has no credential')
      }
      const changed =
        nextTarget.url.href !== target.url.href ||
        fingerprint(nextTarget, nextProof) !== connection.fingerprint
      if (changed) {
        const next = connect(nextTarget, nextProof)
        retire(connection)
        connection = next
      }
      target = nextTarget
      path = basePath(target.url)
      const renewed = nextProof?.authorization !== proof?.authorization
      proof = nextProof
      if (renewed || changed) {
        credential = proof && spokenAs(proof)
        facts.reload.publish({ result: 'ok' })
        facts.notice.publish({
          level: 'info',
          msg: changed ? 'API server connection reloaded' : 'own credential reloaded',
        })
      }
      complaint = undefined
    } catch (error) {
      if (closing.signal.aborted) return
      const why = said(error)
      if (why === complaint) return
      complaint = why
      facts.reload.publish({ result: 'error' })
      facts.notice.publish({
        level: 'error',
        msg: 'cluster configuration cannot be used, the last good one stays in force',
        fields: { error: why },
      })
    }
  }

  const retire = (old: Connection): void => {
    for (const pool of poolsOf(old)) {
      retired.add(pool)
      void pool
        .close()
        .catch(() => undefined)
        .finally(() => retired.delete(pool))
    }
  }

  const refresh = (force = false): Promise<void> =>
    (looking ??= look(force).finally(() => (looking = undefined)))
  const renewal = async (): Promise<boolean> => {
    await looking
    await refresh(true)
    return true
  }
  const timer = setInterval(() => void refresh(), intervalMs)
  timer.unref()

  const cluster: Cluster = {
    get url() {
      return target.url.origin
    },
    get basePath() {
      return path
    },
    get namespace() {
      return target.namespace
    },
    get credential() {
      return credential
    },
    connection: whose => connection[whose].options,
    dispatcher: (use, whose) =>
      connection[whose][use === 'stream' ? 'streams' : use === 'fresh' ? use : 'requests'],
    reviewer: whose => connection[whose].requests,
    async renew(refused) {
      if (credential !== refused) return true
      if (renewing) return await renewing
      if (now() - lastRenewal < renewAtMostEveryMs) return false
      lastRenewal = now()
      return await (renewing = renewal().finally(() => (renewing = undefined)))
    },
    takes: createCredentialCheck({
      ask: (asked, signal) => askWhetherTaken(cluster, asked, signal),
      now,
    }),
    refresh: () => refresh(),
    async close() {
      closing.abort()
      clearInterval(timer)
      const pools = new Set([...poolsOf(connection), ...retired])
      await Promise.all([...pools].map(pool => pool.destroy()))
    },
  }
  return cluster
}

const poolsOf = ({ gateway, caller }: Connection): ReadonlySet<Pool> =>
  new Set([gateway, caller].flatMap(({ requests, streams, fresh }) => [requests, streams, fresh]))

const basePath = (url: URL): string => url.pathname.replace(/\/+$/, '')

const spokenAs = (proof: Proof): GatewayCredential =>
  Object.freeze({
    authorization:
      proof.authorization === undefined
        ? undefined
        : new Secret(proof.authorization, 'credential of the gateway'),
  })

/** @throws when the certificates cannot be used, such as a pair in the middle of its rotation */
function connect(target: Target, proof: Proof | undefined): Connection {
  const gateway = pools(target, proof)
  return {
    fingerprint: fingerprint(target, proof),
    gateway,
    caller: proof?.cert === undefined ? gateway : pools(target, undefined),
  }
}

function pools(target: Target, proof: Proof | undefined): Pools {
  const { url } = target
  const trust = {
    rejectUnauthorized: target.verify,
    ...(target.ca !== undefined && { ca: target.ca }),
    ...(target.serverName !== undefined && { servername: target.serverName }),
    ...(proof?.cert !== undefined && { cert: proof.cert }),
    ...(proof?.key !== undefined && { key: proof.key }),
  }
  createSecureContext(trust)
  const open = (): Pool =>
    new Pool(url.origin, {
      pipelining: 1,
      bodyTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 60_000,
      maxHeaderSize: 256 * 1024,
      connect: noticingConnector({ timeout: 10_000, ...trust }),
    })
  return {
    requests: open(),
    streams: open(),
    fresh: open(),
    options: {
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      host: url.host,
      ...trust,
    },
  }
}

/** What a connection was opened with; another one is needed when it changes. */
const fingerprint = ({ url, ca, serverName, verify }: Target, proof: Proof | undefined): string =>
  JSON.stringify([url.origin, ca, serverName, verify, proof?.cert, proof?.key])

const isSame = (one: Found, other: Found): boolean =>
  one.target.url.href === other.target.url.href &&
  one.proof?.authorization === other.proof?.authorization &&
  fingerprint(one.target, one.proof) === fingerprint(other.target, other.proof)
