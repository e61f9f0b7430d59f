import t from 'tap'
import { patched } from '../../lib/demo/patch.js'

const document = {
  metadata: { labels: { a: '1', b: '2' } },
  list: [{ name: 'x', v: 1 }, { name: 'y' }],
}

t.test('a merge patch sets, removes and replaces (RFC 7396)', async t => {
  const patch = { metadata: { labels: { a: null, c: '3' } }, list: [{ name: 'z' }] }
  t.same(patched(document, patch, 'application/merge-patch+json'), {
    metadata: { labels: { b: '2', c: '3' } },
    list: [{ name: 'z' }],
  })
})

t.test('a strategic merge patch knows items by their names', async t => {
  const patch = {
    $setElementOrder: ['ignored'],
    list: [{ name: 'x', w: 2 }, { name: 'y', $patch: 'delete' }, { name: 'z' }],
  }
  t.same(patched(document, patch, 'application/strategic-merge-patch+json'), {
    metadata: document.metadata,
    list: [{ name: 'x', v: 1, w: 2 }, { name: 'z' }],
  })
})

t.test('a JSON patch is done step by step (RFC 6902)', async t => {
  const patch = [
    { op: 'test', path: '/metadata/labels/a', value: '1' },
    { op: 'replace', path: '/metadata/labels/a', value: '9' },
    { op: 'add', path: '/metadata/labels/x~1y', value: 'new' },
    { op: 'move', from: '/metadata/labels/b', path: '/metadata/moved' },
    { op: 'remove', path: '/list/0' },
    { op: 'add', path: '/list/-', value: { name: 'z' } },
    { op: 'copy', from: '/list/0/name', path: '/copied' },
  ]
  t.same(patched(document, patch, 'application/json-patch+json'), {
    metadata: { labels: { a: '9', 'x/y': 'new' }, moved: '2' },
    list: [{ name: 'y' }, { name: 'z' }],
    copied: 'y',
  })
})

t.test('a patch that does not fit changes nothing', async t => {
  const steps = (operation: object) => () =>
    patched(document, [operation], 'application/json-patch+json')
  t.throws(steps({ op: 'test', path: '/metadata/labels/a', value: '2' }), { code: 422 })
  t.throws(steps({ op: 'remove', path: '/nothing/there' }), { code: 422 })
  t.throws(steps({ op: 'guess', path: '/list' }), { code: 400 })
  t.throws(() => patched(document, {}, 'text/plain'), { code: 415 })
  t.same(document.metadata.labels, { a: '1', b: '2' })
})
