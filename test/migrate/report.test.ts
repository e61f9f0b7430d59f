import t from 'tap'
import { parse } from 'yaml'
import { commandLine } from '../../lib/migrate/document.js'
import { asConfig, asJson, asText } from '../../lib/migrate/report.js'
import { translate } from '../../lib/migrate/translate.js'
import type { Translation } from '../../lib/migrate/translation.js'
import { everything, little } from './here.js'

function translation(args: readonly string[], keep = false): Translation {
  const result = translate(commandLine(args), {
    here: keep ? everything : little,
    usernames: keep ? 'keep' : 'new',
    readFile: () => '',
  })
  if ('faults' in result) throw new Error(result.faults.join('\n'))
  return result
}

const args = [
  '--oidc-issuer-url=https://i.example',
  '--oidc-client-id=it is',
  "--oidc-groups-claim=it's",
  '--tls-cert-file=/c',
  '--tls-private-key-file=/k',
  '--disable-impersonation',
  '--flush-interval=1s',
]

t.test('the text tells names, command line, differences, and what ends', async t => {
  t.equal(
    asText(translation(args)),
    `From the command line of TremoloSecurity/kube-oidc-proxy (taken for it; --from says otherwise).

Names
         claim             there       here
  user   sub: alice        alice       https://i.example#alice (another name: RBAC has to follow)
  group  it's: developers  developers  developers (the same)

Command line
  impersonation-gateway serve \\
    --oidc-issuer-url=https://i.example \\
    '--oidc-client-id=it is' \\
    '--oidc-groups-claim=it'\\''s' \\
    --impersonation=never \\
    --tls-cert-file=/c \\
    --tls-private-key-file=/k \\
    --secure-port=6443 \\
    --admin-bind-address=0.0.0.0 \\
    --admin-port=8080 \\
    --client-impersonation=strip

Different here
  system: names: a token that carries such a user or group is refused with 403, unless --allow-reserved-users or --allow-reserved-groups names it
  names: blank, padded, over 1,024 bytes or with control characters: refused with 403; more groups than --max-groups (256): 431
  --impersonation=never: is what --disable-impersonation is called here
  token: only canonical JWTs with typ JWT or at+jwt, or none, are accepted; exp is required; anything else is 401
  kubectl --as: is honoured there; here it is left out, and the answer carries a warning
  client address: X-Forwarded-For is read from any client there; here only from the networks of --trusted-proxies
  refusals: are text/plain there; here a Kubernetes Status with an Audit-ID, which kubectl prints
  /ready: stays 200 there once it has been; here /ready and /readyz turn 503 again when no key of an issuer is known, and at shutdown
  admin port: also has /livez and /metrics, and like there listens on all addresses: --admin-bind-address=127.0.0.1 is for sidecars only
  log: JSON lines on standard error, one for each request
  upgrades: to websocket and SPDY/3.1 alone; the API server’s redirects are passed on and never followed

Not carried over
  --flush-interval: every answer is passed on as it comes
`,
  )
})

t.test('the file has each value in the type of its flag', async t => {
  const config = asConfig(
    translation([
      ...args,
      '--oidc-required-claim=a=b',
      '--oidc-signing-algs=RS256,ES256',
      '--trusted-proxies=10.0.0.0/8',
    ]),
  )
  t.same(parse(config), {
    'oidc-issuer-url': 'https://i.example',
    'oidc-client-id': 'it is',
    'oidc-groups-claim': "it's",
    'oidc-required-claim': ['a=b'],
    'oidc-signing-algs': ['RS256', 'ES256'],
    impersonation: 'never',
    'trusted-proxies': ['10.0.0.0/8'],
    'tls-cert-file': '/c',
    'tls-private-key-file': '/k',
    'secure-port': 6443,
    'admin-bind-address': '0.0.0.0',
    'admin-port': 8080,
    'client-impersonation': 'strip',
  })
  const [, firstRemark] = config.split('\n')
  t.equal(firstRemark, '# --oidc-required-claim: is enforced there and here: 401')
})

t.test('an AuthenticationConfiguration stands in every output', async t => {
  const kept = translation(
    ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k', '--oidc-username-prefix=-'],
    true,
  )
  const content = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer:
      url: https://i.example
      audiences:
        - k
    claimMappings:
      username:
        claim: sub
        prefix: "-"
`
  const each = (before: string): string =>
    content
      .trimEnd()
      .split('\n')
      .map(line => before + line)
      .join('\n')
  t.ok(asText(kept).includes(`\nThe file authentication-config.yaml\n${each('  ')}\n`))
  t.ok(asConfig(kept).includes(`\n# authentication-config.yaml:\n${each('#   ')}\n`))
  t.same(JSON.parse(asJson(kept)).authenticationConfig, {
    path: 'authentication-config.yaml',
    content,
  })
})

t.test('the JSON has everything by name', async t => {
  const { differences, ...rest } = JSON.parse(asJson(translation(args)))
  t.same(rest, {
    from: { program: 'TremoloSecurity/kube-oidc-proxy', source: 'command line' },
    args: [
      '--oidc-issuer-url=https://i.example',
      '--oidc-client-id=it is',
      "--oidc-groups-claim=it's",
      '--impersonation=never',
      '--tls-cert-file=/c',
      '--tls-private-key-file=/k',
      '--secure-port=6443',
      '--admin-bind-address=0.0.0.0',
      '--admin-port=8080',
      '--client-impersonation=strip',
    ],
    names: [
      {
        kind: 'user',
        claim: 'sub',
        sample: 'alice',
        there: 'alice',
        here: 'https://i.example#alice',
        changes: true,
      },
      {
        kind: 'group',
        claim: "it's",
        sample: 'developers',
        there: 'developers',
        here: 'developers',
        changes: false,
      },
    ],
    notCarriedOver: [{ about: '--flush-interval', says: 'every answer is passed on as it comes' }],
    beside: [],
  })
  t.same(differences[2], {
    about: '--impersonation=never',
    says: 'is what --disable-impersonation is called here',
  })
})
