import { noConnection, type Finding } from '../finding.js'
import type { Cluster } from './cluster.js'
import { askReview, askVersion, isStrings, member } from './review.js'

export interface ClusterCheckOptions {
  readonly cluster: Cluster
  /** Whether the gateway forwards with its own credential: then that is asked about. */
  readonly ownCredential: boolean
  /** Keys of extra that the gateway writes; each needs a right of its own. */
  readonly extraKeys: readonly string[]
}

/**
 * Asks the API server for what the gateway needs of it, and tells what came of it: whether it can be
 * reached, its version, whom it takes the gateway's credential for, and whether that one may impersonate.
 * Never rejects.
 */
export async function checkCluster(
  { cluster, ownCredential, extraKeys }: ClusterCheckOptions,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const about = `API server ${cluster.url}${cluster.basePath}`
  try {
    const findings: Finding[] = [{ outcome: 'ok', about, says: await greeting(cluster, signal) }]
    if (!ownCredential) return findings
    return [...findings, ...(await credentialFindings(cluster, extraKeys, signal))]
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

async function credentialFindings(
  cluster: Cluster,
  extraKeys: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  const who = await subject(cluster, signal)
  if (who.outcome === 'failed') return [who]
  const rights = await Promise.all([
    ...(['users', 'groups'] as const).map(all => mayImpersonate(cluster, { all }, signal)),
    ...extraKeys.map(extraKey => mayImpersonate(cluster, { extraKey }, signal)),
  ])
  return [who, ...rights]
}

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

type Impersonated = { readonly all: 'users' | 'groups' } | { readonly extraKey: string }

/** Of users and groups all names at once: who was given some by name is told that this cannot be seen so. */
async function mayImpersonate(
  cluster: Cluster,
  wanted: Impersonated,
  signal: AbortSignal,
): Promise<Finding> {
  const about = credential
  const attributes =
    'all' in wanted
      ? { resource: wanted.all }
      : {
          group: 'authentication.k8s.io',
          resource: 'userextras',
          subresource: wanted.extraKey,
        }
  const what =
    'all' in wanted ? `all ${wanted.all}` : `the extra ${JSON.stringify(wanted.extraKey)}`
  const spec = { resourceAttributes: { verb: 'impersonate', ...attributes } }
  try {
    const question = { kind: 'SelfSubjectAccessReview', spec, as: 'gateway' } as const
    const status = await askReview(cluster, question, signal)
    if (member(status, 'allowed') === true) {
      return { outcome: 'ok', about, says: `may impersonate ${what}` }
    }
    return 'all' in wanted
      ? {
          outcome: 'warning',
          about,
          says: `may not impersonate ${what}: perhaps some by name, perhaps none`,
          change: `kubectl auth can-i impersonate ${wanted.all}/<name> says it of one`,
        }
      : {
          outcome: 'failed',
          about,
          says: `may not impersonate ${what}: every request would be refused`,
          change: 'the command rbac prints the role that allows it',
        }
  } catch (error) {
    const says = `cannot be asked whether it may impersonate ${what}: ${noConnection(error).says}`
    return { outcome: 'warning', about, says }
  }
}
