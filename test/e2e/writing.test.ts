import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { inBothModes } from './world.js'

inBothModes(t, needs(), async (t, gateway) => {
  const kubectl = kubectlAs(t, 'alice', gateway)
  // Of whoever was here before.
  await gateway.behind.must('DELETE', '/api/v1/namespaces/default/configmaps')

  const said = async (...args: readonly string[]): Promise<string> => {
    const { out, err } = await kubectl.run(...args)
    return out + err
  }
  const dataOf = (name: string): Promise<string> =>
    said('get', 'configmap', name, '-o', 'jsonpath={.data}')
  const manifest = (name: string, value: string): string => {
    const path = join(kubectl.folder, `${name}.yaml`)
    const text = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  k: ${value}\n`
    writeFileSync(path, text)
    return path
  }

  t.test('create, label, patch, replace and delete do what they say', async t => {
    t.equal(
      await said('create', 'configmap', 'made', '--from-literal=a=b'),
      'configmap/made created\n',
    )
    t.equal(await said('label', 'configmap', 'made', 'x=y'), 'configmap/made labeled\n')
    for (const [type, patch] of [
      ['strategic', '{"data":{"c":"1"}}'],
      ['merge', '{"data":{"d":"2"}}'],
      ['json', '[{"op":"add","path":"/data/e","value":"3"}]'],
    ] as const) {
      t.equal(
        await said('patch', 'configmap', 'made', `--type=${type}`, '-p', patch),
        'configmap/made patched\n',
      )
    }
    t.equal(await dataOf('made'), '{"a":"b","c":"1","d":"2","e":"3"}')
    t.equal(await said('replace', '-f', manifest('made', 'v')), 'configmap/made replaced\n')
    t.equal(await dataOf('made'), '{"k":"v"}')
    t.equal(
      await said('delete', 'configmap', 'made'),
      'configmap "made" deleted from default namespace\n',
    )
  })

  t.test('apply creates, changes, and sees that nothing changed', async t => {
    t.equal(await said('apply', '-f', manifest('applied', 'one')), 'configmap/applied created\n')
    t.equal(await said('apply', '-f', manifest('applied', 'one')), 'configmap/applied unchanged\n')
    t.equal(await said('apply', '-f', manifest('applied', 'two')), 'configmap/applied configured\n')
    t.match(await said('diff', '-f', manifest('applied', 'three')), /^\+ {2}k: three$/m)
  })

  t.test('apply --server-side keeps owners apart', async t => {
    const apply = (value: string, manager: string): Promise<string> =>
      said('apply', '--server-side', `--field-manager=${manager}`, '-f', manifest('owned', value))
    t.equal(await apply('one', 'us'), 'configmap/owned serverside-applied\n')
    t.match(await apply('two', 'them'), 'Apply failed with 1 conflict: conflict with "us": .data.k')
    t.equal(await dataOf('owned'), '{"k":"one"}')
  })

  t.test('edit writes back what the editor made of it', async t => {
    await said('create', 'configmap', 'edited', '--from-literal=k=before')
    const editor = join(kubectl.folder, 'editor.sh')
    writeFileSync(editor, '#!/bin/sh\nsed -i s/before/after/ "$1"\n', { mode: 0o700 })
    const env = { KUBE_EDITOR: editor }
    t.equal(
      (await kubectl.runWith({ env }, 'edit', 'configmap', 'edited')).out,
      'configmap/edited edited\n',
    )
    t.equal(await dataOf('edited'), '{"k":"after"}')
  })

  t.test('a pod that is deleted is waited for', needs('nodes'), async t => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'brief' } }
    const spec = { nodeName: 'kwok', containers: [{ name: 'main', image: 'none' }] }
    const input = JSON.stringify({ ...pod, spec })
    t.equal((await kubectl.runWith({ input }, 'create', '-f', '-')).out, 'pod/brief created\n')
    t.equal(
      await said('wait', '--for=condition=Ready', 'pod/brief', '--timeout=30s'),
      'pod/brief condition met\n',
    )
    t.equal(await said('delete', 'pod', 'brief'), 'pod "brief" deleted from default namespace\n')
  })

  t.test('a large object is written and read whole', async t => {
    const path = join(kubectl.folder, 'large')
    writeFileSync(path, 'x'.repeat(900_000))
    await said('create', 'configmap', 'large', `--from-file=${path}`)
    t.equal((await dataOf('large')).length, '{"large":""}'.length + 900_000)
    t.match(
      await said('get', 'configmap', 'absent'),
      'Error from server (NotFound): configmaps "absent" not found',
    )
  })
})
