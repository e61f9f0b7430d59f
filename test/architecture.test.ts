import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/*
 * What the source must not say, looked for as text: lint keeps the layers too, but a rule that is switched
 * off in one place, or a new way around it, shows itself here.
 */

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const sources = (folder: string): ReadonlyArray<readonly [path: string, text: string]> =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map(name => join(folder, name))
    .toSorted()
    .map(path => [path, readFileSync(join(root, path), 'utf8')])

const product = [...sources('lib'), ...sources('cmd')]
const tests = sources('test')

/** The code alone: comments may name anything. */
const code = (text: string): string =>
  text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1')

const saying = (pattern: RegExp): string[] =>
  product.filter(([, text]) => pattern.test(code(text))).map(([path]) => path)

t.test('the policy alone mints grants', async t => {
  t.strictSame(saying(/import\s+(?!type\b)[^'"]*\bGrant\b[^'"]*from\s+['"][^'"]*\/grant\.js['"]/), [
    'lib/impersonate/policy.ts',
  ])
  t.strictSame(saying(/\bimport\(\s*['"][^'"]*grant\.js/), [])
  t.strictSame(saying(/\bexport\s[^'"]*from\s+['"][^'"]*grant\.js/), [])
  t.strictSame(saying(/\bGrant\s*\.\s*by[A-Z]\w*/), ['lib/impersonate/policy.ts'])
  t.strictSame(saying(/\bnew Grant\b/), ['lib/grant.ts'])
  t.strictSame(saying(/\bas\s+(unknown\s+as\s+)?Grant\b/), [])
})

t.test('one module alone writes the names of impersonation headers', async t => {
  const written = saying(/['"`]Impersonate-(?!on:)/i).filter(path => !path.startsWith('lib/demo/'))
  // What the client asks for is read by its own names, in lower case.
  t.strictSame(written, ['lib/impersonate/asked.ts', 'lib/upstream/headers.ts'])
})

/** What of these modules cannot open a connection to anywhere. */
const opensNothing =
  /^(type .*|createServer( as \w+)?|Server|ServerResponse|IncomingMessage|isIP(v[46])?|BlockList|STATUS_CODES|performServerHandshake|TLSSocket|createSecureContext|constants|errors)$/

/** Whether a text imports, as more than types, something that can. */
const opens = (text: string): boolean =>
  (/\bfetch\(/.test(text) && !/\bconst fetch\b/.test(text)) ||
  [
    ...text.matchAll(
      /\bimport\s+(?!type\b)([^'"]*?)\s*from\s+['"](?:undici|node:(?:net|tls|https?|http2|dgram))['"]/g,
    ),
  ]
    .flatMap(([, names = '']) => names.replace(/[{}]/g, ' ').split(','))
    .map(name => name.trim())
    .some(name => name !== '' && !opensNothing.test(name))

t.test('nothing goes to the API server but what was looked at once more, or a review', async t => {
  // Whoever opens connections stands here; the issuer's client is given no address but the issuer's.
  t.strictSame(
    product
      .filter(([path, text]) => !path.startsWith('lib/demo/') && opens(code(text)))
      .map(([path]) => path),
    [
      'lib/authenticate/issuer-client.ts',
      'lib/upstream/cluster.ts',
      'lib/upstream/granted-connection.ts',
      'lib/upstream/reset.ts',
    ],
  )
  // Pools leave `cluster` as types that take an asserted list, or a review: the list's type has one maker, and
  // nobody casts to it or to a pool.
  t.strictSame(saying(/\bas\s+(unknown\s+as\s+)?AssertedHeaders\b/), ['lib/upstream/headers.ts'])
  t.strictSame(saying(/\bas\s+(unknown\s+as\s+)?(Dispatcher|Pool|any)\b/), [])
  t.strictSame(saying(/\b(askReview|askVersion)\(/), [
    'lib/upstream/cluster-check.ts',
    'lib/upstream/own-rights.ts',
    'lib/upstream/review.ts',
    'lib/upstream/self-subject.ts',
    'lib/upstream/subject-access.ts',
    'lib/upstream/token-review.ts',
  ])
})

t.test('one module alone ends the process', async t => {
  t.strictSame(saying(/\bprocess\s*\.\s*(exit|abort|kill|reallyExit)\s*\(/), ['cmd/main.ts'])
})

t.test('commands alone print, and nothing prints by console', async t => {
  // It keeps a library from printing, for which it has to name what prints.
  t.strictSame(saying(/\bconsole\b/), ['lib/demo/quietly.ts'])
  const printing = saying(/\bprocess\s*\.\s*(stdout|stderr)\s*\.\s*write\b/)
  t.strictSame(
    printing.filter(path => !path.startsWith('cmd/')),
    [],
  )
})

t.test(
  'nothing follows redirects, evaluates text, or trusts whatever certificate comes',
  async t => {
    t.strictSame(saying(/\bmaxRedirections\b|redirect:\s*['"]follow['"]/), [])
    t.strictSame(saying(/\beval\(|new Function\(|from\s+['"]node:vm['"]/), [])
    t.strictSame(saying(/rejectUnauthorized:\s*false|NODE_TLS_REJECT_UNAUTHORIZED/), [])
    t.strictSame(saying(/insecureHTTPParser:\s*true/), [])
  },
)

/** Who imports whom, by path. */
const imports = (path: string, text: string): string[] =>
  [...code(text).matchAll(/\b(?:from|import)\s*\(?\s*['"](\.[^'"]*)\.js['"]/g)].map(
    ([, target = '']) => `${relative(root, resolve(root, dirname(path), target))}.ts`,
  )

const room = (path: string): string =>
  path.split('/').length > 2 ? path.split('/')[1]! : 'vocabulary'

t.test('rooms do not know each other', async t => {
  const crossing = product
    .filter(([path]) => path.startsWith('lib/'))
    .flatMap(([path, text]) => imports(path, text).map(target => [path, target] as const))
    .filter(([from, to]) => room(to) !== 'vocabulary' && room(from) !== room(to))
    .filter(([from]) => room(from) !== 'demo')
  t.strictSame(crossing, [])
})

t.test('nothing is called a helper', async t => {
  const names = [...product, ...tests].map(([path]) => path)
  t.strictSame(
    names.filter(path => /(^|[/-])(util|utils|helper|helpers|common|misc|base)([-.]|$)/.test(path)),
    [],
  )
})

/** Modules that no test reaches by itself, and why that is right. */
const untested: Readonly<Record<string, string>> = {
  'lib/demo/exchange-line.ts': 'a part of the command, which test/demo/demo.test.ts runs',
  'lib/demo/scene.ts': 'a part of the command, which test/demo/demo.test.ts runs',
  'lib/rbac/manifest.ts': 'what the command prints, which test/rbac/command.test.ts compares whole',
}

t.test('every module is tested: by its own test, or as an inner part of its room', async t => {
  const suite = tests.filter(([path]) => !/^test\/(bench|e2e)\//.test(path))
  const reached = new Set(suite.flatMap(([path, text]) => imports(path, text)))
  const texts = new Map(product)
  // What grows while it is gone through is gone through to its end.
  for (const path of reached) {
    const inner = imports(path, texts.get(path) ?? '').filter(to => room(to) === room(path))
    for (const each of inner) reached.add(each)
  }
  const missing = [...texts.keys()].filter(path => path.startsWith('lib/') && !reached.has(path))
  t.strictSame(missing, Object.keys(untested).toSorted())
})
