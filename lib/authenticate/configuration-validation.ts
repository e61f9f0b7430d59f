import { X509Certificate } from 'node:crypto'
import { compileExpression, type Expression, type Variable } from './cel/expression.js'
import type {
  AuthenticationConfiguration,
  ClaimOrExpression,
  ConfigurationFault,
  JwtAuthenticator,
  NameRule,
  PrefixedClaimOrExpression,
  TokenRules,
  ValidationRule,
} from './configuration.js'

const maxIssuers = 64

/**
 * Holds a configuration against the API server's rules (`apiserver/validation`), and against ours: where those
 * are stricter, it is because a name could not be sent on safely, or a setting not be honoured. All faults are
 * found; with one there are no rules.
 */
export function validateConfiguration(
  configuration: AuthenticationConfiguration,
): { readonly rules: readonly TokenRules[] } | { readonly faults: readonly ConfigurationFault[] } {
  const faults: ConfigurationFault[] = []
  const fault: AddFault = (path, says, value) =>
    faults.push({ path, ...(value !== undefined && { value }), says })
  const { jwt, anonymous } = configuration
  if (jwt.length > maxIssuers) {
    fault('jwt', `has ${jwt.length} issuers: there may be ${maxIssuers}`)
    return { faults }
  }
  const rules = jwt.map((authenticator, index) =>
    validateAuthenticator(authenticator, `jwt[${index}]`, fault),
  )
  refuseRepeats(
    jwt.map(({ issuer }) => issuer.url),
    index => `jwt[${index}].issuer.url`,
    fault,
  )
  refuseRepeats(
    jwt.map(({ issuer }) => issuer.discoveryURL ?? ''),
    index => `jwt[${index}].issuer.discoveryURL`,
    fault,
  )
  if (anonymous !== undefined && !anonymous.enabled && anonymous.conditions.length > 0) {
    fault('anonymous.conditions', 'have no effect: set enabled to true, or take them out')
  }
  for (const [index, { path = '' }] of (anonymous?.conditions ?? []).entries()) {
    if (!path.startsWith('/')) {
      fault(
        `anonymous.conditions[${index}].path`,
        'must begin with a slash to match a request',
        path,
      )
    }
  }
  return faults.length > 0 ? { faults } : { rules }
}

type AddFault = (path: string, says: string, value?: string) => void

function refuseRepeats(
  values: readonly string[],
  pathOf: (index: number) => string,
  fault: AddFault,
): void {
  for (const [index, value] of values.entries()) {
    if (value !== '' && values.indexOf(value) < index) {
      fault(pathOf(index), 'is that of another issuer above; there may be one of each', value)
    }
  }
}

function validateAuthenticator(
  authenticator: JwtAuthenticator,
  path: string,
  fault: AddFault,
): TokenRules {
  const { issuer, claimValidationRules, claimMappings, userValidationRules } = authenticator
  validateIssuer(issuer, `${path}.issuer`, fault)
  const claims = validateClaimRules(claimValidationRules, path, fault)
  const mappings = `${path}.claimMappings`
  const username = validateName(claimMappings.username, `${mappings}.username`, fault)
  if (username === undefined && isEmpty(claimMappings.username)) {
    fault(`${mappings}.username`, 'needs a claim or an expression')
  }
  const groups = validateName(claimMappings.groups, `${mappings}.groups`, fault)
  const uid = validateUid(claimMappings.uid, `${mappings}.uid`, fault)
  const extra = validateExtra(claimMappings.extra, mappings, fault)
  const userRules = validateUserRules(userValidationRules, path, fault)

  const seeing = [
    ...(username !== undefined && 'expression' in username ? [username.expression] : []),
    ...extra.map(({ expression }) => expression),
    ...claims.claimRules.map(({ expression }) => expression),
  ]
  if (
    username !== undefined &&
    'expression' in username &&
    username.expression.mentions('email') &&
    !seeing.some(expression => expression.mentions('email_verified'))
  ) {
    fault(
      `${mappings}.username.expression`,
      'uses claims.email, which anybody could have typed: use claims.email_verified in it, in an extra or in a claimValidationRule',
      username.expression.text,
    )
  }
  return {
    description: JSON.stringify(authenticator),
    issuer: {
      url: issuer.url,
      ...(hasText(issuer.discoveryURL) && { discoveryURL: issuer.discoveryURL }),
      ...(hasText(issuer.certificateAuthority) && {
        certificateAuthority: issuer.certificateAuthority,
      }),
      audiences: issuer.audiences,
    },
    username: username ?? { claim: '', prefix: '' },
    ...(groups !== undefined && { groups }),
    ...(uid !== undefined && { uid }),
    extra,
    ...claims,
    userRules,
  }
}

const hasText = (text: string | undefined): text is string => text !== undefined && text !== ''
const isEmpty = ({ claim, expression }: ClaimOrExpression): boolean =>
  !hasText(claim) && !hasText(expression)

function validateIssuer(issuer: JwtAuthenticator['issuer'], path: string, fault: AddFault): void {
  const { url, discoveryURL, certificateAuthority, audiences, audienceMatchPolicy } = issuer
  if (url === '') fault(`${path}.url`, 'is required: the issuer whose tokens are accepted')
  else validateUrl(url, `${path}.url`, fault)
  if (hasText(discoveryURL)) {
    validateUrl(discoveryURL, `${path}.discoveryURL`, fault)
    if (discoveryURL.replace(/\/+$/, '') === url.replace(/\/+$/, '')) {
      fault(`${path}.discoveryURL`, 'must differ from url; leave it out', discoveryURL)
    }
  }
  if (hasText(certificateAuthority)) {
    const why = whyNoAuthorities(certificateAuthority)
    if (why !== undefined) fault(`${path}.certificateAuthority`, why)
  }

  if (audiences.length === 0) {
    fault(`${path}.audiences`, 'needs at least one: whom the tokens are meant for')
  }
  for (const [index, audience] of audiences.entries()) {
    if (audience === '') fault(`${path}.audiences[${index}]`, 'must not be empty')
  }
  refuseRepeats(
    audiences,
    index => `${path}.audiences[${index}]`,
    (at, _says, value) => fault(at, 'is there already', value),
  )
  if (hasText(audienceMatchPolicy) ? audienceMatchPolicy !== 'MatchAny' : audiences.length > 1) {
    fault(
      `${path}.audienceMatchPolicy`,
      'must be MatchAny where there is more than one audience, and may be nothing else',
      audienceMatchPolicy,
    )
  }
  if (hasText(issuer.egressSelectorType)) {
    fault(
      `${path}.egressSelectorType`,
      'cannot be honoured: the gateway has no egress selector and connects by itself; take it out',
      issuer.egressSelectorType,
    )
  }
}

/** What Go and the URL standard read alike; `iss` is compared with it byte for byte. */
function validateUrl(written: string, path: string, fault: AddFault): void {
  if (!/^https:\/\/[^\s\\/]/i.test(written) || /[\s\\]/.test(written) || !URL.canParse(written)) {
    fault(path, 'must be an https URL such as https://issuer.example.com', written)
    return
  }
  const { username, password } = new URL(written)
  if (written.includes('?')) fault(path, 'must not have a query', written)
  if (written.includes('#')) fault(path, 'must not have a fragment', written)
  if (username !== '' || password !== '') fault(path, 'must not have a user or password')
}

const certificates = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function whyNoAuthorities(pem: string): string | undefined {
  const found = pem.match(certificates) ?? []
  if (found.length === 0) return 'must hold at least one certificate in PEM'
  for (const [index, certificate] of found.entries()) {
    try {
      void new X509Certificate(certificate)
    } catch {
      return `certificate ${index + 1} of ${found.length} cannot be read`
    }
  }
  return undefined
}

/** Compiles an expression that is there; its fault says where in it. */
function compileAt(
  text: string,
  variable: Variable,
  path: string,
  fault: AddFault,
  mustBe?: 'bool',
): Expression | undefined {
  const compiled = compileExpression(text, variable)
  if ('fault' in compiled) {
    const { line, column, says } = compiled.fault
    fault(path, `line ${line}, column ${column}: ${says}`, text)
    return undefined
  }
  if (mustBe !== undefined && compiled.expression.type !== mustBe) {
    fault(
      path,
      `must evaluate to ${mustBe}; compare a claim to say so, as in claims.admin == true`,
      text,
    )
    return undefined
  }
  return compiled.expression
}

function validateClaimRules(
  written: JwtAuthenticator['claimValidationRules'],
  authenticator: string,
  fault: AddFault,
): Pick<TokenRules, 'requiredClaims' | 'claimRules'> {
  const requiredClaims: Array<TokenRules['requiredClaims'][number]> = []
  const claimRules: ValidationRule[] = []
  const seen = new Set<string>()
  for (const [index, { claim, requiredValue, expression, message }] of written.entries()) {
    const rule = `claimValidationRules[${index}]`
    const path = `${authenticator}.${rule}`
    if (hasText(claim) && hasText(expression)) {
      fault(path, 'has both a claim and an expression; there must be one of them', claim)
    } else if (hasText(claim)) {
      if (hasText(message)) fault(`${path}.message`, 'goes with an expression only', message)
      if (seen.has(`claim ${claim}`)) fault(`${path}.claim`, 'has a rule above already', claim)
      seen.add(`claim ${claim}`)
      requiredClaims.push({ path: rule, claim, value: requiredValue ?? '' })
    } else if (hasText(expression)) {
      if (hasText(requiredValue)) {
        fault(`${path}.requiredValue`, 'goes with a claim only', requiredValue)
      }
      if (seen.has(expression)) fault(`${path}.expression`, 'is there already', expression)
      seen.add(expression)
      const compiled = compileAt(expression, 'claims', `${path}.expression`, fault, 'bool')
      if (compiled !== undefined) {
        claimRules.push({ path: rule, expression: compiled, ...(hasText(message) && { message }) })
      }
    } else {
      fault(path, 'needs a claim or an expression')
    }
  }
  return { requiredClaims, claimRules }
}

function validateUserRules(
  written: JwtAuthenticator['userValidationRules'],
  authenticator: string,
  fault: AddFault,
): readonly ValidationRule[] {
  const rules: ValidationRule[] = []
  const seen = new Set<string>()
  for (const [index, { expression, message }] of written.entries()) {
    const rule = `userValidationRules[${index}]`
    const path = `${authenticator}.${rule}.expression`
    if (!hasText(expression)) {
      fault(path, 'is required')
      continue
    }
    if (seen.has(expression)) fault(path, 'is there already', expression)
    seen.add(expression)
    const compiled = compileAt(expression, 'user', path, fault, 'bool')
    if (compiled !== undefined) {
      rules.push({ path: rule, expression: compiled, ...(hasText(message) && { message }) })
    }
  }
  return rules
}

function validateName(
  { claim, prefix, expression }: PrefixedClaimOrExpression,
  path: string,
  fault: AddFault,
): NameRule | undefined {
  if (hasText(claim) && hasText(expression)) {
    fault(path, 'has both a claim and an expression; there must be one of them', claim)
    return undefined
  }
  if (hasText(expression)) {
    if (prefix !== undefined) {
      fault(`${path}.prefix`, 'goes with a claim only; put it into the expression', prefix)
    }
    const compiled = compileAt(expression, 'claims', `${path}.expression`, fault)
    return compiled && { expression: compiled }
  }
  if (!hasText(claim)) return undefined
  if (prefix === undefined) {
    fault(`${path}.prefix`, 'is required with a claim; "" for none')
    return undefined
  }
  const why = whyNoPrefix(prefix)
  if (why !== undefined) fault(`${path}.prefix`, why, prefix)
  return { claim, prefix }
}

/** Why no name may begin so; `undefined` for a good prefix. */
function whyNoPrefix(prefix: string): string | undefined {
  if (prefix.startsWith('system:')) {
    return 'must not begin with "system:": those names are the cluster\'s own'
  }
  return prefix !== prefix.trimStart() || /\p{Cc}/u.test(prefix) || !prefix.isWellFormed()
    ? 'must not begin with a blank or hold control characters'
    : undefined
}

function validateUid(
  { claim, expression }: ClaimOrExpression,
  path: string,
  fault: AddFault,
): NameRule | undefined {
  if (hasText(claim) && hasText(expression)) {
    fault(path, 'has both a claim and an expression; there must be one of them', claim)
    return undefined
  }
  if (hasText(claim)) return { claim, prefix: '' }
  if (!hasText(expression)) return undefined
  const compiled = compileAt(expression, 'claims', `${path}.expression`, fault)
  return compiled && { expression: compiled }
}

function validateExtra(
  written: JwtAuthenticator['claimMappings']['extra'],
  mappings: string,
  fault: AddFault,
): TokenRules['extra'] {
  const extra: Array<TokenRules['extra'][number]> = []
  for (const [index, { key = '', valueExpression }] of written.entries()) {
    const path = `${mappings}.extra[${index}]`
    const why = whyNoKey(key)
    if (why !== undefined) fault(`${path}.key`, why, key)
    if (written.findIndex(other => other.key === key) < index) {
      fault(`${path}.key`, 'is there already', key)
    }
    if (!hasText(valueExpression)) {
      fault(`${path}.valueExpression`, 'is required')
      continue
    }
    const expression = compileAt(valueExpression, 'claims', `${path}.valueExpression`, fault)
    if (expression !== undefined) extra.push({ key, expression })
  }
  return extra
}

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const domain = new RegExp(`^${label}(?:\\.${label})*$`)

/** `IsDomainPrefixedPath` of apimachinery, in lower case, outside of Kubernetes' own domains. */
function whyNoKey(key: string): string | undefined {
  if (key === '') return 'is required, as in example.org/team'
  if (key !== key.toLowerCase()) return 'must be in lower case'
  const slash = key.indexOf('/')
  const host = key.slice(0, Math.max(0, slash))
  if (
    host.length > 253 ||
    !domain.test(host) ||
    !/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(key.slice(slash + 1))
  ) {
    return 'must be a path below a domain, as in example.org/team'
  }
  return /(?:^|\.)(?:kubernetes|k8s)\.io$/.test(host)
    ? 'must not lie in kubernetes.io or k8s.io: those are reserved for Kubernetes'
    : undefined
}
