import { readFileSync } from 'node:fs'
import t from 'tap'
import { algorithmRows } from './algorithms.js'
import { audienceRows } from './audiences.js'
import { claimRows } from './claims.js'
import { configurationRows } from './configuration.js'
import { distributedClaimRows } from './distributed-claims.js'
import { documentationRows } from './documentation.js'
import { expressionRows } from './expressions.js'
import { expected, judgeClaims, startJudge } from './judge.js'
import { mappingRows } from './mappings.js'
import { prefixRows } from './prefixes.js'
import { requiredClaimRows } from './required-claims.js'
import type { Row } from './row.js'
import { validationRows } from './validations.js'

const subjects: Readonly<Record<string, readonly Row[]>> = {
  claims: claimRows,
  prefixes: prefixRows,
  'required claims': requiredClaimRows,
  audiences: audienceRows,
  algorithms: algorithmRows,
  'distributed claims': distributedClaimRows,
  'claim mappings': mappingRows,
  'claim and user validation rules': validationRows,
  configuration: configurationRows,
  'Kubernetes’ documentation': documentationRows,
}

const judge = await startJudge()
t.teardown(() => judge.close())

for (const [subject, rows] of Object.entries(subjects)) {
  t.test(`${subject}: as the API server, or as the row says`, async t => {
    for (const row of rows) {
      // One at a time: rows have the paths of one server in common.
      // oxlint-disable-next-line no-await-in-loop
      t.same(await judge.judge(row), expected(row), row.says)
    }
  })
}

t.test('expressions: as the API server, or as the row says', t => {
  for (const row of expressionRows) t.same(judgeClaims(row), expected(row), row.says)
  t.end()
})

t.test('the page tells every difference, and why', t => {
  const page = readFileSync(
    new URL('../../../docs/kube-apiserver-differences.md', import.meta.url),
    'utf8',
  )
  const reasons = new Set(
    [...Object.values(subjects), expressionRows].flatMap(rows =>
      rows.flatMap(({ ours }) => ours?.because ?? []),
    ),
  )
  t.same(
    [...reasons].filter(because => !page.includes(because)),
    [],
  )
  t.ok(reasons.size > 10)
  t.end()
})
