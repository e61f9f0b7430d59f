import t from 'tap'
import { loadServe } from '../../lib/settings/load.js'
import { surprises } from '../../lib/settings/surprises.js'
import { createAuthority } from '../actors/certificates.js'
import { tempDir, writeServing } from '../actors/files.js'

const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
const issuer = ['--oidc-issuer-url=https://i.example', '--oidc-client-id=k']
const quiet = [...issuer, '--oidc-groups-claim=groups', '--oidc-groups-prefix=oidc:']

t.test('each thing that may surprise is told, and nothing else', async t => {
  const { certFile, keyFile } = await writeServing(tempDir(t), createAuthority())
  const tls = [`--tls-cert-file=${certFile}`, `--tls-private-key-file=${keyFile}`]
  const told = (...args: string[]): unknown => {
    const loaded = loadServe(args, { env })
    if (!('settings' in loaded)) throw new Error(JSON.stringify(loaded))
    const found = surprises(loaded.settings)
    t.ok(found.every(({ outcome, change = '' }) => outcome === 'warning' && change !== ''))
    return found.map(({ about, says }) => `${about}: ${says}`)
  }
  t.same(told(...quiet, ...tls), [])
  t.same(told(...issuer), [
    '--oidc-groups-claim: not given: nobody has groups',
    '--tls-cert-file: not given: the certificate is self-signed, and another one at every start',
  ])
  t.same(
    told(
      ...issuer,
      ...tls,
      '--oidc-username-claim=name',
      '--oidc-username-prefix=-',
      '--oidc-groups-claim=g',
    ),
    [
      '--oidc-username-prefix: user names have no prefix: whoever the issuer lets have "name" "admin" is the user "admin" of the cluster',
      '--oidc-username-claim: "name" may change, or be given to somebody else later',
      '--oidc-groups-prefix: groups have no prefix: a group of the issuer may have the name of one of the cluster',
    ],
  )
  t.same(
    told(
      ...quiet,
      '--insecure-plain-http',
      '--trusted-proxies=0.0.0.0/0,10.0.0.0/8',
      '--admin-bind-address=0.0.0.0',
      '--impersonation=never',
      '--allow-reserved-groups=system:masters,system:monitoring',
    ),
    [
      '--allow-reserved-groups: whoever the issuer puts into system:masters has its power',
      '--impersonation: never: the API server makes its own names of the token; those mapped here are for the log alone',
      '--insecure-plain-http: tokens come in the clear from whatever is in front',
      '--admin-bind-address: 0.0.0.0: health and metrics are plain HTTP without a credential',
      '--trusted-proxies: 0.0.0.0/0 is everybody: every client can choose the address that is logged',
    ],
  )
  t.same(told(...quiet, ...tls, '--impersonation=always'), [
    '--impersonation: always: every caller needs the right to impersonate the name that he is mapped to',
  ])
  t.same(told(...quiet, ...tls, '--unsafe-use-service-account-token'), [
    '--unsafe-use-service-account-token: whoever gets hold of the credential of the gateway can act as anybody it may impersonate',
  ])
})
