import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AnonymousAuthentication, TokenRules } from '../lib/authenticate/configuration.js'
import { rulesOfFlags } from '../lib/authenticate/flag-configuration.js'
import { createIssuers, type Issuers } from '../lib/authenticate/issuers.js'
import { describeFault, loadConfiguration } from '../lib/authenticate/load-configuration.js'
import type { IdentityLimits } from '../lib/authenticate/mapping.js'
import { supportedAlgs } from '../lib/authenticate/signing-key.js'
import { fault, reasonOf } from '../lib/settings/fault.js'
import type { ServeSettings } from '../lib/settings/resolve.js'
import { watchFile } from '../lib/watched-file.js'

/** Whose tokens are accepted, and what is made of them. */
export interface Authentication {
  readonly rules: readonly TokenRules[]
  readonly anonymous?: AnonymousAuthentication
}

/** A configuration that cannot be put in force; the program ends with its faults. */
export class AuthenticationFault extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('; '))
    this.name = 'AuthenticationFault'
    this.faults = faults
  }
}

/**
 * What settings say of authentication: by flags, or by the content of the file that they name.
 * @param content of `--authentication-config`, where that is given
 * @throws AuthenticationFault
 */
function authenticationOf(settings: ServeSettings, content: string): Authentication {
  const { issuer, authenticationConfig: file = '' } = settings
  if (issuer !== undefined) return { rules: [rulesOfFlags(issuer)] }
  const result = loadConfiguration(content)
  if ('faults' in result) {
    throw new AuthenticationFault(result.faults.map(fault => describeFault(file, fault)))
  }
  if (result.loaded.rules.length === 0 && settings.credentialMode.kind === 'gateway') {
    const says = 'must name at least one issuer with --unsafe-use-service-account-token'
    throw new AuthenticationFault([describeFault(file, { path: 'jwt', says })])
  }
  return result.loaded
}

/**
 * The same, reading the file as it stands now.
 * @throws AuthenticationFault also where it cannot be read
 */
export function readAuthentication(settings: ServeSettings): Authentication {
  const { authenticationConfig: file } = settings
  if (file === undefined) return authenticationOf(settings, '')
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    const says = `cannot be read: ${reasonOf(error)}`
    throw new AuthenticationFault([fault('--authentication-config', file, says)])
  }
  return authenticationOf(settings, content)
}

/** Issuers that follow the files they are configured by. */
export interface FollowedIssuers {
  readonly issuers: Issuers
  /** What is in force now. */
  readonly authentication: Authentication
  /** For `/readyz?verbose`: which configuration is live, and how it stands with each issuer. */
  details(): readonly string[]
  close(): Promise<void>
}

/**
 * Opens the issuers that the settings name.
 * @throws AuthenticationFault, or what the system says when a file cannot be read
 */
export function openIssuers(settings: ServeSettings): FollowedIssuers {
  const { issuer, authenticationConfig } = settings
  return authenticationConfig === undefined
    ? byFlags(settings, issuer?.caFile)
    : byFile(settings, authenticationConfig)
}

function byFlags(settings: ServeSettings, caFile: string | undefined): FollowedIssuers {
  const authority =
    caFile === undefined
      ? undefined
      : watchFile(caFile, { parse: authorities, changed: pem => issuers.setCa(pem) })
  const authentication = authenticationOf(settings, '')
  const issuers = create(settings, authentication, authority?.value)
  return {
    issuers,
    authentication,
    details: () => stateLines(issuers),
    close: async () => {
      authority?.close()
      await issuers.close()
    },
  }
}

interface Generation extends Authentication {
  readonly hash: string
}

function byFile(settings: ServeSettings, path: string): FollowedIssuers {
  let generation = 1
  const file = watchFile<Generation>(path, {
    parse: content => ({
      ...authenticationOf(settings, content.toString('utf8')),
      hash: createHash('sha256').update(content).digest('hex').slice(0, 12),
    }),
    changed: ({ rules }) => {
      generation += 1
      issuers.replace(rules)
    },
  })
  const issuers = create(settings, file.value)
  return {
    issuers,
    get authentication() {
      return file.value
    },
    details: () => [
      `authentication configuration: generation ${generation}, sha256 ${file.value.hash}`,
      ...stateLines(issuers),
    ],
    close: async () => {
      file.close()
      await issuers.close()
    },
  }
}

const create = (settings: ServeSettings, { rules }: Authentication, ca?: string): Issuers =>
  createIssuers(
    {
      rules,
      limits: limitsOf(settings),
      signingAlgs: settings.issuer?.signingAlgs ?? [...supportedAlgs],
      clockSkewSeconds: settings.clockSkewSeconds,
    },
    ca,
  )

/** What the gateway asks of identities, whatever issuer they come from. */
export const limitsOf = (settings: ServeSettings): IdentityLimits => ({
  allowReservedUsers: settings.reserved.users,
  allowReservedGroups: settings.reserved.groups,
  allowedGroups: settings.groups.allowed,
  deniedGroups: settings.groups.denied,
  maxGroups: settings.maxGroups,
  sendCredentialId: settings.credentialIdExtra,
})

const stateLines = (issuers: Issuers): readonly string[] =>
  issuers.states().map(({ url, state }) => `issuer ${url}: ${state}`)

/** Node takes any text for a CA, and then trusts nobody: what is no certificate must not replace one. */
function authorities(content: Buffer): string {
  const pem = content.toString('utf8')
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
  for (const certificate of found) void new X509Certificate(certificate)
  if (found.length === 0) throw new Error('it holds no certificate')
  return pem
}
