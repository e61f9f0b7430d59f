import t from 'tap'
import type { KubernetesObject } from '../../lib/demo/objects.js'
import { selector } from '../../lib/demo/selectors.js'

const named = (name: string, labels: Record<string, string>): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels, uid: '', resourceVersion: '1', creationTimestamp: '' },
})
const objects = [
  named('web', { app: 'web', tier: 'front' }),
  named('db', { app: 'db' }),
  named('bare', {}),
]

t.test('label and field selectors select as kubectl means them', async t => {
  const expected: readonly (readonly [string, string, readonly string[]])[] = [
    ['labelSelector', 'app=web', ['web']],
    ['labelSelector', 'app==web', ['web']],
    ['labelSelector', 'app!=web', ['db', 'bare']],
    ['labelSelector', 'app in (web, db),tier', ['web']],
    ['labelSelector', 'app notin (web)', ['db', 'bare']],
    ['labelSelector', '!app', ['bare']],
    ['fieldSelector', 'metadata.name=db', ['db']],
    ['fieldSelector', 'metadata.name!=db', ['web', 'bare']],
  ]
  for (const [kind, text, names] of expected) {
    const selects = selector(new URLSearchParams({ [kind]: text }))
    t.same(
      objects.filter(selects).map(object => object.metadata.name),
      names,
      text,
    )
  }
})

t.test('a selector that cannot be read is 400', async t => {
  for (const query of ['labelSelector=a+b', 'fieldSelector=metadata.name', 'labelSelector=%3D']) {
    t.throws(() => selector(new URLSearchParams(query)), { code: 400 }, query)
  }
})
