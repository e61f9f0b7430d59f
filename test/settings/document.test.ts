import t from 'tap'
import { readDocument } from '../../lib/settings/document.js'

const read = (...lines: string[]): Record<string, unknown> => {
  const { given, faults } = readDocument(lines.join('\n'), 'gateway.yaml')
  return faults.length > 0 ? { faults } : Object.fromEntries(given)
}

t.test('every kind of flag can stand in the file, and knows its line', async t => {
  t.same(
    read(
      '# a comment',
      'oidc-issuer-url: https://issuer.example',
      'secure-port: 0',
      'insecure-plain-http: true',
      'oidc-clock-skew: 10s',
      'shutdown-grace-period: 0',
      'trusted-proxies: 10.0.0.0/8,::1',
      'oidc-signing-algs: [RS256, ES256]',
      'allow-reserved-groups:',
      '  - "system:a,b"',
      'oidc-required-claim:',
      '  - hd=a,b',
      'impersonation: never',
    ),
    {
      'oidc-issuer-url': {
        values: ['https://issuer.example'],
        where: 'gateway.yaml:2: oidc-issuer-url',
      },
      'secure-port': { values: ['0'], where: 'gateway.yaml:3: secure-port' },
      'insecure-plain-http': { values: ['true'], where: 'gateway.yaml:4: insecure-plain-http' },
      'oidc-clock-skew': { values: ['10s'], where: 'gateway.yaml:5: oidc-clock-skew' },
      'shutdown-grace-period': {
        values: ['0'],
        where: 'gateway.yaml:6: shutdown-grace-period',
      },
      'trusted-proxies': {
        values: ['10.0.0.0/8', '::1'],
        where: 'gateway.yaml:7: trusted-proxies',
      },
      'oidc-signing-algs': {
        values: ['RS256', 'ES256'],
        where: 'gateway.yaml:8: oidc-signing-algs',
      },
      'allow-reserved-groups': {
        values: ['system:a,b'],
        where: 'gateway.yaml:9: allow-reserved-groups',
      },
      'oidc-required-claim': {
        values: ['hd=a,b'],
        where: 'gateway.yaml:11: oidc-required-claim',
      },
      impersonation: { values: ['never'], where: 'gateway.yaml:13: impersonation' },
    },
  )
  t.same(read('oidc-required-claim: hd=a,b'), {
    'oidc-required-claim': { values: ['hd=a,b'], where: 'gateway.yaml:1: oidc-required-claim' },
  })
  t.same(read('trusted-proxies: &net [10.0.0.0/8]', 'allow-reserved-users: *net'), {
    'trusted-proxies': { values: ['10.0.0.0/8'], where: 'gateway.yaml:1: trusted-proxies' },
    'allow-reserved-users': {
      values: ['10.0.0.0/8'],
      where: 'gateway.yaml:2: allow-reserved-users',
    },
  })
  t.same(read(''), {})
  t.same(read('# nothing'), {})
})

t.test('unknown keys and wrong types are faults with their line, all at once', async t => {
  const string = 'must be a string; put it in quotes'
  const table: ReadonlyArray<readonly [string, string]> = [
    ['oidc-isuer-url: x', '1: unknown key "oidc-isuer-url"; did you mean oidc-issuer-url?'],
    ['nonsense: x', '1: unknown key "nonsense"'],
    ['--secure-port: 1', '1: unknown key "--secure-port"; did you mean secure-port?'],
    ['config: x', '1: unknown key "config"'],
    ['help: true', '1: unknown key "help"'],
    ['__proto__: x', '1: unknown key "__proto__"'],
    ['<<: x', '1: unknown key "<<"'],
    ['audit-log-path: x', '1: unknown key "audit-log-path"'],
    ['[a]: x', '1: unknown key ""'],
    ['oidc-client-id: 0123', `1: oidc-client-id "0123": ${string}`],
    ['oidc-client-id: true', `1: oidc-client-id "true": ${string}`],
    ['oidc-client-id: 2024-01-01T', ''],
    ['oidc-client-id:', `1: oidc-client-id "": ${string}`],
    ['oidc-client-id: ~', `1: oidc-client-id "~": ${string}`],
    ['oidc-client-id: [a]', `1: oidc-client-id: ${string}`],
    ['oidc-client-id: {a: b}', `1: oidc-client-id: ${string}`],
    ['oidc-username-prefix: -', '1: is not valid YAML: '],
    ['secure-port: "8443"', '1: secure-port "8443": must be a whole number, without quotes'],
    ['secure-port: true', '1: secure-port "true": must be a whole number, without quotes'],
    [
      'insecure-plain-http: "true"',
      '1: insecure-plain-http "true": must be true or false, without quotes',
    ],
    [
      'insecure-plain-http: yes',
      '1: insecure-plain-http "yes": must be true or false, without quotes',
    ],
    [
      'oidc-clock-skew: 30',
      '1: oidc-clock-skew "30": must be a duration such as 30s, 300ms or 1h30m',
    ],
    [
      'trusted-proxies: 10',
      '1: trusted-proxies "10": must be a string or a list of strings; put them in quotes',
    ],
    [
      'trusted-proxies: [a, 10]',
      '1: trusted-proxies: must be a string or a list of strings; put them in quotes',
    ],
    [
      'oidc-required-claim: {hd: a}',
      '1: oidc-required-claim: must be a string or a list of strings; put them in quotes',
    ],
    ['- a', '1: must be a mapping from flags to values'],
    ['a', '1: must be a mapping from flags to values'],
    ['context: a\ncontext: b', '2: is not valid YAML: '],
    ['context: "a', '1: is not valid YAML: '],
    ['context: !secret a', '1: is not valid YAML: '],
    ['context: a\n---\ncontext: b', '2: is not valid YAML: '],
    ['context: *nothing', '1: '],
  ]
  for (const [text, expected] of table) {
    const { faults } = readDocument(text, 'gateway.yaml')
    if (expected === '') t.same(faults, [], text)
    else if (expected.endsWith(': ')) {
      t.equal(faults.length, 1, text)
      t.equal(faults[0]?.startsWith(`gateway.yaml:${expected}`), true, `${text}: ${faults[0]}`)
      t.notMatch(faults[0], /\n/)
    } else t.same(faults, [`gateway.yaml:${expected}`], text)
  }
  t.same(read('nonsense: x', 'secure-port: a', 'context: a'), {
    faults: [
      'gateway.yaml:1: unknown key "nonsense"',
      'gateway.yaml:2: secure-port "a": must be a whole number, without quotes',
    ],
  })
})
