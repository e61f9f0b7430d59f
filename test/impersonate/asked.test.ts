import t from 'tap'
import { asksToImpersonate } from '../../lib/impersonate/asked.js'

t.test('every spelling that software behind us might fold is a question', async t => {
  for (const name of [
    'Impersonate-User',
    'impersonate-group',
    'IMPERSONATE-UID',
    'Impersonate-Extra-Scopes',
    'Impersonate_User',
    'Impersonate%2DUser',
    'impersonate%2duser',
    'Impersonate',
    'ImpersonateUser',
    'Impersonate-Something-New',
  ]) {
    t.equal(
      asksToImpersonate([
        ['Accept', '*/*'],
        [name, ''],
      ]),
      true,
      name,
    )
  }
})

t.test('other names are not', async t => {
  t.equal(asksToImpersonate([]), false)
  for (const name of ['Accept', 'X-Impersonate-User', 'Impersonat', 'Authorization']) {
    t.equal(asksToImpersonate([[name, 'Impersonate-User: root']]), false, name)
  }
})
