import { facts } from '../channels.js'
import type { Findings } from './examination.js'

/** A credential with more rights than the configuration needs: a gateway does not start with it. */
export class OverprivilegedCredential extends Error {
  override readonly name = 'OverprivilegedCredential'
  /** One line a right too much, and one that says what to do. */
  readonly faults: readonly string[]

  constructor({ excess }: Findings) {
    super('the credential of the gateway has more rights than this configuration needs')
    this.faults = [
      ...excess.map(right => `the credential of the gateway has a right too much: ${right}`),
      'impersonation-gateway rbac, with the same flags, prints the rights that are needed; --allow-overprivileged-credential starts with more',
    ]
  }
}

export interface ReportOptions {
  /** Whether excess is accepted (`--allow-overprivileged-credential`). */
  readonly accepted: boolean
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Says what was found, as loud as it is: what stays unknown at most once an hour, unless there is news of it. */
export function createReport({
  accepted,
  now = () => performance.now(),
}: ReportOptions): (findings: Findings) => void {
  let said: string | undefined
  let quietUntil = -Infinity
  let hasStarted = false
  return findings => {
    facts.credentialRights.publish({ verdict: findings.verdict })
    const { excess, open, missing, unknown, incomplete } = findings
    if (findings.verdict !== 'unknown') said = undefined
    switch (findings.verdict) {
      case 'excess':
        // A gateway that is refused for it says so itself, at its end.
        if (accepted || hasStarted) warn(accepted ? unsafe : grown, { excess })
        break
      case 'open':
        warn(groupsAreOpen, { open, incomplete, ...(missing.length > 0 && { missing }) })
        break
      case 'missing':
        warn(
          'the credential of this gateway lacks rights: the API server will refuse the requests that need them',
          { missing },
        )
        break
      case 'unknown':
        if (unknown === said && now() < quietUntil) break
        said = unknown
        quietUntil = now() + almostAnHourMs
        warn('the rights of the credential of this gateway could not be proven; asking again', {
          error: unknown,
        })
        break
      case 'least':
        facts.notice.publish({
          level: 'info',
          msg: 'the credential of this gateway has no right too much that could be found',
          fields: { incomplete },
        })
        break
      default:
        findings.verdict satisfies never
    }
    hasStarted ||= findings.verdict !== 'unknown'
  }
}

const almostAnHourMs = 3_500_000

const warn = (msg: string, fields: Readonly<Record<string, unknown>>): void =>
  facts.notice.publish({ level: 'warn', msg, fields: { ...fields, printedBy } })

const printedBy = 'impersonation-gateway rbac'
const unsafe =
  'UNSAFE: --allow-overprivileged-credential is on. The credential of this gateway has more rights than it needs; whoever gets hold of it need not even impersonate.'
const grown =
  'UNSAFE: the credential of this gateway has more rights than it needs. The gateway will not start with it again.'

/** What to do about a role that can say any group. */
export const howToClose =
  'name the groups (rbac --group=… for each, or --allowed-groups), or on Kubernetes 1.36 or newer use rbac --mode=constrained'
const groupsAreOpen = `UNSAFE: the credential of this gateway can say every group, system:masters too, since the configuration leaves groups open: whoever gets hold of it is a cluster administrator. To close it, ${howToClose}.`

/** What `/readyz?verbose` says of it; nothing when all is well. */
export function remarkOn(findings: Findings): string | undefined {
  const { verdict, excess, open, missing, unknown } = findings
  switch (verdict) {
    case 'open':
      return [
        `the credential of the gateway can say system:masters (${open ?? ''}); to close it, ${howToClose}`,
        ...(missing.length > 0 ? [`it lacks rights: ${missing.join('; ')}`] : []),
      ].join('; ')
    case 'excess':
      return `the credential of the gateway has rights too much: ${excess.join('; ')}`
    case 'missing':
      return `the credential of the gateway lacks rights: ${missing.join('; ')}`
    case 'unknown':
      return `credential rights unknown: ${unknown ?? 'not asked yet'}`
    case 'least':
      return undefined
    default:
      return verdict satisfies never
  }
}
