/*
 * T17: the issuer, or whoever answers in its place, sends the gateway elsewhere for keys: into the
 * cluster's network (SSRF), or to keys of its own. So do tokens with distributed claims (OpenID Connect
 * Core 5.6.2). Precedents: kube-apiserver's validation of issuers; oauth2-proxy.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startGateway } from '../../cmd/serve.js'
import { loadServe } from '../../lib/settings/load.js'
import { startApiServer } from '../actors/api-server.js'
import { createAuthority } from '../actors/certificates.js'
import { tempDir, writeKubeconfig, writeServing } from '../actors/files.js'
import { startIssuer, type Behaviour } from '../actors/issuer.js'
import { rawRequest, requestBytes, type RawExchange } from '../actors/raw-client.js'
import { gatewayToken } from '../actors/world.js'
import { startBystander } from './bystander.js'
import { badToken, unavailable, wholeAnswer, wholeHead } from './whole-answer.js'

const noIssuer = unavailable('the identity provider could not be reached')

const directory = tempDir(t)
const authority = createAuthority()
const [issuer, api, serving] = await Promise.all([
  startIssuer(),
  startApiServer(),
  writeServing(directory, authority),
])
t.teardown(() => Promise.all([issuer.close(), api.close()]))
const attackersKeys = await startIssuer({ authority: issuer.authority })
t.teardown(() => attackersKeys.close())
/** It would give both documents, and its certificate is as good as the issuer's. */
const bystander = await startBystander(t, issuer.authority, () => ({
  issuer: issuer.url,
  jwks_uri: `${bystander.url}/jwks`,
  keys: attackersKeys.keys.map(({ jwk }) => jwk),
}))
const kubeconfig = writeKubeconfig(directory, { server: api.url, ca: api.ca, token: gatewayToken })
const trusted = join(directory, 'issuer-ca.crt')
writeFileSync(trusted, issuer.ca)
const untrusted = join(directory, 'other-ca.crt')
writeFileSync(untrusted, authority.ca)

interface Asked {
  /** What `/readyz?verbose` says about the issuer. */
  readonly state: string
  readonly ask: (token: string) => Promise<RawExchange>
}

/** Starts a gateway, waits until it has asked the issuer, and uses it. */
async function withGateway(
  use: (gateway: Asked) => Promise<void>,
  caFile = trusted,
): Promise<void> {
  const loaded = loadServe([
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    '--admin-port=0',
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--oidc-issuer-url=${issuer.url}`,
    '--oidc-client-id=kubernetes',
    '--oidc-groups-claim=groups',
    `--oidc-ca-file=${caFile}`,
    `--kubeconfig=${kubeconfig}`,
    '--unsafe-use-service-account-token',
  ])
  if (!('settings' in loaded)) throw new TypeError(JSON.stringify(loaded))
  const gateway = await startGateway(loaded.settings)
  try {
    let state = await issuerState(gateway.adminPort)
    for (; state.includes('no key yet'); state = await issuerState(gateway.adminPort))
      await pause(5)
    await use({
      state,
      ask: token =>
        rawRequest({
          port: gateway.port,
          ca: authority.ca,
          bytes: requestBytes('GET', '/api/v1/pods', {
            Host: 'gateway',
            Authorization: `Bearer ${token}`,
          }),
        }),
    })
  } finally {
    await gateway.close()
  }
}

async function issuerState(port: number): Promise<string> {
  const { response } = await rawRequest({
    port,
    bytes: requestBytes('GET', '/readyz?verbose', { Host: 'gateway' }),
  })
  const lines = response?.body.toString().split('\n') ?? []
  return lines.find(line => line.includes(']issuer')) ?? ''
}

const redirect =
  (status: number, to: string): Behaviour =>
  (_, response) => {
    response.writeHead(status, { Location: to }).end()
  }

const plain = bystander.url.replace('https:', 'http:')

t.test('keys come from the issuer alone, over https, and from no other place it names', async t => {
  const documents: ReadonlyArray<readonly [Readonly<Record<string, unknown>>, string]> = [
    [
      { issuer: bystander.url, jwks_uri: `${bystander.url}/jwks` },
      'discovery names another issuer',
    ],
    [{ issuer: `${issuer.url}/` }, 'discovery names another issuer'],
    [{ issuer: issuer.url.toUpperCase() }, 'discovery names another issuer'],
    [{ issuer: [issuer.url] }, 'discovery names another issuer'],
    [{ issuer: undefined }, 'discovery names another issuer'],
    [{ jwks_uri: `${plain}/jwks` }, 'jwks_uri is not https'],
    [{ jwks_uri: issuer.keysUrl.replace('https:', 'http:') }, 'jwks_uri is not https'],
    [{ jwks_uri: `file://${trusted}` }, 'jwks_uri is not https'],
    [{ jwks_uri: 'data:application/json,{"keys":[]}' }, 'jwks_uri is not https'],
    [{ jwks_uri: bystander.url.replace('https:', 'gopher:') }, 'jwks_uri is not https'],
    [{ jwks_uri: '/jwks' }, 'discovery names no jwks_uri'],
    [{ jwks_uri: bystander.url.replace('https:', '') }, 'discovery names no jwks_uri'],
    [{ jwks_uri: [`${bystander.url}/jwks`] }, 'discovery names no jwks_uri'],
    [{ jwks_uri: undefined }, 'discovery names no jwks_uri'],
  ]
  for (const [over, why] of documents) {
    issuer.discover(over)
    await withGateway(async ({ state, ask }) => {
      t.equal(state, `[-]issuer failed: no key: ${why}`, JSON.stringify(over))
      t.strictSame(wholeAnswer(await ask(issuer.sign())), noIssuer)
    })
  }
  t.strictSame(bystander.seen, [])
})

t.test('a redirect is followed nowhere', async t => {
  issuer.discover({})
  for (const status of [301, 302, 303, 307, 308]) {
    const why = `[-]issuer failed: no key: answered with status ${String(status)}`
    for (const to of [bystander.url, `${plain}/`, `${issuer.url}/elsewhere`]) {
      issuer.behave({ discovery: redirect(status, `${to}/.well-known/openid-configuration`) })
      await withGateway(async ({ state, ask }) => {
        t.equal(state, why, `discovery, to ${to}`)
        t.strictSame(wholeAnswer(await ask(issuer.sign())), noIssuer)
      })
      issuer.behave({ discovery: 'ok', jwks: redirect(status, `${to}/jwks`) })
      await withGateway(async ({ state, ask }) => {
        t.equal(state, why, `keys, to ${to}`)
        t.strictSame(wholeAnswer(await ask(attackersKeys.sign(issuer.claims()))), noIssuer)
      })
      issuer.behave({ jwks: 'ok' })
    }
  }
  t.strictSame(bystander.seen, [])
  t.notOk(issuer.requests.some(path => path.includes('elsewhere')))
})

t.test('what is not a key set of this issuer is none', async t => {
  const failed = (why: string): string => `[-]issuer failed: no key: ${why}`
  const answers: ReadonlyArray<readonly [Behaviour, string]> = [
    ['garbage', failed('answered with something else than JSON')],
    ['huge', failed('answered with more than 1048576 bytes')],
    ['null', failed('the key set has no list of keys')],
    ['empty', failed('the issuer has none')],
    ['404', failed('answered with status 404')],
    ['500', failed('answered with status 500')],
    ['cut', failed('other side closed')],
  ]
  for (const [jwks, state] of answers) {
    issuer.behave({ jwks })
    await withGateway(async gateway => {
      t.equal(gateway.state, state, String(jwks))
      t.equal((await gateway.ask(issuer.sign())).response?.status, 503)
    })
  }
  issuer.behave({ jwks: 'ok' })
  await withGateway(async ({ state, ask }) => {
    t.match(state, /^\[-\]issuer failed: no key: .*(certificate|verify)/i, 'an authority not ours')
    t.strictSame(wholeAnswer(await ask(issuer.sign())), noIssuer)
  }, untrusted)
})

t.test('no address in a token is asked for anything but its groups', async t => {
  const before = issuer.requests.length
  await withGateway(async ({ state, ask }) => {
    t.equal(state, '[+]issuer ok')
    t.strictSame(
      wholeAnswer(await ask(attackersKeys.sign({ iss: bystander.url }))),
      badToken('the token was issued by somebody else'),
    )
    const distributed = issuer.sign({
      _claim_names: { roles: 'there', sub: 'there' },
      _claim_sources: { there: { endpoint: `${bystander.url}/claims`, access_token: 'x' } },
    })
    t.equal((await ask(distributed)).response?.status, 200)
    t.strictSame(wholeHead(await api.request(0)), [
      ['host', `127.0.0.1:${String(api.port)}`],
      ['connection', 'keep-alive'],
      ['X-Forwarded-For', '127.0.0.1'],
      ['Audit-ID', '<uuid>'],
      ['Impersonate-User', `${issuer.url}#alice`],
      ['Authorization', `Bearer ${gatewayToken}`],
    ])
  })
  t.strictSame(bystander.seen, [])
  t.strictSame(issuer.requests.slice(before), ['/.well-known/openid-configuration', '/jwks'])
  t.equal(api.forwarded.length, 1)
})
