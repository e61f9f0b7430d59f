import { neededRights, requestRights, type RightsConfiguration } from './needed.js'
import type { Allowance } from './rule.js'

const authentication = 'authentication.k8s.io'

/** Everything that is in order for the credential to hold, in whichever mode it was given. */
export function allowances(configuration: RightsConfiguration): readonly Allowance[] {
  const { reservedUsers, reservedGroups, clientImpersonation } = configuration
  const reserved = new Set([...reservedUsers, ...reservedGroups])
  // What clients ask for is theirs to say, and whoever named it for them meant it; but not this group.
  const never = (name: string): boolean =>
    !reserved.has(name) &&
    (name === 'system:masters' || (name.startsWith('system:') && !clientImpersonation))
  const subjects = ['users', 'groups']
  const needed = (['legacy', 'constrained'] as const)
    .flatMap(mode => neededRights(configuration, mode))
    .map(right =>
      right.resources?.some(it => subjects.includes(it)) ? { ...right, never } : right,
    )
  return [...needed, ...(clientImpersonation ? asked : []), ...everybodys]
}

/** What only `rbac` is told by name, and the gateway itself cannot know. */
const asked: readonly Allowance[] = [
  {
    verbs: ['impersonate', 'impersonate:user-info'],
    apiGroups: [authentication],
    resources: ['userextras/*'],
  },
  { verbs: ['impersonate'], apiGroups: [''], resources: ['serviceaccounts'], onlyNamed: true },
  {
    verbs: ['impersonate:serviceaccount', 'impersonate:arbitrary-node'],
    apiGroups: [authentication],
    resources: ['serviceaccounts', 'nodes'],
    onlyNamed: true,
  },
  ...requestRights({ accounts: [['', '']], nodes: [''] }),
]

/** What Kubernetes gives to everybody who is authenticated, and to every service account: not for us to judge. */
const everybodys: readonly Allowance[] = [
  {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  },
  { verbs: ['create'], apiGroups: [authentication], resources: ['selfsubjectreviews'] },
  {
    verbs: ['get', 'list', 'watch'],
    apiGroups: ['certificates.k8s.io'],
    resources: ['clustertrustbundles'],
  },
  {
    verbs: ['get'],
    nonResourceURLs: [
      '/.well-known/*',
      '/api',
      '/api/*',
      '/apis',
      '/apis/*',
      '/healthz',
      '/livez',
      '/openapi',
      '/openapi/*',
      '/openid/*',
      '/readyz',
      '/swagger*',
      '/version',
      '/version/',
    ],
  },
]
