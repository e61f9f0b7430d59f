import t from 'tap'
import { readCommandLine } from '../../lib/settings/command-line.js'

const given = (...args: string[]): Record<string, readonly string[]> => {
  const line = readCommandLine(args)
  t.same(line.faults, [], args.join(' '))
  return Object.fromEntries([...line.given].map(([name, { values }]) => [name, values]))
}

t.test('a value follows its flag after "=" or after a blank', async t => {
  t.same(given('--secure-port=1', '--bind-address', '::1', '--context='), {
    'secure-port': ['1'],
    'bind-address': ['::1'],
    context: [''],
  })
  t.same(given('--oidc-username-prefix', '-'), { 'oidc-username-prefix': ['-'] })
  t.same(given('--oidc-username-prefix', '-x'), { 'oidc-username-prefix': ['-x'] })
  t.same(given('--oidc-username-prefix=--x=y'), { 'oidc-username-prefix': ['--x=y'] })
})

t.test('a switch stands alone or takes true or false', async t => {
  t.same(given('--insecure-plain-http'), { 'insecure-plain-http': ['true'] })
  t.same(given('--insecure-plain-http=true'), { 'insecure-plain-http': ['true'] })
  t.same(given('--insecure-plain-http=false', '--context', 'a'), {
    'insecure-plain-http': ['false'],
    context: ['a'],
  })
})

t.test('a list is repeated or separated by commas; a required claim keeps its commas', async t => {
  t.same(given('--oidc-signing-algs=RS256,ES256', '--oidc-signing-algs', 'PS256'), {
    'oidc-signing-algs': ['RS256', 'ES256', 'PS256'],
  })
  t.same(given('--allow-reserved-users='), { 'allow-reserved-users': [] })
  t.same(given('--oidc-required-claim=a=1,2', '--oidc-required-claim=b=='), {
    'oidc-required-claim': ['a=1,2', 'b=='],
  })
})

t.test('--help wins over everything that is wrong', async t => {
  for (const help of ['--help', '-h']) {
    t.same(readCommandLine(['--nonsense', help]), { given: new Map(), faults: [], help: true })
  }
})

t.test('every fault is found, in one line each', async t => {
  const table: ReadonlyArray<readonly [readonly string[], readonly string[]]> = [
    [['serve'], ['unexpected argument "serve": only flags are accepted']],
    [['-'], ['unexpected argument "-": only flags are accepted']],
    [['--', '--help'], ['unexpected argument "--help": only flags are accepted']],
    [
      ['--insecure-plain-http', 'false'],
      ['unexpected argument "false": write --insecure-plain-http=false'],
    ],
    [['--nonsense'], ['unknown flag "--nonsense"; --help lists them']],
    [['--nonsense', 'value'], ['unknown flag "--nonsense"; --help lists them']],
    [['--nonsense=value'], ['unknown flag "--nonsense"; --help lists them']],
    [['-v'], ['unknown flag "-v"; --help lists them']],
    [['--__proto__=1'], ['unknown flag "--__proto__"; --help lists them']],
    [
      ['--oidc-isuer-url=https://x'],
      ['unknown flag "--oidc-isuer-url"; did you mean --oidc-issuer-url?'],
    ],
    [['--oidc_client_id=x'], ['unknown flag "--oidc_client_id"; did you mean --oidc-client-id?']],
    [['-secure-port=1'], ['unknown flag "-secure-port"; did you mean --secure-port?']],
    [['--secure-port'], ['--secure-port: needs a value, as --secure-port=<…>']],
    [
      ['--oidc-client-id', '--max-groups=1'],
      ['--oidc-client-id: needs a value, as --oidc-client-id=<…>'],
    ],
    [
      ['--context=a', '--context=a', '--context=b'],
      ['--context: is given more than once; give it once'],
    ],
    [
      ['--insecure-plain-http', '--insecure-plain-http'],
      ['--insecure-plain-http: is given more than once; give it once'],
    ],
    [
      ['x\n\u001b[31m\u009b', '--secure-port'],
      [
        'unexpected argument "x\\n\\u001b[31m\\u009b": only flags are accepted',
        '--secure-port: needs a value, as --secure-port=<…>',
      ],
    ],
    [['y'.repeat(101)], [`unexpected argument "${'y'.repeat(100)}…": only flags are accepted`]],
  ]
  for (const [args, expected] of table)
    t.same(readCommandLine(args).faults, expected, args.join(' '))
})

t.test('a flag that a later version has is not accepted by this one', async t => {
  for (const later of ['audit-log-path']) {
    t.same(readCommandLine([`--${later}=x`]).faults, [
      `unknown flag "--${later}"; --help lists them`,
    ])
  }
})
