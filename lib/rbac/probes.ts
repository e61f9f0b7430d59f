import type { Rule } from './rule.js'

/** One thing that nobody may do with the gateway's credential, and what to say when it can be done. */
export interface Probe extends Rule {
  /** Added to the sentence. */
  readonly advice?: string
}

const probe = (
  verb: string,
  apiGroup: string,
  resource: string,
  more: { readonly advice?: string } = {},
): Probe => ({ verbs: [verb], apiGroups: [apiGroup], resources: [resource], ...more })

const rbac = 'rbac.authorization.k8s.io'

/** Whoever may do this is a cluster administrator, and nothing else needs to be asked. */
export const administrator: Probe = probe('*', '*', '*')

/** The rule that open groups need where impersonation is not constrained. RBAC cannot exclude a name from it. */
export const anyGroup: Rule = probe('impersonate', '', 'groups')

/** Whoever may say this is a cluster administrator in one header. */
export const masters: Probe = {
  ...anyGroup,
  resourceNames: ['system:masters'],
  advice:
    'name the groups (rbac --group=… for each, or --allowed-groups), or on Kubernetes 1.36 or newer use rbac --mode=constrained, where nobody can',
}

/**
 * What is asked about by name: a list of rules need not be complete, and these are the ways from a credential
 * to the whole cluster.
 */
export const probes: readonly Probe[] = [
  ...['get', 'list', 'watch'].map(verb => probe(verb, '', 'secrets')),
  probe('create', '', 'pods'),
  probe('create', '', 'pods/exec'),
  probe('get', '', 'pods/exec'),
  probe('create', '', 'pods/attach'),
  probe('update', '', 'pods/ephemeralcontainers'),
  probe('create', 'apps', 'deployments'),
  probe('create', '', 'serviceaccounts/token'),
  probe('get', '', 'nodes/proxy'),
  probe('create', '', 'nodes/proxy'),
  ...['roles', 'clusterroles'].flatMap(resource => [
    probe('escalate', rbac, resource),
    probe('bind', rbac, resource),
    probe('update', rbac, resource),
  ]),
  probe('create', rbac, 'rolebindings'),
  probe('create', rbac, 'clusterrolebindings'),
  probe('impersonate', '', 'serviceaccounts', {
    advice: 'name those that are meant: rbac --user=system:serviceaccount:<namespace>:<name>',
  }),
  masters,
  probe('impersonate:serviceaccount', 'authentication.k8s.io', 'serviceaccounts'),
  probe('impersonate:arbitrary-node', 'authentication.k8s.io', 'nodes'),
  probe('approve', 'certificates.k8s.io', 'signers'),
  probe('create', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations'),
]

/** As a SelfSubjectAccessReview asks it: in all namespaces. */
export function accessSpec({ verbs, apiGroups, resources, resourceNames }: Probe): object {
  const [resource = '', subresource] = (resources?.[0] ?? '').split('/', 2)
  return {
    resourceAttributes: {
      verb: verbs[0],
      group: apiGroups?.[0] ?? '',
      resource,
      ...(subresource !== undefined && { subresource }),
      ...(resourceNames && { name: resourceNames[0] }),
    },
  }
}
