import type { Identity } from '../identity.js'

const authenticated = 'system:authenticated'
const unauthenticated = 'system:unauthenticated'

/** The service account that a user name stands for. */
export interface ServiceAccount {
  readonly namespace: string
  readonly name: string
}

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?'
const account = new RegExp(`^system:serviceaccount:(${label}):(${label}(?:\\.${label})*)$`)

/** `serviceaccount.SplitUsername`: a namespace is a DNS label, a service account's name a DNS subdomain. */
export function serviceAccountOf(username: string): ServiceAccount | undefined {
  const [, namespace = '', name = ''] = account.exec(username) ?? []
  return namespace === '' || namespace.length > 63 || name.length > 253
    ? undefined
    : { namespace, name }
}

/**
 * The groups that the API server sees an impersonated identity in: those that are named; without any, those of
 * a service account; and whoever is not anonymous is authenticated, unless the names say otherwise.
 * (`impersonationModeState.check`)
 */
export function groupsAt({ username, groups }: Pick<Identity, 'username' | 'groups'>): string[] {
  const of = groups.length === 0 ? serviceAccountOf(username) : undefined
  const all = of ? ['system:serviceaccounts', `system:serviceaccounts:${of.namespace}`] : groups
  const implied = username === 'system:anonymous' ? unauthenticated : authenticated
  return all.includes(unauthenticated) || all.includes(implied) ? [...all] : [...all, implied]
}
