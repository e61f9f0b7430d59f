import type { Finding } from '../finding.js'
import { isLoopback } from './addresses.js'
import type { ServeSettings } from './resolve.js'

/** What of these settings works, and is perhaps not what was meant. */
export function surprises(settings: ServeSettings): readonly Finding[] {
  return [
    ...ofIssuer(settings),
    ...ofNames(settings),
    ...ofCredentials(settings),
    ...ofPorts(settings),
  ].map(([about, says, change]) => ({ outcome: 'warning', about, says, change }))
}

type Surprise = readonly [about: string, says: string, change: string]

function* ofIssuer({ issuer }: ServeSettings): Generator<Surprise> {
  if (issuer === undefined) return
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = issuer
  if (usernamePrefix === '') {
    yield [
      '--oidc-username-prefix',
      `user names have no prefix: whoever the issuer lets have ${JSON.stringify(usernameClaim)} "admin" is the user "admin" of the cluster`,
      'a prefix such as oidc: keeps them apart from certificates and other issuers',
    ]
  }
  if (usernameClaim !== 'sub' && usernameClaim !== 'email') {
    yield [
      '--oidc-username-claim',
      `${JSON.stringify(usernameClaim)} may change, or be given to somebody else later`,
      'sub is the one claim that an issuer must keep unique and never give again',
    ]
  }
  if (groupsClaim === undefined) {
    yield ['--oidc-groups-claim', 'not given: nobody has groups', 'most issuers call it groups']
  } else if (groupsPrefix === '') {
    yield [
      '--oidc-groups-prefix',
      'groups have no prefix: a group of the issuer may have the name of one of the cluster',
      'a prefix such as oidc: keeps them apart',
    ]
  }
}

function* ofNames({ reserved, credentialMode }: ServeSettings): Generator<Surprise> {
  for (const group of ['system:masters', 'system:nodes'].filter(it => reserved.groups.has(it))) {
    yield [
      '--allow-reserved-groups',
      `whoever the issuer puts into ${group} has its power`,
      'bind a group of the issuer to a role of your own',
    ]
  }
  if (credentialMode.kind === 'caller' && credentialMode.impersonation === 'never') {
    yield [
      '--impersonation',
      'never: the API server makes its own names of the token; those mapped here are for the log alone',
      'auto asks once a token whether they are the same',
    ]
  }
  if (credentialMode.kind === 'caller' && credentialMode.impersonation === 'always') {
    yield [
      '--impersonation',
      'always: every caller needs the right to impersonate the name that he is mapped to',
      'auto impersonates only where the API server takes the caller for somebody else',
    ]
  }
}

function* ofCredentials({ credentialMode }: ServeSettings): Generator<Surprise> {
  if (credentialMode.kind === 'gateway') {
    yield [
      '--unsafe-use-service-account-token',
      'whoever gets hold of the credential of the gateway can act as anybody it may impersonate',
      'where the API server accepts the issuer, leave it out',
    ]
  }
}

function* ofPorts({ listen, admin }: ServeSettings): Generator<Surprise> {
  if (listen.tls === 'self-signed') {
    yield [
      '--tls-cert-file',
      'not given: the certificate is self-signed, and another one at every start',
      'give a certificate that clients can be told to trust',
    ]
  }
  if (listen.tls === 'off') {
    yield [
      '--insecure-plain-http',
      'tokens come in the clear from whatever is in front',
      'serve TLS unless nobody else can listen on that way',
    ]
  }
  if (!isLoopback(admin.address)) {
    yield [
      '--admin-bind-address',
      `${admin.address}: health and metrics are plain HTTP without a credential`,
      'let only the kubelet and the monitoring reach that port',
    ]
  }
  for (const network of listen.trustedProxies.filter(it => it.endsWith('/0'))) {
    yield [
      '--trusted-proxies',
      `${network} is everybody: every client can choose the address that is logged`,
      'name the networks of the proxies',
    ]
  }
}
