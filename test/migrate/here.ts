import type { Here } from '../../lib/migrate/translate.js'

/** A `serve` that takes everything that kube-oidc-proxy has, and `authorize`. */
export const everything: Here = { has: () => true, takes: () => true, faultsOf: () => [] }

/** One that takes the plain flags alone. */
export const little: Here = {
  has: name =>
    !/^(authentication-config|token-passthrough|extra-user|audit-log|credential-id)/.test(name),
  takes: () => false,
  faultsOf: () => [],
}
