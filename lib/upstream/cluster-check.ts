import { noConnection, type Finding } from '../finding.js'
import type { Cluster } from './cluster.js'
import { askReview, askVersion, isStrings, member } from './review.js'

export interface ClusterCheckOptions {
  readonly cluster: Cluster
  /** Whether the gateway forwards with its own credential: then that is asked about. */
  readonly ownCredential: boolean
}

/**
 * Asks the API server for what the gateway needs of it, and tells what came of it: whether it can be
 * reached, its version, and whom it takes the gateway's credential for. Never rejects.
 */
export async function checkCluster(
  { cluster, ownCredential }: ClusterCheckOptions,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const about = `API server ${cluster.url}${cluster.basePath}`
  try {
    const findings: Finding[] = [{ outcome: 'ok', about, says: await greeting(cluster, signal) }]
    if (!ownCredential) return findings
    return [...findings, await subject(cluster, signal)]
  } catch (error) {
    const { says, untrusted } = noConnection(error)
    const change = untrusted
      ? 'put the authority of its certificate into the kubeconfig (certificate-authority)'
      : 'see whether this machine can reach it by the address in the kubeconfig'
    return [{ outcome: 'failed', about, says, change }]
  }
}

/** Any answer shows that there is a way; the version is told where strangers may read it. */
async function greeting(cluster: Cluster, signal: AbortSignal): Promise<string> {
  const { statusCode, version } = await askVersion(cluster, signal)
  return version === undefined
    ? `reached; it does not tell its version to strangers (status ${statusCode})`
    : `reached; version ${JSON.stringify(version.slice(0, 100))}`
}

const credential = "the gateway's credential"

async function subject(cluster: Cluster, signal: AbortSignal): Promise<Finding> {
  try {
    const status = await askReview(cluster, { kind: 'SelfSubjectReview', as: 'gateway' }, signal)
    const user = member(status, 'userInfo')
    const name = member(user, 'username')
    const groups = member(user, 'groups')
    const shown =
      isStrings(groups) && groups.length > 0 ? ` in ${groups.slice(0, 8).join(', ')}` : ''
    const says = `comes as ${JSON.stringify(name)}${shown}`
    if (name === 'system:anonymous') {
      return { outcome: 'failed', about: credential, says, change: 'the credential is not known' }
    }
    return { outcome: 'ok', about: credential, says }
  } catch (error) {
    const { says } = noConnection(error)
    if (says === 'status 404') {
      const old = 'the API server has no SelfSubjectReview: older than Kubernetes 1.28'
      return { outcome: 'warning', about: credential, says: old }
    }
    const change =
      says === 'status 401'
        ? 'it is wrong or has expired: renew the token or certificate of the kubeconfig user'
        : 'see why the API server does not answer a SelfSubjectReview'
    return { outcome: 'failed', about: credential, says, change }
  }
}
