import { claim, claims, one, type Row } from './row.js'

const reserved = 'a prefix that begins with `system:` is a fault'
const clusters = '`system:` names are refused with 403 unless allowed by name'

/** What is put before names. */
export const prefixRows: readonly Row[] = [
  {
    says: 'a prefix stands before the user',
    configuration: one({ mappings: { username: claim('username', 'oidc:') } }),
    token: { claims: claims() },
    apiServer: { user: 'oidc:jane' },
  },
  {
    says: 'a prefix stands before each group, another one than the user’s',
    configuration: one({
      mappings: { username: claim('username', 'oidc:'), groups: claim('groups', 'groups:') },
    }),
    token: { claims: claims({ groups: ['team1', 'team2'] }) },
    apiServer: { user: 'oidc:jane', groups: ['groups:team1', 'groups:team2'] },
  },
  {
    says: 'a prefix stands before a single group',
    configuration: one({ mappings: { groups: claim('groups', 'groups:') } }),
    token: { claims: claims({ groups: 'team1' }) },
    apiServer: { user: 'jane', groups: ['groups:team1'] },
  },
  {
    says: 'a prefix is taken as it stands: no dash, no colon is added, and a dash is no word for none',
    configuration: one({ mappings: { username: claim('username', '-') } }),
    token: { claims: claims() },
    apiServer: { user: '-jane' },
  },
  {
    says: 'a prefix system: for users is a matter of the rules',
    configuration: one({
      mappings: { username: claim('username', 'system:') },
      userRules: [
        {
          expression: "!user.username.startsWith('system:')",
          message: 'username cannot used reserved system: prefix',
        },
      ],
    }),
    token: { claims: claims() },
    apiServer: 'rejected',
    ours: {
      outcome: { faults: ['jwt[0].claimMappings.username.prefix'] },
      because: reserved,
    },
  },
  {
    says: 'a prefix system: for groups is a matter of the rules',
    configuration: one({
      mappings: { groups: claim('groups', 'system:') },
      userRules: [
        {
          expression: "user.groups.all(group, !group.startsWith('system:'))",
          message: 'groups cannot used reserved system: prefix',
        },
      ],
    }),
    token: { claims: claims({ groups: ['team1', 'team2'] }) },
    apiServer: 'rejected',
    ours: { outcome: { faults: ['jwt[0].claimMappings.groups.prefix'] }, because: reserved },
  },
  {
    says: 'a token may carry a name of the cluster’s own',
    configuration: one(),
    token: { claims: claims({ username: 'system:admin' }) },
    apiServer: { user: 'system:admin' },
    ours: { outcome: { refusal: 'identity_reserved' }, because: clusters },
  },
  {
    says: 'a token may carry a group of the cluster’s own',
    configuration: one({ mappings: { groups: claim('groups') } }),
    token: { claims: claims({ groups: ['system:masters'] }) },
    apiServer: { user: 'jane', groups: ['system:masters'] },
    ours: { outcome: { refusal: 'identity_reserved' }, because: clusters },
  },
  {
    says: 'a prefix keeps such a name apart from the cluster’s',
    configuration: one({ mappings: { username: claim('username', 'oidc:') } }),
    token: { claims: claims({ username: 'system:admin' }) },
    apiServer: { user: 'oidc:system:admin' },
  },
]
