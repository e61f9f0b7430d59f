export interface Introduced {
  /** `https://127.0.0.1:…` each. */
  readonly gateway: string
  readonly issuer: string
  readonly admin: string
  readonly cluster:
    | { readonly kind: 'stand-in'; readonly url: string }
    | { readonly kind: 'real'; readonly kubeconfig: string; readonly context?: string }
  /** The port that was wanted and taken, where the gateway had to go elsewhere. */
  readonly takenPort?: number
  readonly kubeconfigFile: string
  /** How kubectl can be called here: its path, whether that is needed, or why there is none. */
  readonly kubectl:
    { readonly path: string; readonly onPath: boolean } | { readonly missing: string }
  readonly serveFlags: readonly string[]
  /** The folder that goes when the demo ends; absent where it stays. */
  readonly temporaryFolder?: string
}

/** What the demo says when everything runs: what there is, what to try, and how to do it for real. */
export function introduction(about: Introduced): string {
  return [
    'The gateway is running.\n',
    ...whatRuns(about),
    '',
    ...whatToTry(about),
    '',
    ...forReal(about),
    '',
    `The tokens in the kubeconfig are good for an hour. Ctrl-C ends everything${
      about.temporaryFolder === undefined ? '' : ` and removes ${about.temporaryFolder}`
    }.`,
    '',
    'Requests that went through:',
    '',
  ].join('\n')
}

function whatRuns({ gateway, issuer, admin, cluster, takenPort }: Introduced): string[] {
  const elsewhere = takenPort === undefined ? '' : `  (port ${takenPort} was taken)`
  const upstream =
    cluster.kind === 'stand-in'
      ? row(
          'Kubernetes',
          cluster.url,
          'an in-memory stand-in: not a cluster, nothing runs in its pods',
        )
      : row('Kubernetes', 'your cluster', realCluster(cluster))
  return [
    row(
      'issuer',
      issuer,
      'an OpenID Connect provider with two users: alice (developers), bob (viewers)',
    ),
    row('gateway', gateway, `verifies their tokens and forwards as them${elsewhere}`),
    upstream,
    row('health', `${admin}/readyz?verbose`, ''),
    ...(cluster.kind === 'real' ? ['', ...warning(cluster)] : []),
  ]
}

function realCluster({ kubeconfig, context }: { kubeconfig: string; context?: string }): string {
  return `by ${context === undefined ? 'the current context' : `context ${context}`} of ${kubeconfig}`
}

function warning({ kubeconfig }: { readonly kubeconfig: string }): string[] {
  return [
    `  This is a real cluster. Requests reach it with the credential of ${kubeconfig},`,
    '  as the users alice and bob in the groups developers and viewers: they may do there what its RBAC',
    '  gives to these names (nothing, as a rule), and the credential itself must be allowed to impersonate.',
    '  While this runs, whoever can read the kubeconfig below can act as alice and bob.',
  ]
}

function whatToTry(about: Introduced): string[] {
  const { kubectl } = about
  const standIn = about.cluster.kind === 'stand-in'
  return [
    'Try it in another terminal:\n',
    `  export KUBECONFIG=${shellWord(about.kubeconfigFile)}`,
    ...('missing' in kubectl
      ? ['', `  ${kubectl.missing}`]
      : kubectl.onPath
        ? []
        : [`  alias kubectl=${shellWord(kubectl.path)}    # there is none on your PATH`]),
    '',
    tried('kubectl auth whoami', 'alice, in developers: as her token says'),
    tried('kubectl get pods', ''),
    tried('kubectl get pods -w', standIn ? 'a worker restarts now and then; Ctrl-C ends it' : ''),
    tried('kubectl create configmap hello --from-literal=a=b', standIn ? 'developers may' : ''),
    tried('kubectl delete configmap hello', ''),
    '',
    tried('kubectl --context=bob get pods', standIn ? 'viewers may look,' : ''),
    tried(
      'kubectl --context=bob create configmap hello',
      standIn ? 'and get a 403 for the rest' : '',
    ),
    tried(
      'kubectl --context=bob --as=alice auth whoami',
      'still bob: what clients claim to be is left out',
    ),
  ]
}

function forReal({ serveFlags }: Introduced): string[] {
  return [
    'The gateway runs as if started by',
    '',
    ['  impersonation-gateway serve', ...serveFlags.map(shellWord)].join(' \\\n    '),
    '',
    'The last flag lets it use a credential of its own, which may impersonate; leave it out where your API',
    'server accepts the tokens of your issuer. README.md says when to use which.',
  ]
}

function row(name: string, what: string, does: string): string {
  return `  ${name.padEnd(12)}${what.padEnd(26)}${does === '' ? '' : `  ${does}`}`.trimEnd()
}

function tried(line: string, says: string): string {
  return says === '' ? `  ${line}` : `  ${line.padEnd(51)}# ${says}`
}

/** A word that a shell reads as it stands. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
