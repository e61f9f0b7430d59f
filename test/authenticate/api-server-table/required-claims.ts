import { claims, one, type Row } from './row.js'

const domain = one({ claimRules: [{ claim: 'hd', requiredValue: 'example.com' }] })

/** `claimValidationRules` with `claim` and `requiredValue`: `--oidc-required-claim`. */
export const requiredClaimRows: readonly Row[] = [
  {
    says: 'claims are as required, all of them',
    configuration: one({
      claimRules: [
        { claim: 'hd', requiredValue: 'example.com' },
        { claim: 'sub', requiredValue: 'test' },
      ],
    }),
    token: { claims: claims({ hd: 'example.com', sub: 'test' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'one of two is not enough',
    configuration: one({
      claimRules: [
        { claim: 'hd', requiredValue: 'example.com' },
        { claim: 'sub', requiredValue: 'test' },
      ],
    }),
    token: { claims: claims({ hd: 'example.com', sub: 'other' }) },
    apiServer: 'rejected',
  },
  {
    says: 'a required claim is missing',
    configuration: domain,
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'a required claim says something else',
    configuration: domain,
    token: { claims: claims({ hd: 'example.org' }) },
    apiServer: 'rejected',
  },
  {
    says: 'a list that holds the value is not the value',
    configuration: domain,
    token: { claims: claims({ hd: ['example.com'] }) },
    apiServer: 'rejected',
  },
  {
    says: 'a number is not the text of it',
    configuration: one({ claimRules: [{ claim: 'ver', requiredValue: '1' }] }),
    token: { claims: claims({ ver: 1 }) },
    apiServer: 'rejected',
  },
  {
    says: 'a blank claim can be required',
    configuration: one({ claimRules: [{ claim: 'hd' }] }),
    token: { claims: claims({ hd: '' }) },
    apiServer: { user: 'jane' },
  },
  {
    says: 'and is not met by its absence',
    configuration: one({ claimRules: [{ claim: 'hd' }] }),
    token: { claims: claims() },
    apiServer: 'rejected',
  },
  {
    says: 'null is read as blank',
    configuration: one({ claimRules: [{ claim: 'hd' }] }),
    token: { claims: claims({ hd: null }) },
    apiServer: { user: 'jane' },
    ours: { outcome: 'rejected', because: 'a required claim that is `null` is not the empty text' },
  },
  {
    says: 'a dotted name is one claim, not a path',
    configuration: one({ claimRules: [{ claim: 'a.b', requiredValue: 'c' }] }),
    token: { claims: claims({ 'a.b': 'c', a: { b: 'x' } }) },
    apiServer: { user: 'jane' },
  },
]
