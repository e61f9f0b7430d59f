import type { Finding } from '../finding.js'
import type { Findings } from './examination.js'
import { howToClose } from './report.js'

/**
 * What an examination has shown, as `check` tells it: a right too much is failed unless it is accepted
 * (`--allow-overprivileged-credential`), since `serve` would not start; one that is missing is failed, since the
 * API server would refuse requests.
 */
export function rightsFindings(
  { verdict, excess, open, missing, unknown, incomplete }: Findings,
  accepted: boolean,
): readonly Finding[] {
  const about = "the gateway's credential"
  const findings: Finding[] = [
    ...excess.map((right): Finding => ({
      outcome: accepted ? 'warning' : 'failed',
      about,
      says: `has a right too much: ${right}`,
      change: accepted
        ? 'serve starts with it (--allow-overprivileged-credential), and warns of it'
        : 'serve would not start; rbac, with the same flags, prints the rights that are needed',
    })),
    ...missing.map((right): Finding => ({
      outcome: 'failed',
      about,
      says: `lacks a right: ${right}`,
      change: 'the command rbac prints the role that allows it',
    })),
  ]
  if (open !== undefined) {
    findings.push({
      outcome: 'warning',
      about,
      says: `can say system:masters (${open})`,
      change: howToClose,
    })
  }
  if (unknown !== undefined) {
    findings.push({
      outcome: 'warning',
      about,
      says: `its rights could not all be found out: ${unknown}`,
      change: 'see why the API server does not answer reviews of its rights',
    })
  }
  if (verdict === 'least') {
    const listed = incomplete ? '; the list of its rights is not complete' : ''
    findings.push({
      outcome: 'ok',
      about,
      says: `has no right too much that could be found, and lacks none that is known${listed}`,
    })
  }
  return findings
}
