import { anonymousIdentity } from '../lib/authenticate/anonymous.js'
import { credentialIdKey } from '../lib/authenticate/claim-mapping.js'
import { createGroupSelection } from '../lib/authenticate/group-selection.js'
import { originalUser } from '../lib/impersonate/asked.js'
import { emptyManifest, manifest } from '../lib/rbac/manifest.js'
import {
  neededRights,
  unconstrainable,
  type ClosedSets,
  type RightsConfiguration,
  type RightsMode,
} from '../lib/rbac/needed.js'
import { fault } from '../lib/settings/fault.js'
import { loadElsewhere } from '../lib/settings/load.js'
import { takeFlags } from '../lib/settings/own-flags.js'
import type { ServeSettings } from '../lib/settings/resolve.js'
import { AuthenticationFault, readAuthentication, type Authentication } from './authentication.js'
import { printing, type Printed } from './printed.js'

const help = `Usage: impersonation-gateway rbac [flags]

Prints what a gateway with these flags needs of the cluster's RBAC, and nothing more: a ServiceAccount, a
ClusterRole and its binding, for kubectl apply. Takes the flags of serve (serve --help lists them), or
--config; files of the machine where the gateway runs need not be here.

  --mode <mode>             legacy (default): the verb impersonate, as every Kubernetes has it;
                            constrained: Kubernetes 1.36 or newer, where nobody can become system:masters
                            by it, nor a node or a service account that --user does not name (KEP-5284)
  --group <name>            a group that callers can be in, as the cluster sees it, prefix included; may be
                            repeated: these are all, then
  --user <name>             a user that callers can be; likewise
  --extra-key <key>         a key under which clients may ask for extra (--as-user-extra); may be repeated
  --namespace <name>        of the service account (default impersonation-gateway)
  --service-account <name>  its name, and that of the role (default impersonation-gateway)
  --help                    says this

Without --group, and without --allowed-groups that names each, the legacy role can name every group,
system:masters too: serve starts with it, and warns of it at start and every hour. Name the groups, or take
--mode=constrained.
`

const ownFlags = {
  mode: { choices: ['legacy', 'constrained'] },
  group: { repeated: true },
  user: { repeated: true },
  'extra-key': { repeated: true },
  namespace: {},
  'service-account': {},
} as const

/** `rbac`: prints the rights that a configuration needs. Resolves with the exit status. */
export const run = printing(help, printed)

function printed(args: readonly string[]): Printed {
  const { values, rest, faults } = takeFlags(args, ownFlags)
  const loaded = loadElsewhere(rest, {}, ['authentication-config'])
  const mode: RightsMode = values.mode[0] === 'constrained' ? 'constrained' : 'legacy'
  const name = values['service-account'][0] ?? 'impersonation-gateway'
  const namespace = values.namespace[0] ?? 'impersonation-gateway'
  const own = [
    ...faults,
    ...wrongName('service-account', name, subdomain),
    ...wrongName('namespace', namespace, label),
  ]
  if ('faults' in loaded) return { faults: [...own, ...loaded.faults] }
  const { settings } = loaded
  if (settings.credentialMode.kind === 'caller') {
    return own.length > 0 ? { faults: own } : { output: emptyManifest({ name, namespace }) }
  }
  const { authentication, faults: wrong } = authenticationFor(settings)
  if (authentication === undefined) return { faults: [...own, ...wrong] }
  const configuration = rightsOf(settings, authentication)
  const closed = closedSets(values)
  own.push(...wrongSets(configuration, mode, closed, haveGroups(authentication)))
  if (own.length > 0) return { faults: own }
  const rights = neededRights(configuration, mode, closed)
  const warnings = openWarnings(mode, rights)
  const remarks = warnings.map(line => `Attention: ${line}`)
  return { output: manifest(rights, { name, namespace, mode, remarks }), warnings }
}

function authenticationFor(settings: ServeSettings): {
  readonly authentication?: Authentication
  readonly faults: readonly string[]
} {
  try {
    return { authentication: readAuthentication(settings), faults: [] }
  } catch (error) {
    if (error instanceof AuthenticationFault) return { faults: error.faults }
    throw error
  }
}

/** What the rights depend on, of a gateway that comes with its own credential. */
export function rightsOf(
  settings: ServeSettings,
  { rules, anonymous }: Authentication,
): RightsConfiguration {
  const clientImpersonation = settings.clientImpersonation === 'authorize'
  const mapped = haveGroups({ rules })
  // The groups of whoever comes without a credential are not selected among.
  const anonymousGroups = anonymous?.enabled === true ? anonymousIdentity.groups : []
  const fromTokens = mapped ? closedByName(settings) : []
  return {
    groups: mapped || anonymousGroups.length > 0,
    ...(fromTokens && !clientImpersonation && { onlyGroups: [...fromTokens, ...anonymousGroups] }),
    uid: rules.some(({ uid }) => uid !== undefined),
    extraKeys: [
      ...rules.flatMap(({ extra }) => extra.map(({ key }) => key)),
      ...(settings.credentialIdExtra ? [credentialIdKey] : []),
      ...Object.keys(settings.extra.fixed),
      ...(settings.extra.clientIp ? ['remote-client-ip'] : []),
      ...(clientImpersonation ? Object.values(originalUser) : []),
    ],
    reservedUsers: [
      ...settings.reserved.users,
      ...(anonymous?.enabled === true ? [anonymousIdentity.username] : []),
    ],
    reservedGroups: [...settings.reserved.groups, ...anonymousGroups],
    clientImpersonation,
    tokenReview: settings.tokenPassthrough !== undefined,
  }
}

const haveGroups = ({ rules }: Pick<Authentication, 'rules'>): boolean =>
  rules.some(({ groups }) => groups !== undefined)

/** The groups that can be sent, prefix included, where `--allowed-groups` names each. */
function closedByName({ groups, reserved }: ServeSettings): readonly string[] | undefined {
  const { allowed, denied } = groups
  if (allowed === undefined || allowed.some(entry => entry.endsWith('*'))) return undefined
  const select = createGroupSelection({ deniedGroups: denied, maxGroups: Infinity })
  return select(allowed).kept.filter(
    group => !group.startsWith('system:') || reserved.groups.has(group),
  )
}

const closedSets = (values: {
  readonly [name in 'user' | 'group' | 'extra-key']: readonly string[]
}): ClosedSets => ({
  ...(values.user.length > 0 && { users: values.user }),
  ...(values.group.length > 0 && { groups: values.group }),
  ...(values['extra-key'].length > 0 && { extraKeys: values['extra-key'] }),
})

/** What cannot be, or would be more than it seems. */
function wrongSets(
  configuration: RightsConfiguration,
  mode: RightsMode,
  { users = [], groups = [], extraKeys = [] }: ClosedSets,
  tokensHaveGroups: boolean,
): readonly string[] {
  const { clientImpersonation, reservedUsers, reservedGroups, onlyGroups } = configuration
  const faults: string[] = []
  if (groups.length > 0 && !configuration.groups && !clientImpersonation) {
    const says = 'is not needed: callers have no groups, since --oidc-groups-claim is not given'
    faults.push(fault('--group', groups[0], says))
  }
  for (const group of configuration.groups ? groups : []) {
    if (onlyGroups?.includes(group) === false && !group.startsWith('system:')) {
      const says = tokensHaveGroups ? '--allowed-groups does not let it' : 'no token has groups'
      faults.push(fault('--group', group, `is never sent: ${says}`))
    }
  }
  if (extraKeys.length > 0 && !clientImpersonation) {
    const says =
      'is not needed: clients may ask for nothing without --client-impersonation=authorize'
    faults.push(fault('--extra-key', extraKeys[0], says))
  }
  for (const [flag, names, reserved] of [
    ['user', users, reservedUsers],
    ['group', groups, reservedGroups],
  ] as const) {
    for (const name of names) {
      if (name === '*')
        faults.push(fault(`--${flag}`, name, 'would stand for every name; leave it out'))
      const isAsked = clientImpersonation && name !== 'system:masters'
      if (name.startsWith('system:') && !isAsked && !reserved.includes(name)) {
        const says = `is never sent: names that begin with "system:" need --allow-reserved-${flag}s`
        faults.push(fault(`--${flag}`, name, says))
      }
    }
  }
  for (const key of extraKeys) {
    if (key !== key.toLowerCase()) {
      faults.push(fault('--extra-key', key, 'must be in lower case, as the API server reads it'))
    }
  }
  if (mode === 'constrained') {
    const keys = [...new Set([...configuration.extraKeys, ...extraKeys])]
    for (const key of unconstrainable(keys)) {
      const says = `cannot be constrained: the API server takes no extra key but domain/path in lower case there, and "${key}" is none; use --mode=legacy`
      faults.push(fault('--mode', mode, says))
    }
  }
  return faults
}

/** What a reader should know of open sets. */
function openWarnings(
  mode: RightsMode,
  rights: ReturnType<typeof neededRights>,
): readonly string[] {
  const open = rights.some(
    ({ resources, resourceNames }) => resources?.includes('groups') && resourceNames === undefined,
  )
  return mode === 'legacy' && open
    ? [
        'this role can say system:masters, and serve warns of it at start and every hour; name the groups (--group=… for each, or --allowed-groups), or on Kubernetes 1.36 or newer use --mode=constrained',
      ]
    : []
}

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const subdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

const wrongName = (flag: string, name: string, fits: RegExp): readonly string[] =>
  fits.test(name) || name === ''
    ? []
    : [fault(`--${flag}`, name, 'is no name in Kubernetes: lower-case letters, digits and "-"')]
