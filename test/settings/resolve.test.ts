import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { loadServe } from '../../lib/settings/load.js'
import type { ServeSettings, World } from '../../lib/settings/resolve.js'
import { createAuthority } from '../actors/certificates.js'

const authority = createAuthority()
const { cert, key } = await authority.issue()
const other = await authority.issue()
const encrypted = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
}).privateKey
const brokenPem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

const files: Readonly<Record<string, string>> = {
  'ca.pem': `a comment\n${authority.ca}${authority.ca}`,
  'half.pem': authority.ca + brokenPem,
  'empty.pem': 'no certificate\n',
  'tls.crt': cert + authority.ca,
  'tls.key': key,
  'other.key': other.key,
  'encrypted.key': encrypted,
  kubeconfig: 'looked for, not into',
}
const inCluster = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
const world: World = {
  env: inCluster,
  readFile: path => {
    const content = files[path]
    if (path === 'secret.pem') throw Object.assign(new Error('EACCES: no'), { code: 'EACCES' })
    if (path === 'folder') throw Object.assign(new Error('EISDIR: no'), { code: 'EISDIR' })
    if (content === undefined) throw Object.assign(new Error('ENOENT: no'), { code: 'ENOENT' })
    return Buffer.from(content)
  },
}
const least = ['--oidc-issuer-url=https://issuer.example/a', '--oidc-client-id=kubernetes']

const settled = (args: readonly string[], where = world): ServeSettings => {
  const loaded = loadServe([...least, ...args], where)
  if ('settings' in loaded) return loaded.settings
  throw new Error(JSON.stringify(loaded))
}
const faultsOf = (args: readonly string[], where = world): readonly string[] => {
  const loaded = loadServe(args, where)
  return 'faults' in loaded ? loaded.faults : []
}

t.test('issuer and audience are all that a gateway in a cluster needs', async t => {
  const settings = settled([])
  t.same(settings, {
    listen: {
      address: '0.0.0.0',
      port: 8443,
      tls: 'self-signed',
      minVersion: 'TLSv1.2',
      trustedProxies: [],
    },
    admin: { address: '127.0.0.1', port: 8080 },
    issuer: {
      url: 'https://issuer.example/a',
      audience: 'kubernetes',
      signingAlgs: ['RS256'],
      usernameClaim: 'sub',
      usernamePrefix: 'https://issuer.example/a#',
      groupsPrefix: '',
      requiredClaims: new Map(),
    },
    clockSkewSeconds: 30,
    credentialIdExtra: false,
    cluster: {},
    credentialMode: { kind: 'caller', impersonation: 'auto' },
    allowOverprivilegedCredential: false,
    clientImpersonation: 'strip',
    reserved: { users: new Set(), groups: new Set() },
    groups: { denied: [] },
    extra: { fixed: {}, clientIp: false },
    maxGroups: 256,
    maxInFlightPerUser: 0,
    closeStreamsAtTokenExpiry: false,
    logLevel: 'info',
    shutdownGracePeriodMs: 60_000,
  } satisfies ServeSettings)
  t.ok(Object.isFrozen(settings) && Object.isFrozen(settings.listen.trustedProxies))
})

t.test('every flag arrives where it belongs', async t => {
  t.same(
    settled(
      [
        '--bind-address=::1',
        '--secure-port=0',
        '--tls-cert-file=tls.crt',
        '--tls-private-key-file=tls.key',
        '--tls-min-version=VersionTLS13',
        '--admin-bind-address=0.0.0.0',
        '--admin-port=0',
        '--trusted-proxies=10.0.0.0/8,192.0.2.1',
        '--trusted-proxies=2001:db8::/32,::1,10.0.0.0/8',
        '--oidc-ca-file=ca.pem',
        '--oidc-username-claim=upn',
        '--oidc-username-prefix=oidc:',
        '--oidc-groups-claim=groups',
        '--oidc-groups-prefix=oidc:',
        '--oidc-signing-algs=RS256,ES384,EdDSA,RS256',
        '--oidc-clock-skew=1m0.5s',
        '--oidc-required-claim=hd=example.com,b',
        '--oidc-required-claim= team = a=b ',
        '--oidc-required-claim=empty=',
        '--kubeconfig=kubeconfig',
        '--context=prod',
        '--impersonation=always',
        '--client-impersonation=reject',
        '--allow-reserved-users=system:a',
        '--allow-reserved-groups=system:b,system:c',
        '--allowed-groups=oidc:*,ops',
        '--denied-groups=oidc:x',
        '--denied-groups=oidc:y*',
        '--extra-user-headers=Team=a,"note=x, ""y""",team=b=c',
        '--extra-user-headers=cluster=prod',
        '--extra-user-header-client-ip',
        '--token-passthrough',
        '--token-passthrough-audiences=a,b',
        '--max-groups=1',
        '--credential-id-extra',
        '--max-in-flight-per-user=20',
        '--close-streams-at-token-expiry',
        '--log-level=debug',
        '--shutdown-grace-period=24h',
      ],
      { ...world, env: {} },
    ),
    {
      listen: {
        address: '::1',
        port: 0,
        tls: { certFile: 'tls.crt', keyFile: 'tls.key' },
        minVersion: 'TLSv1.3',
        trustedProxies: ['10.0.0.0/8', '192.0.2.1/32', '2001:db8::/32', '::1/128'],
      },
      admin: { address: '0.0.0.0', port: 0 },
      issuer: {
        url: 'https://issuer.example/a',
        audience: 'kubernetes',
        caFile: 'ca.pem',
        signingAlgs: ['RS256', 'ES384', 'EdDSA'],
        usernameClaim: 'upn',
        usernamePrefix: 'oidc:',
        groupsClaim: 'groups',
        groupsPrefix: 'oidc:',
        requiredClaims: new Map([
          ['hd', 'example.com,b'],
          ['team', 'a=b'],
          ['empty', ''],
        ]),
      },
      clockSkewSeconds: 60.5,
      credentialIdExtra: true,
      cluster: { kubeconfig: 'kubeconfig', context: 'prod' },
      credentialMode: { kind: 'caller', impersonation: 'always' },
      allowOverprivilegedCredential: false,
      clientImpersonation: 'reject',
      reserved: { users: new Set(['system:a']), groups: new Set(['system:b', 'system:c']) },
      groups: { allowed: ['oidc:*', 'ops'], denied: ['oidc:x', 'oidc:y*'] },
      extra: {
        fixed: { team: ['a', 'b=c'], note: ['x, "y"'], cluster: ['prod'] },
        clientIp: true,
      },
      tokenPassthrough: { audiences: ['a', 'b'] },
      maxGroups: 1,
      maxInFlightPerUser: 20,
      closeStreamsAtTokenExpiry: true,
      logLevel: 'debug',
      shutdownGracePeriodMs: 86_400_000,
    } satisfies ServeSettings,
  )
})

t.test(
  'the prefix of user names is the issuer unless told otherwise or the claim is email',
  async t => {
    const prefixes: ReadonlyArray<readonly [readonly string[], string]> = [
      [[], 'https://issuer.example/a#'],
      [['--oidc-username-prefix='], 'https://issuer.example/a#'],
      [['--oidc-username-claim=email'], ''],
      [['--oidc-username-claim=email', '--oidc-username-prefix=a:'], 'a:'],
      [['--oidc-username-claim=email', '--oidc-username-prefix=-'], ''],
      [['--oidc-username-prefix=-'], ''],
      [['--oidc-username-prefix', '-'], ''],
      [['--oidc-username-prefix=--'], '--'],
      [['--oidc-username-prefix=System:'], 'System:'],
    ]
    for (const [args, prefix] of prefixes) {
      t.equal(settled(args).issuer?.usernamePrefix, prefix, args.join(' '))
    }
    t.equal(settled(['--oidc-groups-prefix=-']).issuer?.groupsPrefix, '-')
  },
)

t.test('the credential mode follows from its flags', async t => {
  const modes: ReadonlyArray<readonly [readonly string[], ServeSettings['credentialMode']]> = [
    [['--unsafe-use-service-account-token'], { kind: 'gateway' }],
    [['--unsafe-use-service-account-token', '--impersonation=auto'], { kind: 'gateway' }],
    [['--impersonation=never'], { kind: 'caller', impersonation: 'never' }],
    [['--disable-impersonation'], { kind: 'caller', impersonation: 'never' }],
    [
      ['--disable-impersonation', '--impersonation=never'],
      { kind: 'caller', impersonation: 'never' },
    ],
    [
      ['--disable-impersonation=false', '--impersonation=always'],
      { kind: 'caller', impersonation: 'always' },
    ],
  ]
  for (const [args, mode] of modes) t.same(settled(args).credentialMode, mode, args.join(' '))
})

t.test('plain HTTP is for loopback, or for proxies that are named', async t => {
  const unsafe = '--unsafe-use-service-account-token'
  for (const args of [
    ['--bind-address=127.0.0.1'],
    ['--bind-address=127.9.9.9', unsafe],
    ['--bind-address=::1', unsafe],
    ['--trusted-proxies=10.0.0.0/8'],
  ]) {
    t.equal(settled(['--insecure-plain-http', ...args]).listen.tls, 'off', args.join(' '))
  }
})

t.test('each fault names the flag, the value and what to change', async t => {
  const url = 'must be an https URL such as https://issuer.example.com'
  const network = 'must be a network such as 10.0.0.0/8 or 2001:db8::/32, or an IP address'
  const port = 'must be a whole number from 0 to 65535'
  const algorithms =
    'must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA'
  const reserved = 'has no effect: only names that begin with "system:" are reserved; take it out'
  const beyond =
    '--insecure-plain-http: beyond loopback needs --trusted-proxies: name the proxies that end TLS, or bind to 127.0.0.1'
  const beyondUnsafe =
    "--insecure-plain-http: beyond loopback is refused while the gateway's own credential is in use: serve TLS, or bind to 127.0.0.1"
  const callerOnly =
    "applies to the caller's token only; with --unsafe-use-service-account-token leave it out"
  const unsafe = '--unsafe-use-service-account-token'
  const table: ReadonlyArray<readonly [readonly string[], readonly string[]]> = [
    ...['65536', '-1', '84.5', '8e3', '0x50', 'http', '', ' 1', '9'.repeat(16)].map(
      value => [[`--secure-port=${value}`], [`--secure-port "${value}": ${port}`]] as const,
    ),
    [['--admin-port=65536'], [`--admin-port "65536": ${port}`]],
    ...['localhost', '127.1', '[::1]', '10.0.0.0/8', '0x7f.0.0.1'].map(
      value =>
        [
          [`--bind-address=${value}`],
          [`--bind-address "${value}": must be an IP address`],
        ] as const,
    ),
    [['--admin-bind-address=x'], ['--admin-bind-address "x": must be an IP address']],
    [['--secure-port=8080'], ['--admin-port "8080": is the port of --secure-port as well']],
    [
      ['--bind-address=127.0.0.1', '--admin-bind-address=::', '--admin-port=8443'],
      ['--admin-port "8443": is the port of --secure-port as well'],
    ],
    [
      ['--tls-min-version=VersionTLS11'],
      ['--tls-min-version "VersionTLS11": must be one of VersionTLS12, VersionTLS13'],
    ],
    [['--insecure-plain-http=yes'], ['--insecure-plain-http "yes": must be true or false']],
    [['--insecure-plain-http'], [beyond]],
    [['--insecure-plain-http', '--bind-address=::'], [beyond]],
    [['--insecure-plain-http', unsafe], [beyondUnsafe]],
    [['--insecure-plain-http', unsafe, '--trusted-proxies=::1'], [beyondUnsafe]],
    [
      [
        '--insecure-plain-http',
        '--bind-address=::1',
        '--tls-cert-file=tls.crt',
        '--tls-private-key-file=tls.key',
      ],
      [
        '--insecure-plain-http: contradicts --tls-cert-file and --tls-private-key-file; give one or the other',
      ],
    ],
    [
      ['--tls-cert-file=tls.crt'],
      ['--tls-cert-file "tls.crt": needs --tls-private-key-file beside it'],
    ],
    [
      ['--tls-private-key-file=tls.key'],
      ['--tls-private-key-file "tls.key": needs --tls-cert-file beside it'],
    ],
    [
      ['--tls-cert-file=tls.crt', '--tls-private-key-file=other.key'],
      ['--tls-private-key-file "other.key": is not the key of the certificate in --tls-cert-file'],
    ],
    [
      ['--tls-cert-file=tls.key', '--tls-private-key-file=tls.key'],
      ['--tls-cert-file "tls.key": must hold a certificate in PEM: there is none'],
    ],
    [
      ['--tls-cert-file=nowhere', '--tls-private-key-file=secret.pem'],
      [
        '--tls-cert-file "nowhere": cannot be read: no such file',
        '--tls-private-key-file "secret.pem": cannot be read: permission denied',
      ],
    ],
    [['--oidc-ca-file=folder'], ['--oidc-ca-file "folder": cannot be read: it is a directory']],
    [
      ['--oidc-ca-file=empty.pem'],
      ['--oidc-ca-file "empty.pem": must hold at least one certificate in PEM'],
    ],
    [['--kubeconfig=nowhere'], ['--kubeconfig "nowhere": cannot be read: no such file']],
    [['--config=nowhere'], ['--config "nowhere": cannot be read: no such file']],
    [['--config='], ['--config "": must name a file']],
    ...['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '::/129', 'example', '10.0/8', 'fe80::1%lo'].map(
      value =>
        [[`--trusted-proxies=${value}`], [`--trusted-proxies "${value}": ${network}`]] as const,
    ),
    [
      ['--trusted-proxies=::ffff:10.0.0.0/104'],
      ['--trusted-proxies "::ffff:10.0.0.0/104": must be written as an IPv4 network'],
    ],
    [['--trusted-proxies=::1,'], ['--trusted-proxies: has an empty entry; take it out']],
    ...['none', 'HS256', 'rs256', 'ES256K'].map(
      value =>
        [
          [`--oidc-signing-algs=${value}`],
          [`--oidc-signing-algs "${value}": ${algorithms}`],
        ] as const,
    ),
    [['--oidc-signing-algs='], ['--oidc-signing-algs: must name at least one algorithm']],
    [['--oidc-clock-skew=-1s'], ['--oidc-clock-skew "-1s": must not be negative']],
    [
      ['--oidc-clock-skew=30'],
      ['--oidc-clock-skew "30": must be a duration such as 30s, 300ms or 1h30m'],
    ],
    [
      ['--oidc-username-prefix=system:'],
      [
        '--oidc-username-prefix "system:": must not begin with "system:": those names are the cluster\'s own',
      ],
    ],
    [
      ['--oidc-groups-prefix=system:x'],
      [
        '--oidc-groups-prefix "system:x": must not begin with "system:": those names are the cluster\'s own',
      ],
    ],
    [
      ['--oidc-groups-prefix= x', '--oidc-username-prefix=a\tb'],
      [
        '--oidc-username-prefix "a\\tb": must not begin with a blank or hold control characters',
        '--oidc-groups-prefix " x": must not begin with a blank or hold control characters',
      ],
    ],
    ...['hd', '=a', ' =a'].map(
      value =>
        [
          [`--oidc-required-claim=${value}`],
          [`--oidc-required-claim "${value}": must be key=value`],
        ] as const,
    ),
    [
      ['--oidc-required-claim=hd=a', '--oidc-required-claim=hd=a'],
      ['--oidc-required-claim "hd=a": asks for a claim that another one asks for'],
    ],
    [['--context=prod'], ['--context "prod": needs --kubeconfig']],
    [
      ['--impersonation=sometimes'],
      ['--impersonation "sometimes": must be one of auto, always, never'],
    ],
    [[unsafe, '--impersonation=always'], [`--impersonation "always": ${callerOnly}`]],
    [[unsafe, '--impersonation=never'], [`--impersonation "never": ${callerOnly}`]],
    [[unsafe, '--disable-impersonation'], [`--disable-impersonation: ${callerOnly}`]],
    [
      ['--disable-impersonation', '--impersonation=auto'],
      ['--disable-impersonation: contradicts --impersonation=auto; give one of them'],
    ],
    [
      ['--client-impersonation=pass'],
      ['--client-impersonation "pass": must be one of strip, reject, authorize'],
    ],
    [['--allow-reserved-users=alice'], [`--allow-reserved-users "alice": ${reserved}`]],
    [['--allow-reserved-groups=System:x'], [`--allow-reserved-groups "System:x": ${reserved}`]],
    ...['**', 'a*b', '*a'].map(
      value =>
        [
          [`--denied-groups=${value}`],
          [`--denied-groups "${value}": may have "*" at its end only`],
        ] as const,
    ),
    [
      ['--allowed-groups='],
      ['--allowed-groups: must name at least one group; without the flag all are allowed'],
    ],
    [
      ['--allowed-groups=a', '--denied-groups=b', '--impersonation=never'],
      ['allowed', 'denied'].map(
        list => `--${list}-groups: has no effect on the caller's own token; it needs Impersonate-*`,
      ),
    ],
    [
      ['--max-in-flight-per-user=-1'],
      ['--max-in-flight-per-user "-1": must be a whole number of at least 0'],
    ],
    ...['team', '=a', 'a=', 'a= b', 'a =b', 'a=b\tc', 'a=1,,b=2'].map(
      value =>
        [
          [`--extra-user-headers=${value}`],
          [
            `--extra-user-headers ${JSON.stringify(value.includes(',,') ? '' : value)}: must be key=value, neither of them blank or padded`,
          ],
        ] as const,
    ),
    ...['"a=b', 'a="b"', '"a=b"c'].map(
      value =>
        [
          [`--extra-user-headers=${value}`],
          [
            `--extra-user-headers ${JSON.stringify(value)}: has a quote that is not closed, or text beside a quoted one`,
          ],
        ] as const,
    ),
    [
      ['--extra-user-headers=Remote-Client-IP=1'],
      [
        '--extra-user-headers "Remote-Client-IP=1": has a key of the gateway; use --extra-user-header-client-ip',
      ],
    ],
    [
      ['--extra-user-header-client-ip', '--disable-impersonation'],
      [
        "--extra-user-header-client-ip: has no effect on the caller's own token; it needs Impersonate-*",
      ],
    ],
    [
      ['--token-passthrough-audiences=a'],
      ['--token-passthrough-audiences: needs --token-passthrough'],
    ],
    [['--max-groups=0'], ['--max-groups "0": must be a whole number of at least 1']],
    [['--max-groups=1.5'], ['--max-groups "1.5": must be a whole number of at least 1']],
    [['--log-level=trace'], ['--log-level "trace": must be one of debug, info, warn, error']],
    [['--shutdown-grace-period=25h'], ['--shutdown-grace-period "25h": must not be over 24h']],
    [['--nonsense'], ['unknown flag "--nonsense"; --help lists them']],
  ]
  for (const [args, faults] of table) t.same(faultsOf([...least, ...args]), faults, args.join(' '))

  const urls: ReadonlyArray<readonly [string, string]> = [
    ['http://issuer.example', url],
    ['issuer.example', url],
    ['https:issuer.example', url],
    ['https:///issuer.example', url],
    ['https://', url],
    [' https://issuer.example', url],
    ['https://issuer.example\\@evil.example', url],
    ['https://issuer.example:99999', url],
    ['https://issuer.example?', 'must not have a query'],
    ['https://issuer.example/#', 'must not have a fragment'],
    ['https://me@issuer.example', 'must not have a user or password'],
    [`https://issuer.example/${'a'.repeat(100)}?b`, 'must not have a query'],
  ]
  for (const [value, says] of urls) {
    const shown = JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
    t.same(
      faultsOf([`--oidc-issuer-url=${value}`, '--oidc-client-id=a']),
      [`--oidc-issuer-url ${shown}: ${says}`],
      value,
    )
  }
})

t.test('a certificate or key that cannot be read is named', async t => {
  const [half, key] = [
    faultsOf([...least, '--oidc-ca-file=half.pem']),
    faultsOf([...least, '--tls-cert-file=tls.crt', '--tls-private-key-file=encrypted.key']),
  ]
  t.match(half, [/^--oidc-ca-file "half.pem": certificate 2 of 2 cannot be read: .+$/])
  t.match(key, [/^--tls-private-key-file "encrypted.key": must hold a private key in PEM: .+$/])
  t.same([half.length, key.length], [1, 1])
})

t.test('all faults are told at once', async t => {
  t.same(faultsOf(['--secure-port=x', '--nonsense', '--max-groups=0'], { ...world, env: {} }), [
    'unknown flag "--nonsense"; --help lists them',
    '--secure-port "x": must be a whole number from 0 to 65535',
    '--oidc-issuer-url: is required: the issuer whose tokens are accepted',
    '--oidc-client-id: is required: the audience that tokens must carry',
    '--kubeconfig: is required outside a cluster (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT not set)',
    '--max-groups "0": must be a whole number of at least 1',
  ])
  t.same(faultsOf(least, { ...world, env: { ...inCluster, KUBERNETES_SERVICE_PORT: '' } }), [
    '--kubeconfig: is required outside a cluster (KUBERNETES_SERVICE_PORT not set)',
  ])
})
