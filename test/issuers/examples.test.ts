import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { createSigner } from '../authenticate/tokens.js'
import { readExample, run, type Claims } from './example.js'

const examples = new URL('../../examples/', import.meta.url)
const folders = readdirSync(examples)
  .filter(name => existsSync(new URL(`${name}/authentication-configuration.yaml`, examples)))
  .toSorted()

t.test('there is an example for each of these issuers, and the list names it', t => {
  t.same(folders, [
    'cognito',
    'dex',
    'entra-id',
    'github-actions',
    'google',
    'keycloak',
    'okta',
    'openunison',
    'rancher',
    'service-account-issuer',
  ])
  const list = readFileSync(new URL('README.md', examples), 'utf8')
  t.same(
    folders.filter(name => !list.includes(`](${name}/README.md)`)),
    [],
  )
  t.end()
})

for (const folder of folders) {
  t.test(`${folder}: a token as the issuer makes it becomes what the page says`, async t => {
    const example = readExample(folder)
    const { said, close } = await run(example)
    t.teardown(close)
    t.same(await said(example.claims), { extra: {}, ...(example.identity as object) })
  })
}

/** What becomes of other tokens of the issuers, with the claims of the page but for these. */
interface Other {
  readonly says: string
  readonly claims: Claims
  readonly becomes: unknown
}
const rejected = (reason: string): string => `rejected ${reason}`
const bare = { extra: {} }

const others: Readonly<Record<string, readonly Other[]>> = {
  keycloak: [
    {
      says: 'an access token',
      claims: { typ: 'Bearer' },
      becomes: rejected(
        'token_claim: claimValidationRules[0] does not hold: this is an access or refresh token of Keycloak; send the ID token',
      ),
    },
    {
      says: 'a refresh token',
      claims: { typ: 'Refresh' },
      becomes: rejected(
        'token_claim: claimValidationRules[0] does not hold: this is an access or refresh token of Keycloak; send the ID token',
      ),
    },
    {
      says: 'a token without roles',
      claims: { realm_access: undefined },
      becomes: { ...bare, username: 'keycloak:jane', groups: [] },
    },
  ],
  'entra-id': [
    {
      says: 'a token of somebody in too many groups, which points at Graph',
      claims: {
        groups: undefined,
        _claim_names: { groups: 'src1' },
        _claim_sources: {
          src1: { endpoint: 'https://graph.windows.net/9b2fe6d1/users/c9a1f6a6/getMemberObjects' },
        },
      },
      becomes: rejected(
        'token_claim: claimValidationRules[0] does not hold: too many groups for a token; see "Groups overage" in the README',
      ),
    },
    {
      says: 'a token without a groups claim',
      claims: { groups: undefined },
      becomes: { ...bare, username: 'entra:c9a1f6a6-7f1b-4c62-b1b4-4c9f7c1f9a01', groups: [] },
    },
    {
      says: 'a token of version 1',
      claims: { iss: 'https://sts.windows.net/9b2fe6d1-5a34-4c1e-8f0e-6f1f6a0b7c11/', ver: '1.0' },
      becomes: 'abstained',
    },
  ],
  google: [
    {
      says: 'a private account',
      claims: { hd: undefined },
      becomes: rejected('token_claim: claimMappings.groups: no such key: hd'),
    },
    {
      says: 'another domain',
      claims: { hd: 'example.org' },
      becomes: rejected('token_claim: the claim "hd" is not as required'),
    },
    {
      says: 'an address that is not verified',
      claims: { email_verified: false },
      becomes: rejected('token_claim: the claim "email_verified" is not true'),
    },
    {
      says: 'an issuer without its scheme',
      claims: { iss: 'accounts.google.com' },
      becomes: { ...bare, username: 'google:jane@example.com', groups: ['google:example.com'] },
    },
  ],
  cognito: [
    {
      says: 'an access token',
      claims: {
        aud: undefined,
        client_id: '1example23456789',
        token_use: 'access',
        scope: 'openid email',
        username: 'jane',
        'cognito:username': undefined,
      },
      becomes: rejected('token_audience: aud is missing, or neither a string nor strings'),
    },
    {
      says: 'a token of another use, with an audience',
      claims: { token_use: 'access' },
      becomes: rejected('token_claim: the claim "token_use" is not as required'),
    },
    {
      says: 'a user in no group',
      claims: { 'cognito:groups': undefined },
      becomes: { ...bare, username: 'cognito:jane', groups: [] },
    },
  ],
  dex: [
    {
      says: 'an address that the connector knows nothing about',
      claims: { email_verified: false },
      becomes: rejected('token_claim: the claim "email_verified" is not true'),
    },
  ],
  'github-actions': [
    {
      says: 'a workflow of another owner',
      claims: { repository_owner_id: '66' },
      becomes: rejected('token_claim: the claim "repository_owner_id" is not as required'),
    },
    {
      says: 'a workflow that a pull request has started',
      claims: { event_name: 'pull_request_target' },
      becomes: rejected(
        'token_claim: claimValidationRules[1] does not hold: workflows that outsiders can start do not get into the cluster',
      ),
    },
    {
      says: 'a job without environment',
      claims: { sub: 'repo:octo-org/octo-repo:ref:refs/heads/main', environment: undefined },
      becomes: {
        ...bare,
        username: 'github:repo:octo-org/octo-repo:ref:refs/heads/main',
        groups: ['github:octo-org/octo-repo'],
      },
    },
  ],
  openunison: [
    {
      says: 'a user with two groups',
      claims: { groups: ['a', 'b'] },
      becomes: {
        ...bare,
        username: 'openunison:mmosley',
        groups: ['openunison:a', 'openunison:b'],
      },
    },
  ],
  'service-account-issuer': [
    {
      says: 'a token for the cluster’s own API server',
      claims: { aud: ['https://kubernetes.default.svc.cluster.local'] },
      becomes: rejected('token_audience: the token is meant for somebody else'),
    },
    {
      says: 'a token that is bound to no pod',
      claims: {
        'kubernetes.io': {
          namespace: 'delivery',
          serviceaccount: { name: 'deployer', uid: 'a087d5a0-e1dd-43ec-93ac-f13d89cd13af' },
        },
      },
      becomes: rejected(
        'token_claim: claimValidationRules[0] does not hold: only tokens that are bound to a pod',
      ),
    },
  ],
}

for (const [folder, tokens] of Object.entries(others)) {
  t.test(`${folder}: other tokens of the issuer`, async t => {
    const example = readExample(folder)
    const { said, close } = await run(example)
    t.teardown(close)
    for (const { says, claims, becomes } of tokens) {
      // oxlint-disable-next-line no-await-in-loop
      t.same(await said({ ...example.claims, ...claims }), becomes, says)
    }
  })
}

t.test('service accounts under their own names are the cluster’s own unless allowed', async t => {
  const example = readExample('service-account-issuer')
  const configuration = example.configuration
    .replace("prefix: 'cluster-b:'", "prefix: ''")
    .replaceAll('"cluster-b:serviceaccounts', '"b:serviceaccounts')
  const username = 'system:serviceaccount:delivery:deployer'
  const groups = ['b:serviceaccounts', 'b:serviceaccounts:delivery']

  const strict = await run({ ...example, configuration })
  t.teardown(strict.close)
  t.equal(
    await strict.said(example.claims),
    'rejected identity_reserved: the user name begins with "system:"',
  )
  const lenient = await run({ ...example, configuration }, { allowReservedUsers: [username] })
  t.teardown(lenient.close)
  t.same(await lenient.said(example.claims), { username, groups, extra: {} })
})

t.test('OpenUnison: a token is good for its minute and no second more', async t => {
  const example = readExample('openunison')
  const odd = createSigner(
    'RS256',
    'CN=oidcidp.example.com, OU=Demo, O=Example, L=Arlington, ST=Virginia, C=US-CN=kube-ca-120214792103607321521',
  )
  const { said, clock, close } = await run(example, { keys: { keys: [odd.jwk] } })
  t.teardown(close)
  const good = { extra: {}, ...(example.identity as object) }
  t.same(await said(example.claims, odd), good)
  await clock.advance(58_999)
  t.same(await said(example.claims, odd), good)
  await clock.advance(1)
  t.equal(await said(example.claims, odd), 'rejected token_expired: the token has expired')
})
