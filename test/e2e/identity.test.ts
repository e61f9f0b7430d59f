import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { startInFront } from './world.js'

t.test('auth whoami: the API server takes the caller for whom the gateway says', async t => {
  const gateway = await startInFront(t, { mode: 'gateway' })
  t.same(await kubectlAs(t, 'alice', gateway).run('auth', 'whoami'), {
    status: 0,
    out: 'ATTRIBUTE   VALUE\nUsername    oidc:alice\nGroups      [oidc:developers oidc:ünïcode ✓ system:authenticated]\n',
    err: '',
  })
  t.equal((await kubectlAs(t, 'bob', gateway).run('get', 'ns', '-o', 'name')).status, 0)
})
