import { quoted } from './command-line.js'
import { isMapping, type Mapping, type ReadInput } from './input.js'
import type { Peer } from './peer-flags.js'

/**
 * The command line that the charts of kube-oidc-proxy make of these values, which are one schema with
 * additions: `deploy/charts/kube-oidc-proxy` (jetstack, TremoloSecurity), `chart/kube-oidc-proxy` (RafPe).
 */
export function argsOfValues(values: Mapping): ReadInput {
  const reader = readerOf(values)
  const { text, flag, pairs } = reader
  const fromSecret: string[] = []
  const beside: Array<readonly [string, string]> = []
  const files = new Map<string, string>()
  const args = [
    '--secure-port=8443',
    '--tls-cert-file=/etc/oidc/tls/crt.pem',
    '--tls-private-key-file=/etc/oidc/tls/key.pem',
  ]
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') args.push(`--${name}=${value}`)
  }

  for (const path of ['oidc.existingSecret', 'oidc.secretKeys']) {
    if (isSet(reader.at(path)))
      fromSecret.push(`${path}: the values are in a Secret: write them in its place`)
  }
  const many = authenticationConfig(reader)
  if (many === undefined) {
    add('oidc-client-id', text('oidc.clientId'))
    add('oidc-issuer-url', text('oidc.issuerUrl'))
    add('oidc-username-claim', text('oidc.usernameClaim'))
    add('oidc-username-prefix', text('oidc.usernamePrefix'))
    add('oidc-groups-claim', text('oidc.groupsClaim'))
    add('oidc-groups-prefix', text('oidc.groupsPrefix'))
    add('oidc-signing-algs', reader.texts('oidc.signingAlgs').join(','))
    for (const [claim, value] of pairs('oidc.requiredClaims')) {
      add('oidc-required-claim', `${claim}=${value}`)
    }
    const authority = text('oidc.caPEM') ?? ''
    if (authority !== '') {
      add('oidc-ca-file', '/etc/oidc/oidc-ca.pem')
      files.set('/etc/oidc/oidc-ca.pem', authority)
      beside.push(['oidc.caPEM', 'mount it as the file /etc/oidc/oidc-ca.pem'])
    }
  } else {
    reader.skip('oidc')
    add('authentication-config', '/etc/oidc/authentication-config.yaml')
    beside.push([many, 'mount it as the file /etc/oidc/authentication-config.yaml'])
  }
  if ((text('oidc.tlsClient.existingSecret') ?? '') !== '') {
    add('oidc-tls-client-cert-file', '/etc/oidc/client-tls/tls.crt')
    add('oidc-tls-client-key-file', '/etc/oidc/client-tls/tls.key')
  }
  if (flag('readinessRequireAllIssuers')) args.push('--readiness-require-all-issuers')

  const audiences = reader.texts('tokenPassthrough.audiences').join(',')
  const successTtl = text('tokenPassthrough.cacheSuccessTTL')
  const failureTtl = text('tokenPassthrough.cacheFailureTTL')
  if (flag('tokenPassthrough.enabled')) {
    args.push('--token-passthrough')
    add('token-passthrough-audiences', audiences)
    add('token-passthrough-cache-success-ttl', successTtl)
    add('token-passthrough-cache-failure-ttl', failureTtl)
  }
  add('subject-access-review-cache-allow-ttl', text('subjectAccessReview.cacheAllowTTL'))
  add('subject-access-review-cache-deny-ttl', text('subjectAccessReview.cacheDenyTTL'))
  add('max-impersonation-header-values', text('maxImpersonationHeaderValues'))
  if (flag('extraImpersonationHeaders.clientIP')) args.push('--extra-user-header-client-ip')
  add('extra-user-headers', text('extraImpersonationHeaders.headers'))
  add('logging-format', text('logging.format'))
  add('v', text('logging.verbosity'))
  if (flag('metrics.enabled') || flag('metrics.serviceMonitor.enabled')) {
    add('metrics-bind-address', `0.0.0.0:${text('metrics.port') ?? '9090'}`)
  }
  // Last, as in the charts: they win.
  for (const [name, value] of pairs('extraArgs')) args.push(`--${name}=${value}`)

  const secretName = text('tls.secretName') ?? ''
  beside.push([
    'tls',
    secretName === ''
      ? 'the charts make a Secret of type kubernetes.io/tls: mount its tls.crt and tls.key as /etc/oidc/tls/crt.pem and key.pem, or give your own'
      : `mount tls.crt and tls.key of the Secret ${quoted(secretName)} as /etc/oidc/tls/crt.pem and key.pem`,
  ])
  const deployment = Object.keys(values).filter(key => aboutDeployment.has(key))
  if (deployment.length > 0) {
    const says = 'about Deployment, Service and what is around them: keep it in your own manifests'
    beside.push([deployment.join(', '), says])
  }
  const peer = peerOfImage(reader.text('image.repository')) ?? peerOfKeys(values)
  return {
    source: 'chart values',
    args,
    ...(peer !== undefined && { peer }),
    beside,
    files,
    faults: [...fromSecret, ...reader.faults, ...reader.untouched().map(unknownValue)],
  }
}

/** Which program an image is of, by the repository it is published under. */
export function peerOfImage(image: unknown): Peer | undefined {
  if (typeof image !== 'string') return undefined
  const name = image.toLowerCase()
  if (name.includes('tremolosecurity')) return 'tremolosecurity'
  if (name.includes('rafpe')) return 'rafpe'
  return name.includes('jetstack') ? 'jetstack' : undefined
}

const peerOfKeys = (values: Mapping): Peer | undefined =>
  ['authenticationConfig', 'subjectAccessReview', 'logging', 'metrics', 'rbac'].some(
    key => key in values,
  )
    ? 'rafpe'
    : undefined

/** Where the AuthenticationConfiguration comes from, when the values have one: the path of the value. */
function authenticationConfig(reader: Reader): string | undefined {
  const places = [
    'authenticationConfig.content',
    'authenticationConfig.existingSecret',
    'oidc.authenticationConfig.jwt',
  ]
  reader.skip('authenticationConfig.key')
  return places.find(path => isSet(reader.at(path)))
}

/** As a Helm template's `if` has it. */
const isSet = (value: unknown): boolean =>
  typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)

const unknownValue = (path: string): string =>
  `${path}: is no value of the charts that this command knows; take it out`

/** Values that no flag is made of. */
const aboutDeployment: ReadonlySet<string> = new Set([
  'replicaCount',
  'imagePullSecrets',
  'nameOverride',
  'fullnameOverride',
  'service',
  'ingress',
  'extraVolumeMounts',
  'extraVolumes',
  'rollingUpdateStrategy',
  'podDisruptionBudget',
  'resources',
  'initContainers',
  'nodeSelector',
  'tolerations',
  'affinity',
  'topologySpreadConstraints',
  'priorityClassName',
  'podAnnotations',
  'podSecurityContext',
  'securityContext',
  'rbac',
  'networkPolicy',
  'test',
  'global',
])

/** Whole branches that are read in part, or not for the command line. */
const readInPart: readonly string[] = ['image', 'tls', 'metrics', 'oidc.tlsClient']

interface Reader {
  readonly faults: readonly string[]
  /** The value at a path such as `oidc.clientId`, whatever it is. */
  readonly at: (path: string) => unknown
  /** A scalar as text; `undefined` when it is absent or null. */
  readonly text: (path: string) => string | undefined
  readonly texts: (path: string) => readonly string[]
  readonly flag: (path: string) => boolean
  readonly pairs: (path: string) => ReadonlyArray<readonly [string, string]>
  readonly skip: (path: string) => void
  /** Paths that nothing has asked for. */
  readonly untouched: () => readonly string[]
}

function readerOf(values: Mapping): Reader {
  const faults: string[] = []
  const touched = new Set<string>(readInPart)
  const at = (path: string): unknown => {
    touched.add(path)
    return path
      .split('.')
      .reduce<unknown>(
        (value, key) => (isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined),
        values,
      )
  }
  const expect = <T>(
    path: string,
    says: string,
    read: (value: unknown) => T | undefined,
  ): T | undefined => {
    const value = at(path)
    if (value === undefined || value === null) return undefined
    const result = read(value)
    if (result === undefined) faults.push(`${path}: must be ${says}`)
    return result
  }
  return {
    faults,
    at,
    text: path => expect(path, 'a string', scalar),
    texts: path =>
      expect(path, 'a list of strings', value => {
        const texts = Array.isArray(value) ? value.map(scalar) : [scalar(value)]
        return texts.every(text => text !== undefined)
          ? texts.filter(text => text !== '')
          : undefined
      }) ?? [],
    flag: path =>
      expect(path, 'true or false', value =>
        typeof value === 'boolean' || value === 'true' || value === 'false'
          ? String(value)
          : undefined,
      ) === 'true',
    pairs: path =>
      expect(path, 'a mapping from names to strings', value => {
        if (!isMapping(value)) return undefined
        const pairs = Object.entries(value).map(([key, each]) => [key, scalar(each)] as const)
        return pairs.every((pair): pair is readonly [string, string] => pair[1] !== undefined)
          ? pairs
          : undefined
      }) ?? [],
    skip: path => void touched.add(path),
    untouched: () =>
      Object.entries(values).flatMap(([key, value]) =>
        aboutDeployment.has(key) ? [] : leavesNotIn(touched, key, value),
      ),
  }
}

function leavesNotIn(touched: ReadonlySet<string>, path: string, value: unknown): string[] {
  if (touched.has(path)) return []
  if (value === null || value === undefined) return []
  if (!isMapping(value)) return [path]
  return Object.entries(value).flatMap(([key, each]) =>
    leavesNotIn(touched, `${path}.${key}`, each),
  )
}

const scalar = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
