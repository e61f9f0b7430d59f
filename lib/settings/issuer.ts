import { checkAuthorities, contentOf, type ReadFile } from './files.js'
import type { Values } from './values.js'

export interface IssuerSettings {
  /** Exactly as tokens say it in `iss`. */
  readonly url: string
  readonly audience: string
  readonly caFile?: string
  readonly signingAlgs: readonly string[]
  readonly usernameClaim: string
  /** What is put before names; the empty text for nothing. */
  readonly usernamePrefix: string
  readonly groupsClaim?: string
  readonly groupsPrefix: string
  readonly requiredClaims: ReadonlyMap<string, string>
}

/** Flags that the file says in its own way. */
const saidByFile = [
  'oidc-issuer-url',
  'oidc-client-id',
  'oidc-ca-file',
  'oidc-username-claim',
  'oidc-username-prefix',
  'oidc-groups-claim',
  'oidc-groups-prefix',
  'oidc-signing-algs',
  'oidc-required-claim',
] as const

/** One issuer by flags, or the file that names all of them. */
export function resolveAuthentication(
  values: Values,
  readFile: ReadFile,
): {
  readonly issuer?: IssuerSettings
  readonly authenticationConfig?: string
  readonly clockSkewSeconds: number
} {
  const clockSkewSeconds = (values.milliseconds('oidc-clock-skew') ?? 0) / 1000
  const path = values.text('authentication-config')
  if (path === undefined) return { issuer: resolveIssuer(values, readFile), clockSkewSeconds }
  contentOf(values, 'authentication-config', readFile)
  for (const name of saidByFile) {
    if (values.given(name)) {
      values.fault(name, 'contradicts --authentication-config, which says it itself; take one out')
    }
  }
  return { authenticationConfig: path, clockSkewSeconds }
}

/** Whose tokens are accepted, and how their claims become names: kube-apiserver's rules. */
function resolveIssuer(values: Values, readFile: ReadFile): IssuerSettings {
  const url = resolveUrl(values)
  const audience = values.text('oidc-client-id')
  if (audience === undefined) {
    values.fault('oidc-client-id', 'is required: the audience that tokens must carry')
  }
  checkAuthorities(values, 'oidc-ca-file', readFile)
  const caFile = values.text('oidc-ca-file')
  const usernameClaim = values.text('oidc-username-claim') ?? 'sub'
  const groupsClaim = values.text('oidc-groups-claim')
  return {
    url,
    audience: audience ?? '',
    ...(caFile !== undefined && { caFile }),
    signingAlgs: resolveAlgorithms(values),
    usernameClaim,
    usernamePrefix: resolveUsernamePrefix(values, url, usernameClaim),
    ...(groupsClaim !== undefined && { groupsClaim }),
    groupsPrefix: checkedPrefix(values, 'oidc-groups-prefix'),
    requiredClaims: resolveRequiredClaims(values),
  }
}

function resolveUrl(values: Values): string {
  const written = values.text('oidc-issuer-url')
  if (written === undefined) {
    values.fault('oidc-issuer-url', 'is required: the issuer whose tokens are accepted')
    return ''
  }
  const refuse = (says: string): void => values.fault('oidc-issuer-url', says, written)
  // The parser forgives blanks, missing slashes and backslashes; `iss`, which is compared byte for byte, does not.
  if (!/^https:\/\/[^\s\\/]/i.test(written) || /[\s\\]/.test(written) || !URL.canParse(written)) {
    refuse('must be an https URL such as https://issuer.example.com')
    return written
  }
  const { username, password } = new URL(written)
  if (written.includes('?')) refuse('must not have a query')
  if (written.includes('#')) refuse('must not have a fragment')
  if (username !== '' || password !== '') refuse('must not have a user or password')
  return written
}

const algorithms = ['RS', 'PS', 'ES']
  .flatMap(family => [256, 384, 512].map(bits => `${family}${bits}`))
  .concat('EdDSA')

function resolveAlgorithms(values: Values): readonly string[] {
  const accepted = values.list('oidc-signing-algs')
  if (accepted.length === 0) values.fault('oidc-signing-algs', 'must name at least one algorithm')
  for (const algorithm of accepted) {
    if (!algorithms.includes(algorithm)) {
      const says = `must be one of ${algorithms.join(', ')}`
      values.fault('oidc-signing-algs', says, algorithm)
    }
  }
  return accepted
}

function resolveUsernamePrefix(values: Values, url: string, claim: string): string {
  const written = checkedPrefix(values, 'oidc-username-prefix')
  if (written === '-') return ''
  if (written !== '') return written
  return claim === 'email' ? '' : `${url}#`
}

function checkedPrefix(
  values: Values,
  name: 'oidc-username-prefix' | 'oidc-groups-prefix',
): string {
  const prefix = values.text(name) ?? ''
  if (prefix.startsWith('system:')) {
    values.fault(name, 'must not begin with "system:": those names are the cluster\'s own', prefix)
  } else if (prefix !== prefix.trimStart() || /\p{Cc}/u.test(prefix) || !prefix.isWellFormed()) {
    values.fault(name, 'must not begin with a blank or hold control characters', prefix)
  }
  return prefix
}

function resolveRequiredClaims(values: Values): ReadonlyMap<string, string> {
  const required = new Map<string, string>()
  for (const entry of values.list('oidc-required-claim')) {
    const equals = entry.indexOf('=')
    const key = entry.slice(0, Math.max(equals, 0)).trim()
    if (key === '') {
      values.fault('oidc-required-claim', 'must be key=value', entry)
    } else if (required.has(key)) {
      values.fault('oidc-required-claim', 'asks for a claim that another one asks for', entry)
    } else {
      required.set(key, entry.slice(equals + 1).trim())
    }
  }
  return required
}
