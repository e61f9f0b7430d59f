import t from 'tap'
import { readPeerCommandLine, wordsOf } from '../../lib/migrate/command-line.js'

const read = (...args: string[]): unknown => {
  const { given, unknown, faults } = readPeerCommandLine(args)
  return { given: Object.fromEntries(given), unknown, faults }
}

t.test('flags are read as pflag reads them', async t => {
  t.same(
    read(
      '/usr/bin/kube-oidc-proxy',
      '--oidc-issuer-url=https://i.example',
      '--oidc-client-id',
      '--odd',
      '--token-passthrough',
      '--disable-impersonation=F',
      '-P',
      '8081',
      '-v=4',
      '--oidc-signing-algs=RS256,ES256',
      '--oidc_signing_algs=PS256',
      '--oidc-required-claim=a=b,c',
      '--oidc-required-claim',
      'd=e',
      '--secure-port=1',
      '--secure-port=2',
      '--oidc-username-prefix=',
    ),
    {
      given: {
        'oidc-issuer-url': ['https://i.example'],
        'oidc-client-id': ['--odd'],
        'token-passthrough': ['true'],
        'disable-impersonation': ['false'],
        'readiness-probe-port': ['8081'],
        v: ['4'],
        'oidc-signing-algs': ['RS256', 'ES256', 'PS256'],
        'oidc-required-claim': ['a=b,c', 'd=e'],
        'secure-port': ['2'],
        'oidc-username-prefix': [''],
      },
      unknown: [],
      faults: [],
    },
  )
})

t.test('what cannot be read is a fault each; what no kube-oidc-proxy has is told', async t => {
  t.same(
    read(
      'serve',
      '--nonsense',
      'value',
      '--nonsense=2',
      '-x',
      '--token-passthrough=maybe',
      '--oidc-issuer-url=$(URL)',
      '--oidc-client-id=$ID',
      '--oidc-groups-prefix=a$b',
      '--oidc-ca-file',
    ),
    {
      given: {
        'oidc-issuer-url': ['$(URL)'],
        'oidc-client-id': ['$ID'],
        'oidc-groups-prefix': ['a$b'],
      },
      unknown: ['nonsense', '-x'],
      faults: [
        'unexpected argument "serve": only flags of kube-oidc-proxy are accepted',
        '--token-passthrough "maybe": must be true or false',
        '--oidc-issuer-url "$(URL)": $(URL) is filled in from the environment: write the value itself',
        '--oidc-client-id "$ID": $ID is filled in from the environment: write the value itself',
        '--oidc-ca-file: needs a value, as --oidc-ca-file=<…>',
      ],
    },
  )
})

t.test('a command line in a file has the words that a shell would make of it', async t => {
  t.same(wordsOf(''), [])
  t.same(
    wordsOf(
      `kube-oidc-proxy \\
  --a="b c" '--d=e "f"' \\\r
  --g=h\\ i --j=#k   # a comment -- with words
  --l="m\\"n\\$o\\p" ''
`,
    ),
    ['kube-oidc-proxy', '--a=b c', '--d=e "f"', '--g=h i', '--j=#k', '--l=m"n$o\\p', ''],
  )
})
