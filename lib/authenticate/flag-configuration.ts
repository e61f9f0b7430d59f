import type { JwtAuthenticator, TokenRules } from './configuration.js'
import { validateConfiguration } from './configuration-validation.js'

/** What the `--oidc-*` flags say of an issuer and its claims. */
export interface IssuerFlags {
  readonly url: string
  readonly audience: string
  readonly usernameClaim: string
  /** Put before the user name as it stands; empty for none. */
  readonly usernamePrefix: string
  /** Absent: nobody has groups. */
  readonly groupsClaim?: string | undefined
  readonly groupsPrefix: string
  readonly requiredClaims: ReadonlyMap<string, string>
}

/** The flags as the configuration that says the same, as kube-apiserver turns them into one. */
function authenticatorOfFlags(flags: IssuerFlags): JwtAuthenticator {
  return {
    issuer: { url: flags.url, audiences: [flags.audience] },
    claimValidationRules: [...flags.requiredClaims].map(([claim, requiredValue]) => ({
      claim,
      requiredValue,
    })),
    claimMappings: {
      username: { claim: flags.usernameClaim, prefix: flags.usernamePrefix },
      groups:
        flags.groupsClaim === undefined
          ? {}
          : { claim: flags.groupsClaim, prefix: flags.groupsPrefix },
      uid: {},
      extra: [],
    },
    userValidationRules: [],
  }
}

/** @throws TypeError for flags that the settings should have refused */
export function rulesOfFlags(flags: IssuerFlags): TokenRules {
  const result = validateConfiguration({ jwt: [authenticatorOfFlags(flags)] })
  const [rules] = 'rules' in result ? result.rules : []
  if (rules !== undefined) return rules
  const [fault] = 'faults' in result ? result.faults : []
  throw new TypeError(`${fault?.path ?? 'jwt[0]'} ${fault?.says ?? 'is missing'}`)
}
