import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { compileExpression, type Expression } from '../../../lib/authenticate/cel/expression.js'
import { EvaluationFailure } from '../../../lib/authenticate/cel/fault.js'
import { otherwiseHere, outcomes, refusedHere, sample, type Outcome } from './outcomes.js'
import { shown } from './shown.js'

const compiled = (text: string, variable: 'claims' | 'user' = 'claims'): Expression => {
  const result = compileExpression(text, variable)
  if ('fault' in result) throw new Error(`${text}: ${JSON.stringify(result.fault)}`)
  return result.expression
}
const members = (json: string): ReadonlyMap<string, unknown> =>
  new Map(Object.entries(JSON.parse(json) as object))
const claims = members(sample)

const outcomeOf = (text: string): unknown => {
  const result = compileExpression(text, 'claims')
  if ('fault' in result) return 'fault'
  try {
    return { gives: shown(result.expression.evaluate(claims)) }
  } catch (error) {
    if (error instanceof EvaluationFailure) return 'error'
    throw error
  }
}

t.test('every expression comes to what it comes to at the API server', async t => {
  for (const [text, outcome] of outcomes) t.same(outcomeOf(text), outcome, text)
})

t.test('and so does every function and operator of every type', async t => {
  const file = new URL('kubernetes-outcomes.json', import.meta.url)
  // The table is ours, and of this shape.
  const rows = JSON.parse(readFileSync(file, 'utf8')) as ReadonlyArray<readonly [string, Outcome]>
  t.ok(rows.length > 3_000)
  for (const [text, outcome] of rows) {
    const actual = outcomeOf(text)
    // Thousands of passes are not worth a line each.
    if (!isDeepStrictEqual(actual, outcome)) t.same(actual, outcome, text)
  }
})

t.test('what comes to something else is known', async t => {
  for (const [text, here] of otherwiseHere) t.same(outcomeOf(text), here, text.slice(0, 80))
})

t.test('what cannot be done exactly so is a fault, and says what to do', async t => {
  for (const [text, says] of refusedHere) {
    const result = compileExpression(text, 'claims')
    t.equal('fault' in result ? result.fault.says : 'compiled', says, text)
  }
})

t.test('a fault says where it is', async t => {
  const at = (text: string): unknown => {
    const result = compileExpression(text, 'claims')
    return 'fault' in result ? result.fault : 'compiled'
  }
  t.same(at('claims.a +\n  foo(1)'), {
    line: 2,
    column: 3,
    says: "undeclared reference to 'foo': there is no such function",
  })
  t.match(at('claims.a ++'), { line: 1, column: 11 })
  t.match(at('user.username'), { line: 1, column: 1, says: /^undeclared reference to 'user'/ })
  t.match(at(''), { line: 1 })
})

t.test('a user has its fields and no others', async t => {
  const user = members(
    '{"username":"u","uid":"1","groups":["a","b"],"extra":{"example.org/a":["x"],"example.org/b-c":["y","z"]}}',
  )
  const table: Record<string, unknown> = {
    'user.username == "u" && user.uid == "1"': true,
    '"a" in user.groups && user.groups.size() == 2': true,
    '!user.username.startsWith("system:")': true,
    'user.groups.all(group, !group.startsWith("system:"))': true,
    'user.groups.exists_one(g, g == "a")': true,
    'user.extra["example.org/a"][0] == "x"': true,
    'user.extra.example__dot__org__slash__b__dash__c.size() == 2': true,
    'user.extra[?"example.org/none"].orValue([]) == []': true,
    'has(user.extra.example__dot__org__slash__a) && !has(user.extra.none)': true,
    '"x" in user.extra["example.org/a"]': true,
    'user.?uid.orValue("") == "1"': true,
    '!("bar" in user.extra)': true,
    'user.extra.all(key, key.startsWith("example.org/"))': true,
  }
  for (const [text, value] of Object.entries(table)) {
    const expression = compiled(text, 'user')
    t.equal(expression.type, 'bool', text)
    t.equal(expression.evaluate(user), value, text)
  }
  for (const text of [
    'user.name',
    'user["uid"]',
    'user',
    'claims.sub',
    'user.groups.name',
    'user.username == 1',
  ]) {
    t.ok('fault' in compileExpression(text, 'user'), text)
  }
})

t.test('what an expression names is known', async t => {
  const mentions = (text: string, member: string): boolean => compiled(text).mentions(member)
  for (const text of [
    'claims.email',
    'claims.?email.orValue("")',
    '"a" + claims.email + "b"',
    'claims.email.split("@")[0]',
    '[claims.email]',
    'has(claims.email) ? "a" : "b"',
    'dyn(["a"]).map(x, x + claims.email)',
    '{claims.email: 1}.map(k, k)[0]',
    'dyn(claims.x)[claims.email]',
  ]) {
    t.equal(mentions(text, 'email'), true, text)
    t.equal(mentions(text, 'email_verified'), false, text)
  }
  for (const text of ['claims["email"]', 'claims.x.email', '"claims.email"', 'claims.emails']) {
    t.equal(mentions(text, 'email'), false, `${text}: as for the API server`)
  }
})

t.test('where the work is too much no other side answers instead', async t => {
  const list = Array.from({ length: 2_000 }, (_, at) => `${at}`)
  const dear = 'dyn(claims.list).exists(a, dyn(claims.list).exists(b, b == "x"))'
  for (const text of [
    `${dear} || true`,
    `true && ${dear} || has(claims.list)`,
    `has(claims.list) && (${dear} || has(claims.list))`,
    `["a"].exists(x, ${dear} || true)`,
  ]) {
    const evaluate = (): unknown => compiled(text).evaluate(new Map([['list', list]]))
    t.throws(evaluate, { message: /costs too much/ }, text)
  }
})

t.test('values too deep or too long for the machine are no fault of ours', async t => {
  const deep = (): unknown => JSON.parse('['.repeat(40_000) + ']'.repeat(40_000))
  const given = new Map<string, unknown>([
    ['a', deep()],
    ['b', deep()],
    ['text', 'x'.repeat(40_000)],
  ])
  for (const text of ['claims.a == claims.b', 'claims.text.replace("x", claims.text)']) {
    t.throws(() => compiled(text).evaluate(given), EvaluationFailure, text)
  }
})

t.test('the work of one evaluation is bounded', async t => {
  const many = new Map<string, unknown>([
    ['list', Array.from({ length: 2_000 }, (_, at) => `${at}`)],
    ['map', Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`${at}`, at]))],
    ['text', 'x'.repeat(50_000)],
  ])
  const fails = (text: string): void => {
    const started = performance.now()
    t.throws(() => compiled(text).evaluate(many), { message: /costs too much/ }, text)
    t.ok(performance.now() - started < 10_000, 'and it ends soon')
  }
  fails('dyn(claims.list).all(a, dyn(claims.list).all(b, a != "x" && b != "x"))')
  fails('dyn(claims.list).map(a, dyn(claims.list).map(b, a + b)).size() > 0')
  fails(
    'dyn(claims.list).exists(a, dyn(claims.list).exists(b, dyn(claims.list).exists(c, c == "x")))',
  )
  fails('sets.contains(claims.list, dyn(claims.list).map(a, a + "x"))')
  fails('lists.range(100000000).size() > 0')
  fails('dyn(claims.list).all(a, dyn(claims.list).size() > 0)')
  fails('dyn(claims.list).all(a, dyn(claims.map).exists(k, true))')
  fails('dyn(claims.list).all(a, claims.map != {})')
  fails('claims.text.matches("(x?){200}(y?){200}$")')
  fails('"a".matches(claims.text)')
  fails(
    'lists.range(150).all(a, lists.range(200).all(b, timestamp(0).getHours("Asia/Tokyo") == 9))',
  )
  fails('lists.range(20000).all(a, "%.1000f".format([1.0]) != "")')
  const cheap = 'dyn(claims.list).all(a, a != "x")'
  t.equal(compiled(cheap).evaluate(many), true, 'once through is no matter')
})

t.test('a pattern takes time in proportion to the text', async t => {
  const evil = compiled('claims.text.matches("^(a+)+$")')
  const started = performance.now()
  t.equal(evil.evaluate(new Map([['text', `${'a'.repeat(5_000)}b`]])), false)
  t.ok(performance.now() - started < 10_000)
})

t.test('members that every object has are not found', async t => {
  const own = members('{"m":{"a":1},"__proto__":"p"}')
  for (const text of [
    'claims.constructor',
    'claims.m.constructor',
    'claims.m.toString',
    'claims.m["__proto__"]',
    'claims["hasOwnProperty"]',
    // Kubernetes reads it as an escape that there is not.
    'claims["__proto__"]',
  ]) {
    t.throws(() => compiled(text).evaluate(own), { message: /no such key/ }, text)
  }
  t.equal(compiled('has(claims.m.constructor)').evaluate(own), false)
})
