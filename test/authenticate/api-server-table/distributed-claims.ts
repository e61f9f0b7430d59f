import { claim, claims, expression, farAway, longAgo, one, type Answer, type Row } from './row.js'

const issuer = { url: '{{URL}}' }
const byClaim = one({ issuer, mappings: { groups: claim('groups') } })

/** A token that says where its claim `name` is, and none else of its kind. */
const pointing = (
  name = 'groups',
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> =>
  claims({
    iss: '{{URL}}',
    _claim_names: { [name]: 'src1' },
    _claim_sources: { src1: { endpoint: `{{URL}}/${name}`, access_token: `${name}_token` } },
    ...more,
  })

/** What the source says: a token of its own. */
const answer = (
  more: Readonly<Record<string, unknown>>,
): { readonly claims: Record<string, unknown> } => ({
  claims: { iss: '{{URL}}', aud: 'my-client', exp: farAway, ...more },
})
const teams = answer({ groups: ['team1', 'team2'] })
const serving = (groups: Answer): Readonly<Record<string, Answer>> => ({ '/groups': groups })
const unknown =
  'a source of distributed claims that cannot be reached or fails: 503, since nothing is known'

/** `_claim_names` and `_claim_sources` (OpenID Connect Core 5.6.2), for groups by claim. */
export const distributedClaimRows: readonly Row[] = [
  {
    says: 'groups are fetched from where the token says',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(teams),
    apiServer: { user: 'jane', groups: ['team1', 'team2'] },
  },
  {
    says: 'whatever the claim is called',
    configuration: one({ issuer, mappings: { groups: claim('rabbits') } }),
    token: { claims: pointing('rabbits') },
    endpoints: { '/rabbits': answer({ rabbits: ['team1', 'team2'] }) },
    apiServer: { user: 'jane', groups: ['team1', 'team2'] },
  },
  {
    says: 'a single string is a group',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(answer({ groups: 'team1' })),
    apiServer: { user: 'jane', groups: ['team1'] },
  },
  {
    says: 'fetched groups are prefixed',
    configuration: one({
      issuer,
      mappings: { username: claim('username', 'oidc:'), groups: claim('groups', 'groups:') },
    }),
    token: { claims: pointing() },
    endpoints: serving(teams),
    apiServer: { user: 'oidc:jane', groups: ['groups:team1', 'groups:team2'] },
  },
  {
    says: 'a claim in the token itself wins',
    configuration: byClaim,
    token: { claims: pointing('groups', { groups: 'team1' }) },
    endpoints: serving(answer({ groups: ['team2'] })),
    apiServer: { user: 'jane', groups: ['team1'] },
  },
  {
    says: 'a claim in the token wins when it is null, too',
    configuration: byClaim,
    token: { claims: pointing('groups', { groups: null }) },
    endpoints: serving(teams),
    apiServer: { user: 'jane' },
  },
  {
    says: 'aggregated claims are not read',
    configuration: byClaim,
    token: { claims: pointing('groups', { _claim_sources: { src1: { JWT: 'some.jwt.token' } } }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'a source that is not named is refused',
    configuration: byClaim,
    token: { claims: pointing('groups', { _claim_names: { groups: 'nonexistent' } }) },
    endpoints: serving(teams),
    apiServer: 'rejected',
  },
  {
    says: 'names without sources are refused',
    configuration: byClaim,
    token: { claims: pointing('groups', { _claim_sources: undefined }) },
    endpoints: serving(teams),
    apiServer: 'rejected',
  },
  {
    says: 'they are refused when nobody asks for groups, too',
    configuration: one({ issuer }),
    token: { claims: pointing('groups', { _claim_sources: undefined }) },
    apiServer: 'rejected',
  },
  {
    says: 'names that are no names are refused',
    configuration: byClaim,
    token: { claims: pointing('groups', { _claim_names: ['groups'] }) },
    apiServer: 'rejected',
  },
  {
    says: 'sources that are no sources are refused',
    configuration: byClaim,
    token: { claims: pointing('groups', { _claim_sources: { src1: 'somewhere' } }) },
    apiServer: 'rejected',
  },
  {
    says: 'sources of other claims are not asked',
    configuration: byClaim,
    token: { claims: pointing('address') },
    endpoints: serving(teams),
    apiServer: { user: 'jane' },
  },
  {
    says: 'an answer without the claim is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(answer({})),
    apiServer: 'rejected',
  },
  {
    says: 'an answer for another audience is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(answer({ aud: 'your-client', groups: ['team1'] })),
    apiServer: 'rejected',
  },
  {
    says: 'an expired answer is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(answer({ exp: longAgo, groups: ['team1'] })),
    apiServer: 'rejected',
  },
  {
    says: 'an answer that the issuer did not sign is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving({ ...teams, published: false }),
    apiServer: 'rejected',
  },
  {
    says: 'an answer of another issuer, which has keys of its own, is refused where those cannot be had',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(answer({ iss: '{{URL}}/other', groups: ['team1'] })),
    apiServer: 'rejected',
  },
  {
    says: 'an answer that is no token is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving({ body: '{"groups":["team1"]}' }),
    apiServer: 'rejected',
  },
  {
    says: 'groups in the answer of a type that groups have not are refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving(answer({ groups: 42 })),
    apiServer: 'rejected',
  },
  {
    says: 'a source that fails is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving({ status: 500 }),
    apiServer: 'rejected',
    ours: { outcome: { unavailable: 'issuer_unavailable' }, because: unknown },
  },
  {
    says: 'a source that says no is refused',
    configuration: byClaim,
    token: { claims: pointing() },
    endpoints: serving({ status: 403 }),
    apiServer: 'rejected',
    ours: { outcome: { unavailable: 'issuer_unavailable' }, because: unknown },
  },
  {
    says: 'a source that cannot be reached is refused',
    configuration: byClaim,
    token: {
      claims: pointing('groups', {
        _claim_sources: { src1: { endpoint: 'https://127.0.0.1:1/' } },
      }),
    },
    apiServer: 'rejected',
    ours: { outcome: { unavailable: 'issuer_unavailable' }, because: unknown },
  },
  {
    says: 'expressions see the token as it is: nothing is fetched for them',
    configuration: one({
      issuer,
      mappings: { groups: expression('claims.?groups.orValue(["nothing fetched"])') },
    }),
    token: { claims: pointing() },
    endpoints: serving(teams),
    apiServer: { user: 'jane', groups: ['nothing fetched'] },
  },
  {
    says: 'fetched groups are there for expressions beside the mapping by claim',
    configuration: one({
      issuer,
      mappings: { groups: claim('groups') },
      claimRules: [{ expression: '"team1" in claims.groups' }],
    }),
    token: { claims: pointing() },
    endpoints: serving(teams),
    apiServer: { user: 'jane', groups: ['team1', 'team2'] },
  },
]
