import t from 'tap'
import { facts, type Notice } from '../../lib/channels.js'
import type { Findings } from '../../lib/rbac/examination.js'
import { createReport, OverprivilegedCredential, remarkOn } from '../../lib/rbac/report.js'

const findings = (more: Partial<Findings>): Findings => ({
  verdict: 'least',
  excess: [],
  missing: [],
  incomplete: false,
  ...more,
})
const excess = findings({ verdict: 'excess', excess: ['get on secrets', 'bind on roles'] })
const missing = findings({ verdict: 'missing', missing: ['impersonate on groups'] })
const open = findings({
  verdict: 'open',
  open: 'impersonate on groups',
  missing: ['impersonate on users'],
})
const unknown = findings({ verdict: 'unknown', unknown: 'status 404' })

function reported(accepted: boolean, all: ReadonlyArray<readonly [number, Findings]>) {
  const notices: Notice[] = []
  const verdicts: string[] = []
  const subscriptions = [
    facts.notice.subscribe(notice => notices.push(notice)),
    facts.credentialRights.subscribe(({ verdict }) => verdicts.push(verdict)),
  ]
  let now = 0
  const report = createReport({ accepted, now: () => now })
  for (const [at, one] of all) {
    now = at
    report(one)
  }
  for (const end of subscriptions) end()
  return { notices, verdicts }
}

t.test('excess and missing rights are warned of every time', async t => {
  const { notices, verdicts } = reported(false, [
    [0, findings({})],
    [0, excess],
    [0, excess],
    [0, missing],
  ])
  t.strictSame(verdicts, ['least', 'excess', 'excess', 'missing'])
  t.match(notices, [
    { level: 'info' },
    {
      level: 'warn',
      msg: /^UNSAFE: .* will not start with it again/,
      fields: { excess: excess.excess },
    },
    { level: 'warn' },
    { level: 'warn', msg: /lacks rights/, fields: { missing: missing.missing } },
  ])
  t.same(reported(false, [[0, excess]]).notices, [], 'who is refused for it says so at its end')
  t.match(reported(true, [[0, excess]]).notices, [
    { level: 'warn', msg: /^UNSAFE: --allow-overprivileged-credential is on/ },
  ])
})

t.test('open groups are warned of every time, with what closes them', async t => {
  const { notices, verdicts } = reported(false, [
    [0, open],
    [0, open],
  ])
  t.strictSame(verdicts, ['open', 'open'])
  const warning = {
    level: 'warn',
    msg: /^UNSAFE: .*system:masters.*rbac --group=.*--allowed-groups.*--mode=constrained/,
    fields: { open: 'impersonate on groups', incomplete: false, missing: open.missing },
  }
  t.match(notices, [warning, warning])
  t.equal(notices.length, 2)
})

t.test('what stays unknown is warned of once an hour, and when the reason changes', async t => {
  const other = findings({ verdict: 'unknown', unknown: 'connect ECONNREFUSED' })
  const { notices, verdicts } = reported(false, [
    [0, unknown],
    [10_000, unknown],
    [20_000, other],
    [30_000, other],
    [3_600_000, other],
    [3_600_001, findings({})],
    [3_600_002, other],
  ])
  t.equal(verdicts.length, 7)
  t.strictSame(
    notices.map(({ level, fields }) => [level, fields?.['error']]),
    [
      ['warn', 'status 404'],
      ['warn', 'connect ECONNREFUSED'],
      ['warn', 'connect ECONNREFUSED'],
      ['info', undefined],
      ['warn', 'connect ECONNREFUSED'],
    ],
  )
})

t.test('a refused credential is a line a right, and what to do', async t => {
  t.strictSame(new OverprivilegedCredential(excess).faults, [
    'the credential of the gateway has a right too much: get on secrets',
    'the credential of the gateway has a right too much: bind on roles',
    'impersonation-gateway rbac, with the same flags, prints the rights that are needed; --allow-overprivileged-credential starts with more',
  ])
})

t.test('what readyz says of it', async t => {
  t.strictSame([open, excess, missing, unknown, findings({})].map(remarkOn), [
    'the credential of the gateway can say system:masters (impersonate on groups); to close it, name the groups (rbac --group=… for each, or --allowed-groups), or on Kubernetes 1.36 or newer use rbac --mode=constrained; it lacks rights: impersonate on users',
    'the credential of the gateway has rights too much: get on secrets; bind on roles',
    'the credential of the gateway lacks rights: impersonate on groups',
    'credential rights unknown: status 404',
    undefined,
  ])
})
