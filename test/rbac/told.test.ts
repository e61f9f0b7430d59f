import t from 'tap'
import type { Findings } from '../../lib/rbac/examination.js'
import { rightsFindings } from '../../lib/rbac/told.js'

const findings = (more: Partial<Findings>): Findings => ({
  verdict: 'least',
  excess: [],
  missing: [],
  incomplete: false,
  ...more,
})
const told = (more: Partial<Findings>, accepted = false): readonly string[] =>
  rightsFindings(findings(more), accepted).map(({ outcome, says }) => `${outcome} ${says}`)

t.test('what serve would not start with is failed, unless it is accepted', async t => {
  const excess = { verdict: 'excess', excess: ['get on secrets'], missing: ['x on y'] } as const
  t.strictSame(told(excess), [
    'failed has a right too much: get on secrets',
    'failed lacks a right: x on y',
  ])
  t.strictSame(told(excess, true), [
    'warning has a right too much: get on secrets',
    'failed lacks a right: x on y',
  ])
})

t.test('open groups and what is unknown are warnings; the least rights are in order', async t => {
  t.strictSame(told({ verdict: 'open', open: 'impersonate on groups' }), [
    'warning can say system:masters (impersonate on groups)',
  ])
  t.strictSame(told({ verdict: 'unknown', unknown: 'status 404', open: 'x', incomplete: true }), [
    'warning can say system:masters (x)',
    'warning its rights could not all be found out: status 404',
  ])
  t.strictSame(told({}), [
    'ok has no right too much that could be found, and lacks none that is known',
  ])
  t.strictSame(told({ incomplete: true }), [
    'ok has no right too much that could be found, and lacks none that is known; the list of its rights is not complete',
  ])
})
