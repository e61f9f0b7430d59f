import { claims, one, type Row } from './row.js'

const three = { audiences: ['bar', 'foo', 'baz'], audienceMatchPolicy: 'MatchAny' }
const exactly = {
  expression: 'sets.equivalent(claims.aud, ["bar", "foo", "baz"])',
  message: 'audience must exactly contain [bar, foo, baz]',
}

/** Whom a token is meant for. */
export const audienceRows: readonly Row[] = [
  {
    says: 'a token for somebody else is refused',
    configuration: one(),
    token: { claims: claims({ aud: 'not-my-client' }) },
    apiServer: 'rejected',
  },
  {
    says: 'one of several audiences of a token is enough; azp does not count',
    configuration: one(),
    token: { claims: claims({ aud: ['not-my-client', 'my-client'], azp: 'not-my-client' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'any of several accepted audiences is enough',
    configuration: one({
      issuer: { audiences: ['random-client', 'my-client'], audienceMatchPolicy: 'MatchAny' },
    }),
    token: { claims: claims({ aud: ['not-my-client', 'my-client'], azp: 'not-my-client' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'so are two of them',
    configuration: one({
      issuer: {
        audiences: ['random-client', 'my-client', 'other-client'],
        audienceMatchPolicy: 'MatchAny',
      },
    }),
    token: { claims: claims({ aud: ['not-my-client', 'my-client', 'other-client'] }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'none of several is not',
    configuration: one({
      issuer: { audiences: ['random-client', 'my-client'], audienceMatchPolicy: 'MatchAny' },
    }),
    token: { claims: claims({ aud: ['not-my-client'], azp: 'my-client' }) },
    apiServer: 'rejected',
  },
  {
    says: 'a rule can ask for all of them',
    configuration: one({ issuer: three, claimRules: [exactly] }),
    token: { claims: claims({ aud: ['foo', 'bar', 'baz'] }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'and refuse two of three',
    configuration: one({ issuer: three, claimRules: [exactly] }),
    token: { claims: claims({ aud: ['foo', 'baz'] }) },
    apiServer: 'rejected',
  },
  {
    says: 'a token without audience is refused',
    configuration: one(),
    token: { claims: claims({ aud: undefined }) },
    apiServer: 'rejected',
  },
  {
    says: 'an audience that is a number is refused, also beside the right one',
    configuration: one(),
    token: { claims: claims({ aud: ['my-client', 42] }) },
    apiServer: 'rejected',
  },
  {
    says: 'an audience that is null is read as blank',
    configuration: one(),
    token: { claims: claims({ aud: ['my-client', null] }) },
    apiServer: { user: 'jane' },
    ours: { outcome: 'rejected', because: 'a list of audiences must hold nothing but strings' },
  },
  {
    says: 'audiences are compared to the letter',
    configuration: one(),
    token: { claims: claims({ aud: 'My-Client' }) },
    apiServer: 'rejected',
  },
]
