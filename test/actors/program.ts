import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the repository is. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

let compiled: Promise<string> | undefined

/**
 * The program as it stands in the sources right now, as plain JavaScript: the path of its `main.js`. A
 * process that transpiles while it loads takes three times as long to start, and tests start many; so
 * the types are taken off once for each state of the sources, and nothing that could be out of date is
 * ever run.
 */
export function compiledProgram(): Promise<string> {
  return (compiled ??= compile())
}

async function compile(): Promise<string> {
  const sources = ['cmd', 'lib'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map(name => join(folder, name)),
  )
  const texts = sources.toSorted().map(name => [name, read(name)] as const)
  const manifest = read('package.json')
  const state = createHash('sha256').update(JSON.stringify([manifest, texts]))
  // Below node_modules, so that the program finds its dependencies and no tool finds the program.
  const caches = join(root, 'node_modules/.cache/impersonation-gateway')
  const home = join(caches, state.digest('hex').slice(0, 16))
  const main = join(home, 'dist/cmd/main.js')
  if (existsSync(main)) return main

  mkdirSync(caches, { recursive: true })
  const draft = mkdtempSync(join(caches, 'draft-'))
  writeFileSync(join(draft, 'package.json'), manifest)
  for (const [name, text] of texts) {
    const path = join(draft, 'dist', name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, await plain(text, caches))
  }
  try {
    renameSync(draft, home)
  } catch (error) {
    // Another test had the same thought; its result is the same.
    rmSync(draft, { recursive: true })
    if (!existsSync(main)) throw error
  }
  return main
}

/** One file without its types; remembered by its content, so that an edit costs that file alone. */
async function plain(text: string, caches: string): Promise<string> {
  const known = join(caches, `${createHash('sha256').update(text).digest('hex').slice(0, 32)}.js`)
  if (existsSync(known)) return readFileSync(known, 'utf8')
  const { default: ts } = await import('typescript')
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  const draft = `${known}.${String(process.pid)}`
  writeFileSync(draft, outputText)
  renameSync(draft, known)
  return outputText
}

const read = (name: string): string => readFileSync(join(root, name), 'utf8')
