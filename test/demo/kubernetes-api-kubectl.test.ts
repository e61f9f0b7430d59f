import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startKubernetesApi } from '../../lib/demo/kubernetes-api.js'
import { kubectlFor, type Kubectl } from './run-kubectl.js'

const alice = ['--context=gateway', '--as=alice', '--as-group=developers']
const bob = ['--context=gateway', '--as=bob', '--as-group=viewers']

async function start(t: Test): Promise<Kubectl> {
  const api = await startKubernetesApi()
  t.teardown(() => api.close())
  return kubectlFor(t, api, { admin: api.adminToken, gateway: api.gatewayToken })
}

t.test('kubectl lists pods as a table, and knows the API by its discovery', async t => {
  const kubectl = await start(t)
  t.equal(
    (await kubectl.run('get', 'pods')).out,
    `NAME                     READY   STATUS      RESTARTS      AGE
migrate-hq9xb            0/1     Completed   0             40m
web-7c5ddbdf54-4xk2p     1/1     Running     0             3d
web-7c5ddbdf54-n8t6q     1/1     Running     0             26h
worker-5f6c8b9d7-zr4wd   1/1     Running     2 (12m ago)   5h
`,
  )
  const known = (await kubectl.run('api-resources', '--no-headers', '-o', 'name')).out
  t.same(known.trim().split('\n'), [
    'configmaps',
    'events',
    'namespaces',
    'pods',
    'secrets',
    'services',
    'selfsubjectreviews.authentication.k8s.io',
    'tokenreviews.authentication.k8s.io',
    'localsubjectaccessreviews.authorization.k8s.io',
    'selfsubjectaccessreviews.authorization.k8s.io',
    'selfsubjectrulesreviews.authorization.k8s.io',
    'subjectaccessreviews.authorization.k8s.io',
  ])
  t.match((await kubectl.run('logs', 'hello', '-n', 'demo')).out, /^hello\/hello: line 1 .*\n/)
})

t.test('kubectl is who it impersonates, and may what that user may', async t => {
  const kubectl = await start(t)
  t.equal(
    (await kubectl.run(...alice, 'auth', 'whoami')).out,
    'ATTRIBUTE   VALUE\nUsername    alice\nGroups      [developers system:authenticated]\n',
  )
  t.same(await kubectl.run(...bob, 'create', 'configmap', 'hello'), {
    status: 1,
    out: '',
    err: 'error: failed to create configmap: configmaps is forbidden: User "bob" cannot create resource "configmaps" in API group "" in the namespace "default"\n',
  })
  t.match(
    (await kubectl.run(...alice, 'get', 'secret', 'database')).err,
    'Error from server (Forbidden): secrets "database" is forbidden: User "alice" cannot get resource "secrets" in API group "" in the namespace "default"',
  )
  const rules = (await kubectl.run(...bob, 'auth', 'can-i', '--list', '--no-headers')).out
  t.match(rules, /^pods +\[\] +\[\] +\[get list watch\]$/m)
  t.equal((await kubectl.run(...bob, 'auth', 'can-i', 'create', 'pods')).out, 'no\n')
})

t.test('kubectl creates, applies, patches, labels and deletes', async t => {
  const kubectl = await start(t)
  const said = async (...args: readonly string[]): Promise<string> => {
    const { out, err } = await kubectl.run(...alice, ...args)
    return out + err
  }
  t.equal(
    await said('create', 'configmap', 'hello', '--from-literal=a=b'),
    'configmap/hello created\n',
  )
  t.equal(
    await said('patch', 'configmap', 'hello', '-p', '{"data":{"c":"d"}}'),
    'configmap/hello patched\n',
  )
  t.equal(await said('label', 'configmap', 'hello', 'app=x'), 'configmap/hello labeled\n')
  t.equal(
    await said('get', 'configmap', '-l', 'app=x', '-o', 'jsonpath={.items[*].data}'),
    '{"a":"b","c":"d"}',
  )

  const file = join(kubectl.folder, 'map.yaml')
  const map = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  k: '
  await writeFile(file, `${map}one\n`)
  t.equal(await said('apply', '-f', file), 'configmap/applied created\n')
  t.equal(await said('apply', '-f', file), 'configmap/applied unchanged\n')
  await writeFile(file, `${map}two\n`)
  t.equal(await said('apply', '-f', file), 'configmap/applied configured\n')
  t.equal(
    await said('delete', 'configmap', 'hello', 'applied'),
    'configmap "hello" deleted from default namespace\nconfigmap "applied" deleted from default namespace\n',
  )
  t.match(
    await said('get', 'configmap', 'hello'),
    'Error from server (NotFound): configmaps "hello" not found',
  )
})

t.test('kubectl get -w shows what happens', async t => {
  const kubectl = await start(t)
  const watching = kubectl.until('late ', 'get', 'pods', '-w')
  const appears = kubectl.run('run', 'late', '--image=late')
  t.match(await watching, /^late +0\/1 +ContainerCreating +0 /m)
  await appears
})
