import t from 'tap'
import type { RequestContext } from '../../lib/exchange.js'
import type { Authenticated, Granted, Stages } from '../../lib/gateway.js'
import { Grant, type Credential } from '../../lib/grant.js'
import type { Identity } from '../../lib/identity.js'
import { Refusal } from '../../lib/refusal.js'
import type { Secret } from '../../lib/secret.js'
import type { Proof } from '../../lib/upstream/credential.js'
import type { Cluster } from '../../lib/upstream/cluster.js'
import { openGranted } from '../../lib/upstream/granted-connection.js'
import { upstreamHeaders, type GatewayCredential } from '../../lib/upstream/headers.js'

/*
 * What must not compile. Nothing here runs: `npm run typecheck` fails when one of these lines has become
 * possible, because then its `@ts-expect-error` expects in vain.
 */

declare const stages: Stages
declare const client: Parameters<Stages['carry']>[1]
declare const received: RequestContext
declare const known: Authenticated
declare const granted: Granted
declare const identity: Identity
declare const grant: Grant
declare const token: Secret
declare const proof: Proof
declare const own: GatewayCredential
declare const cluster: Cluster
declare const handler: Parameters<ReturnType<Cluster['dispatcher']>['dispatch']>[1]
declare const signal: AbortSignal

export function leavingAStageOut(): void {
  // @ts-expect-error nobody knows who this is
  void stages.authorize(received)
  // @ts-expect-error nobody authorised this request
  void stages.carry(received, client)
  // @ts-expect-error an identity alone is no permission
  void stages.carry(known, client)
  // @ts-expect-error a stage that authorises cannot return what it was given
  const lazy: Stages['authorize'] = context => context
  // @ts-expect-error nor can one authenticate by passing on
  const blind: Stages['authenticate'] = context => ({ context })
  void [lazy, blind]
}

export function forgingAGrant(): void {
  // @ts-expect-error a grant cannot be spelled out by hand
  const spelled: Grant = { as: identity, credential: { whose: 'gateway' }, decision: 'own_token' }
  // @ts-expect-error nor constructed
  const constructed = new Grant(identity, { whose: 'gateway' }, 'gateway_impersonating')
  // @ts-expect-error nor given to somebody else
  grant.as = identity
  // @ts-expect-error the caller's grant says whether it impersonates
  const undecided = Grant.byCaller(identity, token)
  // @ts-expect-error a plain string is no token
  const plain = Grant.byCaller(identity, 'token', { impersonate: true })
  void [spelled, constructed, undecided, plain]
}

export function usingTheGatewaysCredentialWithoutAName(): void {
  // @ts-expect-error there is no gateway's credential without impersonation
  const silent: Credential = { whose: 'gateway', impersonate: false }
  // @ts-expect-error headers are written for a grant, not for an identity
  void upstreamHeaders(received, identity, own)
  // @ts-expect-error a proof in the clear is not what headers take
  void upstreamHeaders(received, grant, proof)
  void silent
}

export function goingRoundTheLastLine(): void {
  const headers = upstreamHeaders(received, grant, own)
  const pool = cluster.dispatcher('request', 'gateway')
  const sent = { path: '/', method: 'GET' } as const
  // @ts-expect-error a list that nobody looked at is not sent
  pool.dispatch({ ...sent, headers }, handler)
  // @ts-expect-error nor is none
  pool.dispatch(sent, handler)
  // @ts-expect-error nor by another of the pool's methods
  void pool.request({ ...sent, headers })
  // @ts-expect-error nor on a connection of its own
  openGranted(cluster.connection('gateway'), { ...sent, headers })
  const asked = {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: '',
    signal,
  } as const
  // @ts-expect-error what is asked for ourselves is a review, and nothing else
  void cluster.reviewer('gateway').request({ ...asked, path: '/api/v1/secrets' })
  const path = '/apis/authentication.k8s.io/v1/tokenreviews'
  // @ts-expect-error and nobody is impersonated in it
  const headersOf: (typeof asked)['headers'] = { ...asked.headers, 'Impersonate-User': 'a' }
  void [path, headersOf]
}

export function changingWhatIsKnown(): void {
  // @ts-expect-error an identity does not change
  identity.username = 'root'
  // @ts-expect-error nor do its groups
  identity.groups.push('system:masters')
  // @ts-expect-error nor its extra
  identity.extra['scopes'] = ['all']
  // @ts-expect-error a received head does not change
  received.head.target = '/'
  // @ts-expect-error nor do its headers
  received.head.headers.push(['Impersonate-User', 'root'])
  // @ts-expect-error nor what was granted
  granted.grant = grant
}

export function sayingASecret(): void {
  // @ts-expect-error a secret is not a string
  const said: string = token
  // @ts-expect-error its value cannot be reached
  const value = token.value
  // @ts-expect-error something that looks like one is none
  const alike: Secret = { label: 'x', reveal: () => 'x', toString: () => 'x', toJSON: () => 'x' }
  void [said, value, alike]
}

export function refusingWithoutACode(): void {
  // @ts-expect-error every refusal stands in the table
  void new Refusal('because')
  // @ts-expect-error and keeps its status
  new Refusal('draining').status = 200
}

t.pass('what must not compile does not')
