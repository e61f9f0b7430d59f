import { contentOf, readFromDisk, type ReadFile } from './files.js'
import { resolveExtra, type ExtraSettings } from './extra.js'
import type { GivenFlags } from './flags.js'
import { resolveAuthentication, type IssuerSettings } from './issuer.js'
import { resolveListening, type AdminSettings, type ListenSettings } from './listening.js'
import { readValues, type Values } from './values.js'

/** Everything `serve` needs to know, checked and frozen. */
export interface ServeSettings {
  readonly listen: ListenSettings
  readonly admin: AdminSettings
  /** The one issuer of the `--oidc-*` flags; absent with `authenticationConfig`. */
  readonly issuer?: IssuerSettings
  /** The file that names the issuers; what is in it is judged by who loads it. */
  readonly authenticationConfig?: string
  /** How far the issuers' clocks may be ahead. */
  readonly clockSkewSeconds: number
  /** Without a kubeconfig: the cluster that the gateway runs in. */
  readonly cluster: { readonly kubeconfig?: string; readonly context?: string }
  readonly credentialMode: CredentialMode
  readonly allowOverprivilegedCredential: boolean
  readonly clientImpersonation: 'strip' | 'reject' | 'authorize'
  /** `system:` names that a token may carry. */
  readonly reserved: { readonly users: ReadonlySet<string>; readonly groups: ReadonlySet<string> }
  /** Names and beginnings of names (with `*`) of groups. */
  readonly groups: { readonly allowed?: readonly string[]; readonly denied: readonly string[] }
  readonly extra: ExtraSettings
  /** Whether a token's `jti` is sent upstream. */
  readonly credentialIdExtra: boolean
  /** Absent: tokens of no configured issuer are refused. */
  readonly tokenPassthrough?: { readonly audiences: readonly string[] }
  readonly maxGroups: number
  /** 0 for no limit. */
  readonly maxInFlightPerUser: number
  /** Whether streams end with the token that they were opened with. */
  readonly closeStreamsAtTokenExpiry: boolean
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly shutdownGracePeriodMs: number
}

export type CredentialMode =
  | { readonly kind: 'gateway' }
  | { readonly kind: 'caller'; readonly impersonation: 'auto' | 'always' | 'never' }

/** What of the surroundings is looked at. */
export interface World {
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** @default reads the file system */
  readonly readFile?: ReadFile
}

export type Resolution =
  | { readonly settings: ServeSettings }
  /** One line each. */
  | { readonly faults: readonly string[] }

/**
 * Makes settings out of what was given, or says everything that is wrong with it. Nothing is kept half:
 * with one fault there are no settings. Kubeconfig and in-cluster files are only looked for here; what
 * is in them is judged by who connects with them.
 */
export function resolveServe(given: GivenFlags, world: World = {}): Resolution {
  const readFile = world.readFile ?? readFromDisk
  const values = readValues(given)
  const settings: ServeSettings = {
    ...resolveListening(values, readFile),
    ...resolveAuthentication(values, readFile),
    cluster: resolveCluster(values, world.env ?? process.env, readFile),
    credentialMode: resolveCredentialMode(values),
    allowOverprivilegedCredential: resolveOverprivileged(values),
    clientImpersonation: values.choice('client-impersonation') ?? 'reject',
    reserved: {
      users: resolveReserved(values, 'allow-reserved-users'),
      groups: resolveReserved(values, 'allow-reserved-groups'),
    },
    groups: resolveGroups(values),
    credentialIdExtra: values.switched('credential-id-extra'),
    extra: resolveExtra(values),
    ...resolvePassthrough(values),
    maxGroups: values.number('max-groups', 1) ?? 1,
    maxInFlightPerUser: values.number('max-in-flight-per-user', 0) ?? 0,
    closeStreamsAtTokenExpiry: values.switched('close-streams-at-token-expiry'),
    logLevel: values.choice('log-level') ?? 'info',
    shutdownGracePeriodMs: values.milliseconds('shutdown-grace-period', dayMs) ?? 0,
  }
  return values.faults.length > 0
    ? { faults: [...new Set(values.faults)] }
    : { settings: freeze(settings) }
}

/** A timer of over 24.8 days would fire at once. */
const dayMs = 24 * 3_600_000

function resolveCluster(
  values: Values,
  env: NonNullable<World['env']>,
  readFile: ReadFile,
): ServeSettings['cluster'] {
  const kubeconfig = values.text('kubeconfig')
  const context = values.text('context')
  contentOf(values, 'kubeconfig', readFile)
  if (kubeconfig === undefined) {
    if (context !== undefined) values.fault('context', 'needs --kubeconfig', context)
    const missing = ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'].filter(
      name => (env[name] ?? '') === '',
    )
    if (missing.length > 0) {
      values.fault('kubeconfig', `is required outside a cluster (${missing.join(', ')} not set)`)
    }
  }
  return {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
  }
}

function resolveCredentialMode(values: Values): CredentialMode {
  const impersonation = values.choice('impersonation')
  const disabled = values.switched('disable-impersonation')
  if (values.switched('unsafe-use-service-account-token')) {
    const says =
      "applies to the caller's token only; with --unsafe-use-service-account-token leave it out"
    if (impersonation !== undefined && impersonation !== 'auto') {
      values.fault('impersonation', says, impersonation)
    }
    if (disabled) values.fault('disable-impersonation', says)
    return { kind: 'gateway' }
  }
  if (disabled && values.given('impersonation') && impersonation !== 'never') {
    values.fault(
      'disable-impersonation',
      `contradicts --impersonation=${impersonation ?? ''}; give one of them`,
    )
  }
  return { kind: 'caller', impersonation: disabled ? 'never' : (impersonation ?? 'auto') }
}

function resolveOverprivileged(values: Values): boolean {
  const name = 'allow-overprivileged-credential'
  if (values.switched(name) && !values.switched('unsafe-use-service-account-token')) {
    values.fault(name, 'has no effect without --unsafe-use-service-account-token; leave it out')
  }
  return values.switched(name)
}

function resolveReserved(
  values: Values,
  name: 'allow-reserved-users' | 'allow-reserved-groups',
): ReadonlySet<string> {
  const names = values.list(name)
  for (const entry of names) {
    if (!entry.startsWith('system:')) {
      const says = 'has no effect: only names that begin with "system:" are reserved; take it out'
      values.fault(name, says, entry)
    }
  }
  return new Set(names)
}

/** Who forwards a token without `Impersonate-*` cannot take anything out of it. */
function resolveGroups(values: Values): ServeSettings['groups'] {
  const neverImpersonates =
    values.choice('impersonation') === 'never' || values.switched('disable-impersonation')
  for (const name of ['allowed-groups', 'denied-groups'] as const) {
    if (values.given(name) && neverImpersonates) {
      values.fault(name, "has no effect on the caller's own token; it needs Impersonate-*")
    }
    for (const entry of values.list(name)) {
      if (entry.slice(0, -1).includes('*')) {
        values.fault(name, 'may have "*" at its end only', entry)
      }
    }
  }
  const allowed = values.list('allowed-groups')
  if (values.given('allowed-groups') && allowed.length === 0) {
    values.fault('allowed-groups', 'must name at least one group; without the flag all are allowed')
  }
  return {
    ...(allowed.length > 0 && { allowed }),
    denied: values.list('denied-groups'),
  }
}

function resolvePassthrough(values: Values): Pick<ServeSettings, 'tokenPassthrough'> {
  const audiences = values.list('token-passthrough-audiences')
  if (values.switched('token-passthrough')) return { tokenPassthrough: { audiences } }
  if (values.given('token-passthrough-audiences')) {
    values.fault('token-passthrough-audiences', 'needs --token-passthrough')
  }
  return {}
}

/** Freezes plain objects and arrays all the way down; maps and sets are read-only by their type. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) freeze(inner)
  }
  return value
}
