import { world } from './world.js'

/** What a test may need that not every control plane has on which these tests run. */
const features = {
  nodes: { since: 0, what: 'nodes whose logs, exec, attach and port-forward answer' },
  'impersonated-uid': { since: 22, what: 'Impersonate-Uid' },
  'openapi-v3': { since: 24, what: 'OpenAPI v3' },
  'aggregated-discovery': { since: 27, what: 'aggregated discovery' },
  'self-subject-review': { since: 28, what: 'SelfSubjectReview' },
  'authentication-config': { since: 30, what: '--authentication-config' },
} as const
export type Feature = keyof typeof features

/** For the options of a test: skips it, with what is missing as the reason, before an API server that is older. */
export function needs(...names: readonly Feature[]): { readonly skip: false | string } {
  const missing = names
    .filter(name => !has(name))
    .map(name => {
      const { since, what } = features[name]
      return name === 'nodes' ? what : `kube-apiserver 1.${since}: ${what}`
    })
  return { skip: missing.length > 0 && `needs ${missing.join(', and ')}` }
}

export function has(name: Feature): boolean {
  const { kubeApiServer, nodes } = world()
  return name === 'nodes' ? nodes : kubeApiServer.minor >= features[name].since
}
