import t from 'tap'
import { debianSources, kubernetesVersion } from './e2e/debian-sources.js'

const archive = (...more: readonly string[]): string =>
  [
    'Types: deb deb-src',
    'URIs: https://mirror.example/debian',
    'Suites: bookworm',
    'Components: main',
    'Targets: Packages Sources',
    ...more,
    '',
  ].join('\n')

t.test('a source a line', t => {
  const source = (line: string): string =>
    debianSources(
      [{ name: '/etc/apt/sources.list', text: `# the archive\n\n${line}\n` }],
      'bookworm',
    )
  t.equal(source('deb https://mirror.example/debian bookworm main'), archive())
  t.equal(source('deb https://mirror.example/debian bookworm contrib main # ours'), archive())
  t.equal(
    source(
      'deb [arch=amd64,arm64 lang=en signed-by=/a/key.gpg trusted=yes] https://mirror.example/debian bookworm main',
    ),
    archive('Architectures: amd64 arm64', 'Signed-By: /a/key.gpg', 'Trusted: yes'),
  )
  for (const other of [
    '#deb https://mirror.example/debian bookworm main',
    'deb-src https://mirror.example/debian bookworm main',
    'deb https://mirror.example/debian trixie main',
    'deb https://mirror.example/debian bookworm stable',
    'deb https://mirror.example/debian ./',
    'words',
  ]) {
    t.equal(source(other), '', other)
  }
  t.end()
})

t.test('deb822', t => {
  const source = (...stanzas: readonly string[]): string =>
    debianSources([{ name: 'a.sources', text: stanzas.join('\n') }], 'bookworm')
  const stanza = `Types: deb
# where from
URIs: https://mirror.example/debian
Suites: bookworm
Components: main contrib
`
  t.equal(source(stanza), archive())
  t.equal(source(`Enabled: no\n${stanza}`), '')
  t.equal(source(stanza.replace('main ', '')), '')
  const key = 'Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END-----'
  t.equal(source(`${stanza}${key}\n`), archive(key))
  t.equal(
    source(stanza.replace('bookworm', 'bookworm bookworm-updates bookworm-backports'), stanza),
    `${archive().replace('bookworm', 'bookworm bookworm-updates')}\n${archive()}`,
  )
  t.equal(
    source(stanza.replace('bookworm', 'bookworm\n# as it is today\n bookworm-updates')),
    archive().replace('bookworm', 'bookworm bookworm-updates'),
  )
  t.end()
})

t.test('files of both formats together; without the archive there is nothing', t => {
  const line = { name: 'a.list', text: 'deb https://mirror.example/debian bookworm main' }
  const other = { name: 'b.sources', text: 'Types: deb\nURIs: https://else.example\nSuites: x\n' }
  t.equal(debianSources([other, line], 'bookworm'), archive())
  t.equal(debianSources([other], 'bookworm'), '')
  t.equal(debianSources([], 'bookworm'), '')
  t.end()
})

t.test('the version of Kubernetes that a package is of', t => {
  for (const [debian, version] of [
    ['1.20.5+really1.20.2-1.1+deb12u1', 'v1.20.2'],
    ['1.20.5+really1.20.2', 'v1.20.2'],
    ['1.32.3-1', 'v1.32.3'],
    ['1.32.3+dfsg-2', 'v1.32.3'],
  ] as const) {
    t.equal(kubernetesVersion(debian), version)
  }
  t.end()
})
