import { spawn } from 'node:child_process'
import { compiledProgram } from './program.js'

/** How a child process ended, and everything it said. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  /** What it reads; nothing by default. */
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Runs the program, as its sources are now, as a process of its own, to its end. */
export async function runCommand(
  args: readonly string[],
  { stdin = '', env = {}, cwd }: CommandOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [await compiledProgram(), ...args], {
    stdio: 'pipe',
    env: { PATH: process.env['PATH'], ...env },
    cwd,
  })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text))
  // It may have ended without reading.
  child.stdin.on('error', () => {}).end(stdin)
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, ...texts }))
  })
}
