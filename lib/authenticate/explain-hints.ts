import type { TokenRules } from './configuration.js'
import type { Claims, ParsedToken } from './token.js'
import type { TraceStep } from './trace.js'

export interface HintedToken {
  readonly token: ParsedToken | undefined
  /** Those that were applied. */
  readonly rules: TokenRules | undefined
  readonly all: readonly TokenRules[]
  readonly steps: readonly TraceStep[]
  /** Groups that the operator lets nobody have. */
  readonly leftOut: readonly string[]
}

/** What may be behind an outcome that somebody did not expect, as far as the token shows it. */
export function hintsFor(hinted: HintedToken): readonly string[] {
  const { token, rules } = hinted
  if (token === undefined) {
    return ['this is no JWT: an opaque access token cannot be used, send the ID token']
  }
  return [
    ...issuerHints(token, hinted.all),
    ...audienceHints(token, rules, hinted.steps),
    ...nameHints(token.claims, rules, hinted.steps),
    ...groupHints(token.claims, rules),
    ...leftOutHints(hinted),
  ]
}

function* issuerHints({ claims }: ParsedToken, all: readonly TokenRules[]): Generator<string> {
  const said = claims.get('iss')
  const known = all.map(({ issuer }) => issuer.url)
  if (typeof said !== 'string' || known.includes(said)) return
  const near = known.find(url => bare(url) === bare(said))
  yield near === undefined
    ? `the issuers that are configured: ${named(known)}`
    : `${JSON.stringify(near)} is configured, and an issuer must be the same character for character`
}

const bare = (url: string): string => url.replace(/\/+$/, '').toLowerCase()

function* audienceHints(
  { claims }: ParsedToken,
  rules: TokenRules | undefined,
  steps: readonly TraceStep[],
): Generator<string> {
  if (rules === undefined || !isRefused(steps, 'issuer.audiences')) return
  const audience: unknown = claims.get('aud')
  const said = Array.isArray(audience) ? audience.slice(0, 8) : audience
  yield `the token is for ${said === undefined ? 'nobody' : JSON.stringify(said)}; accepted: ${named(rules.issuer.audiences)}`
  const client = claims.get('azp')
  if (typeof client === 'string' && rules.issuer.audiences.includes(client)) {
    yield `its azp ${JSON.stringify(client)} would be accepted as aud, and azp does not count: perhaps this is an access token for another API; send the ID token`
  }
}

function* nameHints(
  claims: Claims,
  rules: TokenRules | undefined,
  steps: readonly TraceStep[],
): Generator<string> {
  if (rules === undefined || !isRefused(steps, 'claimMappings.username')) return
  if (!('claim' in rules.username) || claims.has(rules.username.claim)) return
  const { claim } = rules.username
  const scope = scopes.get(claim)
  yield `the token has no claim ${JSON.stringify(claim)}; ${scope === undefined ? '' : `a client has to ask for the scope ${scope}; `}it has ${named(names(claims))}`
}

/** Scopes of OpenID Connect Core 1.0, 5.4. */
const scopes = new Map([
  ['email', 'email'],
  ['email_verified', 'email'],
  ['name', 'profile'],
  ['preferred_username', 'profile'],
  ['nickname', 'profile'],
])

function* groupHints(claims: Claims, rules: TokenRules | undefined): Generator<string> {
  if (rules === undefined) return
  const similar = names(claims).filter(name => /group|role|team|realm_access/i.test(name))
  if (rules.groups === undefined) {
    yield similar.length === 0
      ? 'no groups are mapped: nobody has any'
      : `no groups are mapped, so nobody has any; the token has ${named(similar)}`
    return
  }
  if (!('claim' in rules.groups) || claims.has(rules.groups.claim)) return
  const { claim } = rules.groups
  const elsewhere = claims.get('_claim_names')
  if (isObject(elsewhere) && Object.hasOwn(elsewhere, claim)) {
    yield `the issuer did not put ${JSON.stringify(claim)} into the token and says where it is to be had (_claim_names): the user is in too many groups for it. Have it send only the groups that are assigned to the application`
  } else if (claims.get('hasgroups') === true) {
    yield `the issuer says that the user has groups and left them out (hasgroups): they are too many for the token`
  } else {
    const instead = similar.length === 0 ? '' : `; it has ${named(similar)}`
    yield `the token has no claim ${JSON.stringify(claim)}, so its user has no groups: the client may have to ask for a scope (often "groups"), or the issuer to be told to send it${instead}`
  }
}

function* leftOutHints({ leftOut }: HintedToken): Generator<string> {
  if (leftOut.length > 0) {
    yield `left out by --allowed-groups or --denied-groups: ${named(leftOut)}`
  }
}

const isRefused = (steps: readonly TraceStep[], rule: string): boolean =>
  steps.some(step => step.rule === rule && step.verdict === 'refused')

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const names = (claims: Claims): readonly string[] => [...claims.keys()]

const most = 30

/** Bounded, and each quoted: a stranger may have written them. */
function named(list: readonly string[]): string {
  const shown = list.slice(0, most).map(name => JSON.stringify(name.slice(0, 200)))
  const more = list.length > most ? ` and ${list.length - most} more` : ''
  return shown.length === 0 ? 'none' : shown.join(', ') + more
}
