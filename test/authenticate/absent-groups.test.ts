import t, { type Test } from 'tap'
import { createAbsentGroups } from '../../lib/authenticate/absent-groups.js'
import { compileExpression } from '../../lib/authenticate/cel/expression.js'
import type { TokenRules } from '../../lib/authenticate/configuration.js'
import { facts, type Notice } from '../../lib/channels.js'

const issuerUrl = 'https://rancher.example.com/oidc'
const rules = (groups?: TokenRules['groups'], url = issuerUrl) => ({
  issuer: { url, audiences: ['gateway'] },
  ...(groups && { groups }),
})
const byClaim = { claim: 'groups', prefix: '' }
const listen = (t: Test): Notice[] => {
  const heard: Notice[] = []
  t.teardown(facts.notice.subscribe(notice => heard.push(notice)))
  return heard
}

t.test('that tokens have no groups is told once an hour, not once a token', t => {
  const heard = listen(t)
  let now = 1_800_000_000_000
  const look = createAbsentGroups({ rules: rules(byClaim), now: () => now })
  const told: Notice = {
    level: 'warn',
    msg: 'a token has no groups claim, and its user no groups: has the client asked for the scope?',
    fields: { issuer: issuerUrl, claim: 'groups' },
  }

  for (let token = 0; token < 1000; token += 1) look(new Map([['sub', 'jane']]))
  t.same(heard, [told])
  now += 3_600_000 - 1
  look(new Map())
  t.same(heard, [told])
  now += 1
  look(new Map())
  t.same(heard, [told, told])
  t.end()
})

t.test('groups that are there, empty or null are nothing to tell', t => {
  const heard = listen(t)
  const look = createAbsentGroups({ rules: rules(byClaim), now: Date.now })
  for (const groups of [['a'], [], null, 'a']) look(new Map([['groups', groups]]))
  t.same(heard, [])
  t.end()
})

t.test(
  'where no claim is asked for groups, none is missing: an expression speaks for itself',
  t => {
    const heard = listen(t)
    createAbsentGroups({ rules: rules(), now: Date.now })(new Map())
    const compiled = compileExpression('claims.?groups.orValue([])', 'claims')
    if ('fault' in compiled) throw new Error(compiled.fault.says)
    createAbsentGroups({ rules: rules({ expression: compiled.expression }), now: Date.now })(
      new Map(),
    )
    t.same(heard, [])
    t.end()
  },
)

t.test('each issuer is told of for itself', t => {
  const heard = listen(t)
  for (const url of ['https://a.example', 'https://b.example']) {
    const look = createAbsentGroups({ rules: rules(byClaim, url), now: Date.now })
    look(new Map())
    look(new Map())
  }
  t.same(
    heard.map(({ fields }) => fields?.['issuer']),
    ['https://a.example', 'https://b.example'],
  )
  t.end()
})
