import t from 'tap'
import { checkIssuer, type IssuerCheckOptions } from '../../lib/authenticate/issuer-check.js'
import { createIssuerClient } from '../../lib/authenticate/issuer-client.js'
import { startIssuer, type Issuer } from '../actors/issuer.js'

async function check(
  issuer: Issuer,
  over: Partial<IssuerCheckOptions> = {},
  ca: string = issuer.ca,
): Promise<unknown> {
  const client = createIssuerClient(ca === 'the system’s' ? {} : { ca })
  try {
    const options: IssuerCheckOptions = {
      issuerUrl: issuer.url,
      signingAlgs: ['RS256'],
      claims: [],
      getJson: client.getJson,
      ...over,
    }
    const findings = await checkIssuer(options, AbortSignal.timeout(60_000))
    t.ok(findings.every(({ about }) => about === `issuer ${options.issuerUrl}`))
    return findings.map(({ outcome, says, change }) => [outcome, says, ...(change ? [change] : [])])
  } finally {
    await client.close()
  }
}

t.test('an issuer that is as configured is ok, with its keys', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  await issuer.addKey({ kid: 'two', alg: 'ES256' })
  t.same(await check(issuer), [
    ['ok', `reached; its keys are at ${issuer.keysUrl}`],
    ['ok', '1 of 2 keys fit: "one", "two"'],
  ])
})

t.test('what discovery does not list is a warning', async t => {
  const issuer = await startIssuer()
  t.teardown(() => issuer.close())
  issuer.discover({
    claims_supported: ['sub', 'email'],
    id_token_signing_alg_values_supported: ['ES256', 'EdDSA'],
  })
  const claims = [
    ['email', '--oidc-username-claim'],
    ['groups', '--oidc-groups-claim'],
  ] as const
  t.same(await check(issuer, { claims }), [
    ['ok', `reached; its keys are at ${issuer.keysUrl}`],
    ['ok', '1 of 1 keys fit: "one"'],
    ['warning', 'says that it signs with ES256, EdDSA', '--oidc-signing-algs accepts RS256 alone'],
    [
      'warning',
      'does not list the claim "groups" of --oidc-groups-claim',
      'see with explain what a token of it carries; a client may have to ask for a scope',
    ],
  ])
})

t.test('what does not work is failed, with what to change', async t => {
  const issuer = await startIssuer({ path: '/realm' })
  t.teardown(() => issuer.close())
  const document = `its discovery document at ${issuer.url}/.well-known/openid-configuration`
  const reach = 'see whether this machine can reach it by this address'

  t.same(await check(issuer, { signingAlgs: ['ES256'] }), [
    ['ok', `reached; its keys are at ${issuer.keysUrl}`],
    [
      'failed',
      'none of its keys fits ES256: "one"',
      'name what it signs with in --oidc-signing-algs',
    ],
    ['warning', 'says that it signs with RS256', '--oidc-signing-algs accepts ES256 alone'],
  ])
  t.same(await check(issuer, {}, 'the system’s'), [
    [
      'failed',
      `${document}: its certificate is of an authority that is not trusted`,
      'name the authority of its certificate (--oidc-ca-file, or certificateAuthority in the file)',
    ],
  ])
  const short = issuer.url.replace('/realm', '')
  t.same(await check(issuer, { issuerUrl: short }), [
    [
      'failed',
      `its discovery document at ${short}/.well-known/openid-configuration: answered with status 404`,
      'the address of the issuer must be complete, with its path',
    ],
  ])
  t.same(await check(issuer, { issuerUrl: `${issuer.url}/` }), [
    [
      'failed',
      `${document}: discovery names another issuer`,
      `it calls itself "${issuer.url}": the issuer must be configured as exactly that`,
    ],
  ])
  issuer.behave({ jwks: '500' })
  t.same(await check(issuer), [
    ['failed', `its keys at ${issuer.keysUrl}: answered with status 500`, reach],
  ])
  issuer.behave({ jwks: 'empty' })
  t.same(await check(issuer), [
    ['ok', `reached; its keys are at ${issuer.keysUrl}`],
    [
      'failed',
      'it publishes no key, so no token can be verified',
      'an issuer such as Rancher publishes keys once it has a client: add one',
    ],
  ])
  await issuer.down()
  t.same(await check(issuer), [['failed', `${document}: the connection is refused`, reach]])
})
