import t from 'tap'
import { Refusal } from '../../lib/refusal.js'
import { pathBelow } from '../../lib/upstream/target-path.js'

t.test('a target goes byte for byte behind the path of the kubeconfig', async t => {
  for (const target of [
    '/',
    '/api/v1/pods?a=/../b',
    '/a..b/...',
    '/.well-known/x',
    '/a/..b/%2e%2ec',
  ]) {
    t.equal(pathBelow('/clusters/a', target), `/clusters/a${target}`)
  }
  t.equal(pathBelow('', '/a/../b'), '/a/../b', 'a host of its own has no outside')
})

t.test('nothing leads out of that path', async t => {
  for (const target of [
    '/..',
    '/../b',
    '/./b',
    '/api/../../b',
    '/api/..?x',
    '/%2e%2E/b',
    '/.%2e/b',
    '/api%2f..%2fb',
    '/..%5cb',
    '/..\\b',
    '/\\..\\b',
    '/%252e%252e/b',
    '/..%252fb',
    '/..;/b',
    '/..%3b/b',
  ]) {
    t.throws(
      () => pathBelow('/clusters/a', target),
      new Refusal('request_target', 'dot segments'),
      target,
    )
  }
})
