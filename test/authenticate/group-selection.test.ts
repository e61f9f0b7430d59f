import t from 'tap'
import {
  createGroupSelection,
  type GroupSelectionOptions,
} from '../../lib/authenticate/group-selection.js'
import { Refusal } from '../../lib/refusal.js'

const all = ['oidc:dev', 'oidc:ops', 'oidc', 'Oidc:dev', 'other', 'oidc:dev', '*']
const kept = (options: Partial<GroupSelectionOptions>): string =>
  createGroupSelection({ maxGroups: 256, ...options })(all).kept.join(' ')

t.test('names are exact, beginnings end in a star, and what is denied is not allowed', async t => {
  t.equal(kept({}), 'oidc:dev oidc:ops oidc Oidc:dev other *')
  t.equal(kept({ allowedGroups: ['oidc:dev', 'other'] }), 'oidc:dev other')
  t.equal(kept({ allowedGroups: ['oidc:*'] }), 'oidc:dev oidc:ops')
  t.equal(kept({ allowedGroups: ['oidc*'] }), 'oidc:dev oidc:ops oidc')
  t.equal(kept({ allowedGroups: ['*'] }), 'oidc:dev oidc:ops oidc Oidc:dev other *')
  t.equal(kept({ allowedGroups: [] }), '')
  t.equal(kept({ deniedGroups: ['oidc:d*', 'other', '*x'] }), 'oidc:ops oidc Oidc:dev *')
  t.equal(kept({ deniedGroups: ['*'] }), '')
  t.equal(kept({ allowedGroups: ['oidc:*'], deniedGroups: ['oidc:dev'] }), 'oidc:ops')
  t.equal(kept({ allowedGroups: ['oidc:dev'], deniedGroups: ['oidc:*'] }), '')
})

t.test('what is left out is known', async t => {
  const select = createGroupSelection({ allowedGroups: ['a*'], maxGroups: 2 })
  t.strictSame(select(['b', 'a1', 'c', 'a2', 'b']), { kept: ['a1', 'a2'], leftOut: ['b', 'c'] })
})

t.test('only what is kept can be too much, and the client is told how much it is', async t => {
  const select = createGroupSelection({ deniedGroups: ['b*'], maxGroups: 2 })
  const many = Array.from({ length: 500 }, (_, n) => `b${n}`)
  t.strictSame(select([...many, 'a1', 'a2']).kept, ['a1', 'a2'])
  try {
    select([...many, 'a1', 'a2', 'a3'])
    t.fail('is refused')
  } catch (error) {
    t.match(Refusal.from(error).toStatus(), {
      code: 431,
      reason: 'RequestHeaderFieldsTooLarge',
      message: 'the identity has too many groups: 3, at most 2',
    })
  }
})
