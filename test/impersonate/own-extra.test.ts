import t from 'tap'
import type { Identity } from '../../lib/identity.js'
import { createOwnExtra } from '../../lib/impersonate/own-extra.js'

const alice: Identity = {
  username: 'alice',
  uid: '7',
  groups: ['dev'],
  extra: { team: ['forged'], 'remote-client-ip': ['forged'], kept: ['a', 'b'] },
}

t.test('keys of the gateway are its own; the rest of the identity stays', async t => {
  const add = createOwnExtra({ fixed: { team: ['x', 'y'] }, clientIp: true })
  const made = add(alice, '192.0.2.7')
  t.strictSame(made, {
    ...alice,
    extra: { team: ['x', 'y'], 'remote-client-ip': ['192.0.2.7'], kept: ['a', 'b'] },
  })
  t.ok([made, made.extra, made.extra['remote-client-ip']].every(part => Object.isFrozen(part)))
})

t.test(
  'the same caller from the same place is the same object, from elsewhere another',
  async t => {
    const add = createOwnExtra({ fixed: {}, clientIp: true })
    const made = add(alice, '192.0.2.7')
    t.equal(add(alice, '192.0.2.7'), made)
    t.strictSame(add(alice, '::1').extra['remote-client-ip'], ['::1'])
    t.strictSame(add(alice, '192.0.2.7'), made)
    const fixed = createOwnExtra({ fixed: { a: ['b'] }, clientIp: false })
    t.equal(fixed(alice, '192.0.2.7'), fixed(alice, '::1'))
    t.strictSame(fixed({ ...alice }, '::1'), fixed(alice, '::1'))
  },
)

t.test('nothing to add is nothing made', async t => {
  t.equal(createOwnExtra({ fixed: {}, clientIp: false })(alice, '::1'), alice)
})
