import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runProgram, type Ended } from '../actors/gateway.js'
import { tempDir } from '../actors/files.js'
import { startIssuer } from '../actors/issuer.js'

const explain = (args: readonly string[], stdin?: string): Promise<Ended> =>
  runProgram(['explain', ...args], stdin === undefined ? {} : { input: stdin })

t.test('a token is explained from standard input, a file and the command line alike', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  const folder = tempDir(t)
  const caFile = join(folder, 'ca.crt')
  const tokenFile = join(folder, 'token')
  const token = issuer.sign({ sub: 'álice', groups: ['dev'] })
  writeFileSync(caFile, issuer.ca)
  writeFileSync(tokenFile, `Bearer ${token}\n`)
  const flags = [
    `--oidc-issuer-url=${issuer.url}`,
    '--oidc-client-id=kubernetes',
    `--oidc-ca-file=${caFile}`,
    '--oidc-username-prefix=-',
    '--oidc-groups-claim=groups',
    '--kubeconfig=/is/not/needed',
    '--unsafe-use-service-account-token',
    '--output=json',
  ]
  const all = await Promise.all([
    explain(['-', ...flags], `${token}\n`),
    explain([`@${tokenFile}`, ...flags]),
    explain([...flags, token]),
    explain([...flags, '-'], token),
    explain(['--disable-impersonation=false', ...flags.slice(0, -1), '-', '-o', 'json'], token),
  ])
  for (const { code, stdout, stderr } of all) {
    t.same([code, stderr], [0, ''])
    t.match(JSON.parse(stdout), {
      verdict: 'accepted',
      issuer: issuer.url,
      identity: { username: 'álice', groups: ['dev'], extra: {} },
      upstream: {
        credential: "the gateway's own credential",
        headers: [
          ['Impersonate-User', 'álice'],
          ['Impersonate-Group', 'dev'],
          ['Authorization', '<the credential of the gateway>'],
        ],
      },
    })
    for (const part of token.split('.')) t.notOk(stdout.includes(part))
  }
  await issuer.down()
  const unknown = await explain(['-', ...flags], token)
  t.same([unknown.code, unknown.stderr], [1, ''])
  t.match(JSON.parse(unknown.stdout), {
    verdict: 'unknown',
    refusal: { code: 'issuer_unavailable' },
  })
})

t.test('groups that are left out are told, in both formats', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  const token = issuer.sign({ groups: ['team-a', 'list-1', 'team-secret'] })
  const flags = [
    `--oidc-issuer-url=${issuer.url}`,
    '--oidc-client-id=kubernetes',
    '--oidc-groups-claim=groups',
    '--oidc-groups-prefix=oidc:',
    '--allowed-groups=oidc:team-*',
    '--denied-groups=oidc:team-secret',
    '--offline',
  ]
  const leftOut = ['oidc:list-1', 'oidc:team-secret']
  const { stdout } = await explain(['-', ...flags, '-o', 'json'], token)
  t.match(JSON.parse(stdout), { identity: { groups: ['oidc:team-a'] }, leftOut })
  const told = leftOut.map(group => JSON.stringify(group)).join(', ')
  t.match(
    (await explain(['-', ...flags], token)).stdout,
    `\n  left out by --allowed-groups or --denied-groups: ${told}\n`,
  )
})

t.test('a token that is refused is explained all the same, with status 0', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  const flags = [`--oidc-issuer-url=${issuer.url}`, '--oidc-client-id=kubernetes', '--offline']
  const { code, stdout, stderr } = await explain(['-', ...flags], issuer.sign({ aud: 'other' }))
  t.same([code, stderr], [0, ''])
  t.match(stdout, /^refused: token_audience \(401 Unauthorized\)\n/)
  t.match(stdout, /\n {2}the token is for "other"; accepted: "kubernetes"\n/)
  t.notMatch(stdout, /To the API server/)

  const good = await explain(['-', ...flags], issuer.sign())
  t.match(good.stdout, /^accepted, if the signature is right: the issuer was not asked\n/)
  t.match(
    good.stdout,
    /\nTo the API server, with the caller's token; no Impersonate-\* where [^\n]*\n {2}Authorization: Bearer <the token>\n {2}Impersonate-User: https/,
  )
  t.same(issuer.requests, [])
})

t.test('an AuthenticationConfiguration is explained by its rules', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  const file = join(tempDir(t), 'authentication.yaml')
  writeFileSync(
    file,
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: "${issuer.url}", audiences: [kubernetes] }
    claimMappings:
      username: { expression: '"u:" + claims.sub' }
`,
  )
  const args = ['-', `--authentication-config=${file}`, '--offline', '--output=json']
  const { code, stdout } = await explain(args, issuer.sign({ sub: 'alice' }))
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { verdict: 'unproven', identity: { username: 'u:alice' } })
  writeFileSync(file, 'kind: Nonsense\n')
  const wrong = await explain(args, 'x')
  t.equal(wrong.code, 2)
  t.match(wrong.stderr, new RegExp(`^${file}`))
})

t.test('faults are lines on standard error, with status 2, and never the token', async t => {
  const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']
  const noFile =
    'the token: cannot be read from a file of such a name; a token itself is given without "@"\n'
  const table: ReadonlyArray<readonly [readonly string[], string]> = [
    [issuer, 'the token is missing: give "-" first and the token on standard input, or @file\n'],
    [['-', ...issuer], 'the token is empty\n'],
    [['@/nowhere', ...issuer], 'the token "@/nowhere": cannot be read: no such file\n'],
    [['@eyJh.eyJi.c2ln', ...issuer], noFile],
    [[`@Bearer eyJh.eyJi.${'c2ln'.repeat(100)}`, ...issuer], noFile],
    [
      ['--nonsense', 'eyJh.eyJi.c2ln'],
      'unknown flag "--nonsense"; --help lists them\n' +
        '--oidc-issuer-url: is required: the issuer whose tokens are accepted\n' +
        '--oidc-client-id: is required: the audience that tokens must carry\n',
    ],
  ]
  t.same(
    await Promise.all(table.map(([args]) => explain(args))),
    table.map(([, stderr]) => ({ code: 2, stdout: '', stderr })),
  )
  const { code, stdout } = await explain(['--help'])
  t.equal(code, 0)
  t.match(stdout, /^Usage: impersonation-gateway explain <token> /)
})
