import type { AnyVerdict, Authenticator } from '../lib/authenticate/authenticator.js'
import { createChain } from '../lib/authenticate/chain.js'
import { createForeignToken } from '../lib/authenticate/foreign-token.js'
import type { Issuers } from '../lib/authenticate/issuers.js'
import { createAuthenticate } from '../lib/authenticate/stage.js'
import { facts } from '../lib/channels.js'
import { startAdmin, type Check } from '../lib/edge/admin.js'
import {
  selfSignedPair,
  watchServingCertificate,
  type ServingPair,
} from '../lib/edge/certificate.js'
import { createDrain, type Cut } from '../lib/edge/drain.js'
import { outcomeFor, type EdgeClient } from '../lib/edge/edge-client.js'
import { createExpiry } from '../lib/edge/expiry.js'
import { limitInFlight } from '../lib/edge/in-flight.js'
import { startListener, type Listener } from '../lib/edge/listener.js'
import { createPeerAddress } from '../lib/edge/peer-address.js'
import { refuse } from '../lib/edge/reply.js'
import { createGateway, type Stages } from '../lib/gateway.js'
import { createAccessReview } from '../lib/impersonate/access-review.js'
import { createOwnExtra } from '../lib/impersonate/own-extra.js'
import { createPolicy, type CredentialMode } from '../lib/impersonate/policy.js'
import { createSelfReview } from '../lib/impersonate/self-review.js'
import { createLog } from '../lib/observe/log.js'
import { createMetrics } from '../lib/observe/metrics.js'
import type { Findings } from '../lib/rbac/examination.js'
import type { RightsConfiguration } from '../lib/rbac/needed.js'
import { createReport, OverprivilegedCredential, remarkOn } from '../lib/rbac/report.js'
import { watchRights, type RightsWatch } from '../lib/rbac/watch.js'
import { Refusal } from '../lib/refusal.js'
import type { Secret } from '../lib/secret.js'
import { loadServe } from '../lib/settings/load.js'
import type { ServeSettings } from '../lib/settings/resolve.js'
import { openCluster, type Cluster } from '../lib/upstream/cluster.js'
import { createForward } from '../lib/upstream/forward.js'
import { createUpgrade } from '../lib/upstream/upgrade.js'
import { tokenReview } from '../lib/upstream/token-review.js'
import { subjectAccess } from '../lib/upstream/subject-access.js'
import { selfSubject } from '../lib/upstream/self-subject.js'
import { openIssuers } from './authentication.js'
import { followConfiguration } from './configuration.js'
import { examineOwn } from './own-rights.js'
import { rightsOf } from './rbac.js'

/** A gateway that accepts connections. */
export interface RunningGateway {
  readonly address: string
  readonly port: number
  readonly adminAddress: string
  readonly adminPort: number
  /** Rejects when it turns out after the start that it should not have been started. */
  readonly unfit: Promise<never>
  /** Ends it as SIGTERM does; resolves with how many exchanges had to be cut. */
  drain(): Promise<Cut>
  /** Ends it at once. */
  close(): Promise<void>
}

/** `serve`: runs the gateway until it is told to stop. Resolves with the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const loaded = loadServe(args)
  if ('help' in loaded) {
    process.stdout.write(loaded.help)
    return 0
  }
  if ('faults' in loaded) {
    for (const line of loaded.faults) process.stderr.write(`${line}\n`)
    return 2
  }
  const { settings } = loaded
  const log = createLog({ level: settings.logLevel })
  try {
    const gateway = await startGateway(settings)
    const configuration = followConfiguration(args)
    await Promise.race([firstSignal(), gateway.unfit])
    configuration.close()
    // From here on a second one ends the process at once, with what the log still holds.
    const forced = secondSignal().then(() => 1)
    const drained = gateway.drain().then(async ({ lost }) => {
      // Everything is answered: whatever keeps a socket from closing must not keep the process.
      await Promise.race([gateway.close(), pause(2_000)])
      return lost === 0 ? 0 : 1
    })
    return await Promise.race([forced, drained])
  } finally {
    log.flush()
    await Promise.race([log.close(), pause(500)])
  }
}

/**
 * Puts the parts together and opens the ports.
 * @throws ClusterFault, or what the system says when a port cannot be had
 */
export async function startGateway(settings: ServeSettings): Promise<RunningGateway> {
  const closers: Array<() => unknown> = []
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).toReversed()) await end()
  }
  try {
    return await assemble(settings, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function assemble(
  settings: ServeSettings,
  closers: Array<() => unknown>,
  close: () => Promise<void>,
): Promise<RunningGateway> {
  const { listen, admin: adminSettings, credentialMode } = settings
  const privileged = credentialMode.kind === 'gateway'
  const metrics = createMetrics()
  closers.push(() => metrics.close())

  const cluster = await openCluster({ ...settings.cluster, useOwnCredential: privileged })
  closers.push(() => cluster.close())
  const followed = openIssuers(settings)
  closers.push(() => followed.close())
  const { issuers } = followed
  const rights = privileged
    ? watchOwnRights(cluster, settings, () => rightsOf(settings, followed.authentication))
    : undefined
  closers.push(() => rights?.close())

  const drain = createDrain({ graceMs: settings.shutdownGracePeriodMs })
  const authenticate = createAuthenticate({
    authenticator: createChain(issuers, ...foreignTokens(settings, cluster)),
    anonymous: () => followed.authentication.anonymous,
  })
  const forward = createForward(cluster)
  const expiry = settings.closeStreamsAtTokenExpiry
    ? createExpiry({ skewSeconds: settings.clockSkewSeconds })
    : undefined
  closers.push(() => expiry?.close())
  const upgrade = createUpgrade(cluster, { endsWhenAsked: expiry !== undefined })
  const stages: Stages<EdgeClient> = {
    authenticate: context => {
      if (drain.phase === 'refusing') throw new Refusal('draining')
      return authenticate(context)
    },
    authorize: createPolicy({
      mode: modeOf(settings, cluster),
      clientImpersonation: settings.clientImpersonation,
      mostAsked: settings.maxGroups,
      ownExtra: createOwnExtra(settings.extra),
    }),
    carry: async (granted, client) => {
      const carry = granted.context.head.upgrade === undefined ? forward : upgrade
      if (!expiry) return outcomeFor(client, await carry(granted, client))
      const leave = expiry.enter(granted, client)
      try {
        return outcomeFor(client, await carry(granted, client))
      } finally {
        leave()
      }
    },
    refuse: (context, refusal, client) => refuse(context.id, refusal, client),
  }
  const gateway = createGateway(limitInFlight(stages, settings.maxInFlightPerUser))

  const { allowOverprivilegedCredential } = settings
  const refuseExcess = (findings: Findings | undefined): void => {
    if (findings?.verdict === 'excess' && !allowOverprivilegedCredential) {
      throw new OverprivilegedCredential(findings)
    }
  }
  refuseExcess(await rights?.first)

  let listener: Listener | undefined
  const tls = await servingTls(listen, pair => listener?.serveWith(pair))
  closers.push(() => tls?.close())
  listener = await startListener(gateway, {
    ...listen,
    tls,
    peerAddress: createPeerAddress(listen.trustedProxies),
    drain,
  })
  closers.push(() => listener?.close())

  const ready: Check[] = [
    { name: 'shutdown', fails: () => (drain.phase === 'serving' ? undefined : 'shutting down') },
    { name: 'issuer', fails: () => (issuers.ready ? undefined : whyNone(issuers)) },
  ]
  const admin = await startAdmin({
    ...adminSettings,
    ready,
    remarks: rights ? [privilegedRemark, () => remarkOn(rights.findings)] : [],
    details: () => followed.details(),
    metrics,
  })
  closers.push(() => admin.close())
  if (privileged) closers.push(announcePrivilege())

  const running = {
    address: listener.address,
    port: listener.port,
    adminAddress: admin.address,
    adminPort: admin.port,
  }
  facts.notice.publish({ level: 'info', msg: 'listening', fields: running })
  const unfit = (rights?.late ?? new Promise<never>(() => undefined)).then(findings => {
    refuseExcess(findings)
    return new Promise<never>(() => undefined)
  })
  // Whoever only starts and closes one need not wait for it.
  unfit.catch(() => undefined)
  return {
    ...running,
    unfit,
    async drain() {
      facts.notice.publish({
        level: 'info',
        msg: 'shutting down',
        fields: { open: drain.open, graceMs: settings.shutdownGracePeriodMs },
      })
      const cut = await drain.begin(() => listener.closeIdle())
      const level = cut.lost > 0 ? 'warn' : 'info'
      facts.notice.publish({ level, msg: 'stopped', fields: { ...cut } })
      return cut
    },
    close,
  }
}

/** Of one issuer its state alone, of several which is in which. */
function whyNone(issuers: Issuers): string {
  const states = issuers.states()
  const [only] = states
  if (only !== undefined && states.length === 1) return only.state
  return states.map(({ url, state }) => `${url}: ${state}`).join('; ')
}

/** The gateway proves its own poverty, from its start on. */
function watchOwnRights(
  cluster: Cluster,
  { allowOverprivilegedCredential: accepted }: ServeSettings,
  needed: () => RightsConfiguration,
): RightsWatch {
  return watchRights({
    examine: signal => examineOwn(cluster, needed(), signal),
    found: createReport({ accepted }),
  })
}

/** Tokens of no issuer of ours: judged beforehand only where there is a credential to ask with. */
function foreignTokens(
  { tokenPassthrough, credentialMode }: ServeSettings,
  cluster: Cluster,
): readonly Authenticator<AnyVerdict>[] {
  if (tokenPassthrough === undefined) return []
  const review = (token: Secret, audiences: readonly string[], signal: AbortSignal) =>
    tokenReview(cluster, token, audiences, signal)
  return [
    createForeignToken({
      ...tokenPassthrough,
      ...(credentialMode.kind === 'gateway' && { review }),
    }),
  ]
}

function modeOf({ credentialMode }: ServeSettings, cluster: Cluster): CredentialMode {
  if (credentialMode.kind === 'gateway') {
    return {
      kind: 'gateway',
      accessReview: createAccessReview({
        ask: (question, signal) => subjectAccess(cluster, question, signal),
      }),
    }
  }
  const { impersonation } = credentialMode
  return impersonation === 'auto'
    ? {
        kind: 'caller',
        impersonation,
        review: createSelfReview({ ask: (token, signal) => selfSubject(cluster, token, signal) }),
      }
    : { kind: 'caller', impersonation }
}

async function servingTls(listen: ServeSettings['listen'], changed: (pair: ServingPair) => void) {
  const { tls, minVersion, address } = listen
  if (tls === 'off') return undefined
  const serving =
    tls === 'self-signed'
      ? { pair: await selfSignedPair(address), close: () => undefined }
      : watchServingCertificate({ ...tls, changed })
  return { pair: serving.pair, minVersion, close: () => serving.close() }
}

const privilegedRemark =
  'privileged mode: requests are forwarded with the credential of the gateway (--unsafe-use-service-account-token)'

/** Whoever runs the gateway with a credential of its own is told, and told again. */
function announcePrivilege(): () => void {
  facts.privileged.publish({ privileged: true })
  announce()
  const timer = setInterval(announce, 3_600_000)
  timer.unref()
  return () => clearInterval(timer)
}

const announce = (): void =>
  facts.notice.publish({
    level: 'warn',
    msg: 'UNSAFE: --unsafe-use-service-account-token is on. Every request is forwarded with the credential of this gateway; whoever gets hold of it can act as anybody it may impersonate.',
  })

const signals = ['SIGTERM', 'SIGINT'] as const

const firstSignal = (): Promise<void> =>
  new Promise(resolve => {
    const stop = (): void => {
      for (const signal of signals) process.off(signal, stop)
      resolve()
    }
    for (const signal of signals) process.on(signal, stop)
  })
const secondSignal = firstSignal

const pause = (ms: number): Promise<void> => new Promise(resolve => void setTimeout(resolve, ms))
