import { stringify } from 'yaml'
import { quoted } from './command-line.js'
import type { Naming } from './identities.js'
import type { OurFlag } from './our-flag.js'

/** An AuthenticationConfiguration, and the flags whose place it takes. */
export interface IssuerFile {
  /** Where the flags say that it is. */
  readonly path: string
  readonly content: string
  readonly replaces: readonly string[]
}

/**
 * The issuer of these flags as a file, for what the flags cannot say. The CA goes into it, so the file
 * that `--oidc-ca-file` names is read.
 */
export function issuerFile(
  flags: readonly OurFlag[],
  username: Naming,
  readFile: (path: string) => string,
): IssuerFile | { readonly fault: string } {
  const given = new Map(flags)
  const first = (name: string): string => given.get(name)?.[0] ?? ''
  const caFile = first('oidc-ca-file')
  let authority: string | undefined
  try {
    if (caFile !== '') authority = readFile(caFile)
  } catch {
    const says =
      'must be readable here: its content has to stand in the AuthenticationConfiguration'
    return { fault: `--oidc-ca-file ${quoted(caFile)}: ${says}` }
  }
  const groupsClaim = first('oidc-groups-claim')
  const rules = flags
    .filter(([name]) => name === 'oidc-required-claim')
    .flatMap(([, values]) => values)
    .map(pair => {
      const equals = pair.indexOf('=')
      return { claim: pair.slice(0, equals), requiredValue: pair.slice(equals + 1) }
    })
  const content = stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: {
          url: first('oidc-issuer-url'),
          audiences: [first('oidc-client-id')],
          ...(authority !== undefined && { certificateAuthority: authority }),
        },
        ...(rules.length > 0 && { claimValidationRules: rules }),
        claimMappings: {
          username: { claim: username.claim, prefix: username.prefix },
          ...(groupsClaim !== '' && {
            groups: { claim: groupsClaim, prefix: first('oidc-groups-prefix') },
          }),
        },
      },
    ],
  })
  return { path: 'authentication-config.yaml', content, replaces: issuerFlags }
}

/** They exclude `--authentication-config`. */
const issuerFlags: readonly string[] = [
  'oidc-issuer-url',
  'oidc-client-id',
  'oidc-ca-file',
  'oidc-username-claim',
  'oidc-username-prefix',
  'oidc-groups-claim',
  'oidc-groups-prefix',
  'oidc-signing-algs',
  'oidc-required-claim',
]
