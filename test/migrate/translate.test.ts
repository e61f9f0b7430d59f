import t from 'tap'
import { parse } from 'yaml'
import { commandLine } from '../../lib/migrate/document.js'
import { translate, type TranslateOptions } from '../../lib/migrate/translate.js'
import type { Translation } from '../../lib/migrate/translation.js'
import { everything, little } from './here.js'

const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']
const nothing: TranslateOptions['readFile'] = path => {
  throw new Error(`${path} is not there`)
}
const from = (
  args: readonly string[],
  options: Partial<TranslateOptions> = {},
): ReturnType<typeof translate> =>
  translate(commandLine(args), { here: everything, readFile: nothing, ...options })

function translated(...args: Parameters<typeof from>): Translation {
  const result = from(...args)
  if ('faults' in result) throw new Error(result.faults.join('\n'))
  return result
}
const faults = (...args: Parameters<typeof from>): unknown => {
  const result = from(...args)
  return 'faults' in result ? result.faults : []
}
const about = ({ differences }: Translation, name: string): unknown =>
  differences.filter(([what]) => what === name).map(([, says]) => says)

t.test('a user name that would change is a fault until it is said which one is meant', async t => {
  const keepOrNew =
    'say --username-prefix=keep for the old name, --username-prefix=new for the new one'
  t.same(faults(issuer), [
    `--oidc-username-prefix: none is given, and the claim is "sub": a user "alice" was "alice" and would be "https://i.example#alice"; ${keepOrNew}`,
  ])
  t.same(faults([...issuer, '--oidc-username-claim=name', '--oidc-username-prefix=']), [
    `--oidc-username-prefix: none is given, and the claim is "name": a user "alice" was "alice" and would be "https://i.example#alice"; ${keepOrNew}`,
  ])
  for (const claim of ['sub', 'email']) {
    t.same(faults([...issuer, `--oidc-username-claim=${claim}`, '--oidc-username-prefix=-']), [
      `--oidc-username-prefix "-": a user "alice" was "-alice" and would be "alice"; ${keepOrNew}`,
    ])
  }
})

t.test('old and new names of a sample stand side by side, whichever is chosen', async t => {
  const groups = ['--oidc-groups-claim=groups', '--oidc-groups-prefix=oidc:']
  const row = (kind: string, claim: string, sample: string, there: string, here: string) => ({
    kind,
    claim,
    sample,
    there,
    here,
  })
  const prefixOf = ({ flags }: Translation): unknown =>
    flags.find(([name]) => name === 'oidc-username-prefix')?.[1]
  const table: ReadonlyArray<readonly [Translation, unknown, unknown]> = [
    [
      translated([...issuer, ...groups], { usernames: 'keep' }),
      ['-'],
      [
        row('user', 'sub', 'alice', 'alice', 'alice'),
        row('group', 'groups', 'developers', 'oidc:developers', 'oidc:developers'),
      ],
    ],
    [
      translated(issuer, { usernames: 'new', sampleUser: 'bob' }),
      undefined,
      [row('user', 'sub', 'bob', 'bob', 'https://i.example#bob')],
    ],
    [
      translated([...issuer, '--oidc-username-prefix=-'], { usernames: 'new' }),
      ['-'],
      [row('user', 'sub', 'alice', '-alice', 'alice')],
    ],
    // Nothing changes: nobody needs to be asked.
    [
      translated([...issuer, '--oidc-username-prefix=x:', '--oidc-groups-claim=g'], {
        sampleGroup: 'ops',
      }),
      ['x:'],
      [row('user', 'sub', 'alice', 'x:alice', 'x:alice'), row('group', 'g', 'ops', 'ops', 'ops')],
    ],
    [
      translated([...issuer, '--oidc-username-claim=email']),
      undefined,
      [row('user', 'email', 'alice@example.com', 'alice@example.com', 'alice@example.com')],
    ],
  ]
  for (const [translation, prefix, names] of table) {
    t.same([prefixOf(translation), translation.names], [prefix, names])
  }
})

t.test('a name that no flag can make is kept by a file, or is refused', async t => {
  const args = [
    ...issuer,
    '--oidc-username-prefix=-',
    '--oidc-groups-claim=groups',
    '--oidc-groups-prefix=g:',
    '--oidc-required-claim=hd=a=b',
    '--oidc-signing-algs=ES256',
    '--oidc-ca-file=/ca.pem',
    '--tls-cert-file=/c',
  ]
  const { flags, issuerFile, names } = translated(args, {
    usernames: 'keep',
    readFile: path => `content of ${path}`,
  })
  t.same(flags.slice(0, 2), [
    ['authentication-config', ['authentication-config.yaml']],
    ['unsafe-use-service-account-token', ['true']],
  ])
  t.same(
    flags.filter(([name]) => name.startsWith('oidc-')),
    [],
  )
  t.same(parse(issuerFile?.content ?? ''), {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: {
          url: 'https://i.example',
          audiences: ['k'],
          certificateAuthority: 'content of /ca.pem',
        },
        claimValidationRules: [{ claim: 'hd', requiredValue: 'a=b' }],
        claimMappings: {
          username: { claim: 'sub', prefix: '-' },
          groups: { claim: 'groups', prefix: 'g:' },
        },
      },
    ],
  })
  t.same(
    names.map(({ there, here }) => [there, here]),
    [
      ['-alice', '-alice'],
      ['g:developers', 'g:developers'],
    ],
  )
  t.same(faults(args, { usernames: 'keep' }), [
    '--oidc-ca-file "/ca.pem": must be readable here: its content has to stand in the AuthenticationConfiguration',
  ])
  t.same(faults(args, { usernames: 'keep', here: little }), [
    '--oidc-username-prefix "-": this version cannot put it before names; only --username-prefix=new is possible',
  ])
})

t.test('every flag goes on, ends with a reason, or is said to be missing here', async t => {
  const args = [
    ...issuer,
    '--oidc-username-claim=email',
    '--token-passthrough',
    '--token-passthrough-audiences=a,b',
    '--disable-impersonation=false',
    '--extra-user-header-client-ip=false',
    '--extra-user-headers=a=1',
    '--extra-user-headers=b=2',
    '--trusted-proxies=10.0.0.0/8',
    '--tls-min-version=VersionTLS13',
    '--kubeconfig=/k',
    '--flush-interval=-1s',
    '--token=secret-token',
    '--password=secret-word',
    '--audit-webhook-config-file=/a',
    '--nonsense',
    '-v=2',
  ]
  const ours = [
    ['oidc-issuer-url', ['https://i.example']],
    ['oidc-client-id', ['k']],
    ['oidc-username-claim', ['email']],
  ]
  const rest = [
    ['secure-port', ['6443']],
    ['tls-min-version', ['VersionTLS13']],
    ['admin-bind-address', ['0.0.0.0']],
    ['admin-port', ['8080']],
  ]
  const all = translated(args)
  t.same(all.peer, 'rafpe')
  t.same(all.flags, [
    ...ours,
    ['kubeconfig', ['/k']],
    ['unsafe-use-service-account-token', ['true']],
    ['token-passthrough', ['true']],
    ['token-passthrough-audiences', ['a', 'b']],
    ['extra-user-headers', ['a=1', 'b=2']],
    ['trusted-proxies', ['10.0.0.0/8']],
    ...rest,
    ['log-level', ['debug']],
    ['client-impersonation', ['authorize']],
  ])
  t.same(all.ended, [
    ['--flush-interval', 'every answer is passed on as it comes'],
    ['--token', 'write it into a kubeconfig, and name that file with --kubeconfig'],
    [
      '--password',
      'basic authentication is not supported; use a token, exec or a client certificate',
    ],
    ['--audit-webhook-config-file', 'an audit log is configured by --audit-log-path alone'],
    ['--nonsense', 'is not known to this command; what it did is not carried over'],
  ])
  t.notMatch(JSON.stringify(all), /secret-/)

  const less = translated(args, { here: little, peer: 'jetstack' })
  t.same(less.flags, [
    ...ours,
    ['kubeconfig', ['/k']],
    ['unsafe-use-service-account-token', ['true']],
    ['trusted-proxies', ['10.0.0.0/8']],
    ...rest,
    ['client-impersonation', ['reject']],
  ])
  t.same(less.differences.slice(0, 3), [
    [
      '--token-passthrough',
      'this version has no such flag: a token of another issuer is refused with 401',
    ],
    [
      '--token-passthrough-audiences',
      'this version has no such flag: it goes with --token-passthrough',
    ],
    ['--extra-user-headers', 'this version has no such flag: these extras are not sent'],
  ])
})

t.test('without impersonation no credential of the gateway is used', async t => {
  const { flags, differences } = translated([
    ...issuer,
    '--oidc-username-claim=email',
    '--disable-impersonation',
  ])
  t.same(
    flags.filter(([name]) => /impersonation|unsafe/.test(name)),
    [
      ['impersonation', ['never']],
      ['client-impersonation', ['authorize']],
    ],
  )
  t.same(
    differences.filter(([what]) => /unsafe|system:auth|jti/.test(what)),
    [],
  )
})

t.test('a required claim that was not enforced is said to be enforced now', async t => {
  const args = [...issuer, '--oidc-username-claim=email', '--oidc-required-claim=hd=example.com']
  t.same(about(translated(args), '--oidc-required-claim'), [
    'is read there and not enforced; here a token without that value is refused with 401',
  ])
  t.same(about(translated(args, { peer: 'rafpe' }), '--oidc-required-claim'), [
    'is enforced there and here: 401',
  ])
  // The name under which a chart writes them.
  const { flags } = translated([
    ...issuer,
    '--oidc-username-claim=email',
    '--oidc-required-claims=a=1,b=2',
  ])
  t.same(
    flags.filter(([name]) => name === 'oidc-required-claim'),
    [['oidc-required-claim', ['a=1', 'b=2']]],
  )
})

t.test('an AuthenticationConfiguration goes on by itself', async t => {
  const { flags, names, differences } = translated(['--authentication-config=/a.yaml'])
  t.same(flags[0], ['authentication-config', ['/a.yaml']])
  t.same(names, [])
  t.same(
    differences.filter(([what]) => what === '--authentication-config').map(([, says]) => says),
    ['is read as it stands: user and group names are what it says, there and here'],
  )
  t.same(faults(['--authentication-config=/a.yaml', ...issuer]), [
    '--authentication-config: stands beside --oidc-issuer-url, which is one or the other here: write that issuer into "/a.yaml" as well',
  ])
})

t.test('everything that is wrong is told at once', async t => {
  t.same(faults([]), ['the command line is empty'])
  t.same(faults(['--oidc-username-claim=email', '--oidc-extra=1', 'x']), [
    'unexpected argument "x": only flags of kube-oidc-proxy are accepted',
    '--oidc-extra: is no flag of kube-oidc-proxy; take it out, or write what was meant',
    '--oidc-issuer-url: is missing',
    '--oidc-client-id: is missing',
  ])
  // What serve itself would say of the translation.
  t.same(
    faults([...issuer, '--oidc-username-claim=email'], {
      here: { ...everything, faultsOf: args => [`${args.length} flags, first ${args[0] ?? ''}`] },
    }),
    ['8 flags, first --oidc-issuer-url=https://i.example'],
  )
})
