import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function run(...args: string[]): Promise<Ended> {
  const main = new URL('../../cmd/main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import=tsx', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, ...texts }))
  })
}

t.test('--version prints the version of the package', async t => {
  const packaged = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const version = /"version": "([^"]+)"/.exec(packaged)?.[1] ?? ''
  t.same(await run('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('--help tells the commands', async t => {
  const { code, stdout, stderr } = await run('--help')
  t.same([code, stderr], [0, ''])
  t.same(
    [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name),
    ['serve', 'demo', 'check', 'explain', 'kubeconfig', 'migrate', 'rbac'],
  )
})

t.test('a command that does not exist is one line and status 2', async t => {
  const table: ReadonlyArray<readonly [readonly string[], string]> = [
    [[], 'a command is missing; --help lists them\n'],
    [['nonsense'], 'unknown command "nonsense"; --help lists them\n'],
    [['srve'], 'unknown command "srve"; did you mean serve?\n'],
    [['__proto__'], 'unknown command "__proto__"; --help lists them\n'],
  ]
  t.same(
    await Promise.all(table.map(([args]) => run(...args))),
    table.map(([, stderr]) => ({ code: 2, stdout: '', stderr })),
  )
})
