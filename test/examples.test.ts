import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { Refusal, refusalCodes } from '../lib/refusal.js'
import { readFromDisk } from '../lib/settings/files.js'
import { flagNames } from '../lib/settings/flags.js'
import { loadServe } from '../lib/settings/load.js'
import { createAuthority } from './actors/certificates.js'

const root = fileURLToPath(new URL('../', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const under = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(root.length))
    .toSorted()

const examples = under('examples')
const pages = [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...[...under('docs'), ...examples].filter(path => path.endsWith('.md')),
]

/** Files that an example names and whoever follows it brings. */
const brought = async (): Promise<(path: string) => Buffer> => {
  const { ca } = createAuthority()
  const { cert, key } = await createAuthority().issue()
  const contents = new Map([
    ['tls.crt', cert],
    ['tls.key', key],
    ['issuer-ca.crt', ca],
    ['api-server.kubeconfig.yaml', 'apiVersion: v1\nkind: Config\n'],
    [
      'authentication-configuration.yaml',
      read('examples/rancher/authentication-configuration.yaml'),
    ],
  ])
  return path => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    const content = path.startsWith('/etc/') ? contents.get(name) : undefined
    return content === undefined ? readFromDisk(path) : Buffer.from(content)
  }
}

t.test('every config.yaml of the examples is one that serve starts with', async t => {
  const readFile = await brought()
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
  const loaded = examples
    .filter(path => path.endsWith('/config.yaml'))
    .map(path => {
      const result = loadServe([`--config=${join(root, path)}`], { env, readFile })
      if (!('settings' in result)) return [path, result]
      const { credentialMode, listen, cluster } = result.settings
      const tls = typeof listen.tls === 'string' ? listen.tls : 'files'
      return [path, credentialMode, tls, listen.trustedProxies, cluster]
    })
  const kubeconfig = '/etc/impersonation-gateway/api-server.kubeconfig.yaml'
  const auto = { kind: 'caller', impersonation: 'auto' }
  t.same(loaded, [
    [
      'examples/behind-a-load-balancer/config.yaml',
      auto,
      'files',
      ['10.20.0.0/24', '2001:db8:20::/64'],
      { kubeconfig },
    ],
    [
      'examples/behind-a-load-balancer/plain-http/config.yaml',
      auto,
      'off',
      ['10.20.0.0/24'],
      { kubeconfig },
    ],
    ['examples/caller-token/config.yaml', auto, 'files', [], { kubeconfig }],
    ['examples/rancher/config.yaml', auto, 'files', [], { kubeconfig }],
    ['examples/service-account-mode/config.yaml', { kind: 'gateway' }, 'files', [], {}],
  ])
})

t.test('every YAML file of the examples, and every YAML block of a page, is YAML', async t => {
  const files = examples.filter(path => /\.ya?ml$/.test(path)).map(path => [path, read(path)])
  const blocks = pages.flatMap(path =>
    [...read(path).matchAll(/^ *```yaml\n([^]*?)^ *```$/gm)].map(([, block = '']) => [path, block]),
  )
  const wrong = [...files, ...blocks].flatMap(([path, text = '']) => {
    const documents = parseAllDocuments(text)
    const parsed = Array.isArray(documents) ? documents : []
    const faults = parsed.flatMap(({ errors, warnings }) => [...errors, ...warnings])
    const empty = parsed.length === 0 || parsed.some(document => document.contents === null)
    return empty || faults.length > 0 ? [[path, text, faults]] : []
  })
  t.same(wrong, [])
  t.ok(files.length > 5)
})

t.test(
  'the impersonation that the service account is given is no more than the mode sends',
  async t => {
    const documents = parseAllDocuments(read('examples/service-account-mode/rbac.yaml'))
    const role: unknown = Array.isArray(documents) ? documents[1]?.toJS() : undefined
    t.match(role, { kind: 'ClusterRole' })
    t.same((role as { readonly rules: unknown }).rules, [
      { apiGroups: [''], resources: ['users'], verbs: ['impersonate'] },
      {
        apiGroups: [''],
        resources: ['groups'],
        verbs: ['impersonate'],
        resourceNames: ['oidc:developers', 'oidc:viewers'],
      },
    ])
  },
)

t.test('README tells every refusal with its status and reason', async t => {
  const rows = [...read('README.md').matchAll(/^\| `([a-z_]+)` +\| (\d{3}) `(\w+)` +\|/gm)]
  t.same(
    new Map(rows.map(([, code, status, reason]) => [code, [Number(status), reason]])),
    new Map(
      refusalCodes.map(code => {
        const { status, reason } = new Refusal(code)
        return [code, [status, reason]]
      }),
    ),
  )
})

t.test('a flag that a page calls by name exists', async t => {
  // Of kubectl, kubelogin, kube-apiserver, Node, and of commands of ours other than serve.
  const others = [
    'oidc-extra-scope',
    'as',
    'as-group',
    'as-uid',
    'no-allocation-site-pretenuring',
    'max-semi-space-size',
    'min-request-timeout',
    'import',
    'help',
    'version',
    'username-prefix',
    'from',
    'connect',
    'offline',
    'server',
    'certificate-authority',
    'output',
    'as-user-extra',
    'mode',
    'group',
    'user',
    'extra-key',
    'namespace',
    'service-account',
  ]
  const known: readonly string[] = [...flagNames, ...others]
  const exists = (name: string): boolean =>
    known.includes(name) || (name.endsWith('-') && known.some(flag => flag.startsWith(name)))
  const unknown = pages.flatMap(path =>
    [...read(path).matchAll(/`--([a-z][a-z0-9-]*)/g)]
      .filter(([, name = '']) => !exists(name))
      .map(([flag]) => [path, flag]),
  )
  t.same(unknown, [])
})

t.test('a test that the answers of docs/security.md quote is in a file that they name', async t => {
  const rows = read('docs/security.md')
    .split('\n')
    .filter(line => line.startsWith('| ') && line.includes('.test.ts'))
  t.equal(rows.length, 5)
  const unproven = rows.flatMap(row => {
    const tests = row.split(' | ').at(-1) ?? ''
    const files = [...tests.matchAll(/\]\(\.\.\/(test\/[^)]+)\)/g)].map(([, path = '']) =>
      read(path),
    )
    const titles = [...tests.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title)
    return titles.length === 0
      ? [row]
      : titles.filter(title => !files.some(text => text.includes(title)))
  })
  t.same(unproven, [])
})

t.test('a link from page to page leads somewhere', async t => {
  const dead = pages.flatMap(path =>
    [...read(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter(target => !/^[a-z]+:/.test(target))
      .filter(target => !existsSync(join(root, dirname(path), target)))
      .map(target => [path, target]),
  )
  t.same(dead, [])
})
