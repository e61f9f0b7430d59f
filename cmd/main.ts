#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { quoted } from '../lib/settings/fault.js'
import { nearest } from '../lib/settings/nearest.js'

// Else V8 lets objects of requests grow old. (docs/decisions/0034-what-requests-leave-behind.md)
setFlagsFromString('--no-allocation-site-pretenuring')

/** Takes what follows its name on the command line; prints for itself; resolves with the exit status. */
type Command = (args: readonly string[]) => Promise<number>

const commands: Readonly<
  Record<string, { readonly does: string; readonly load: () => Promise<{ readonly run: Command }> }>
> = {
  serve: { does: 'runs the gateway', load: () => import('./serve.js') },
  demo: {
    does: 'runs an issuer, a Kubernetes API and the gateway, and says what to try',
    load: () => import('./demo.js'),
  },
  check: {
    does: 'loads the configuration and tells what it comes down to',
    load: () => import('./check.js'),
  },
  explain: {
    does: 'tells what the rules make of a token',
    load: () => import('./explain.js'),
  },
  kubeconfig: {
    does: 'prints a kubeconfig for users of the gateway',
    load: () => import('./kubeconfig.js'),
  },
  migrate: {
    does: 'translates the configuration of a kube-oidc-proxy',
    load: () => import('./migrate.js'),
  },
  rbac: {
    does: "prints what the gateway's own credential needs, and nothing more",
    load: () => import('./rbac.js'),
  },
}

const help = `Usage: impersonation-gateway <command> [flags]

An authenticating reverse proxy for the Kubernetes API.

Commands
${Object.entries(commands)
  .map(([name, { does }]) => `  ${name.padEnd(12)}${does}`)
  .join('\n')}

  --help     says this; after a command, what that command takes
  --version  prints the version
`

/**
 * Exit status: 0 done; 2 the command line or configuration is wrong, one line a fault on standard error;
 * 1 anything else.
 */
async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help)
    return 0
  }
  if (name === '--version') {
    process.stdout.write(`${version()}\n`)
    return 0
  }
  if (name === undefined) {
    process.stderr.write('a command is missing; --help lists them\n')
    return 2
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    const meant = nearest(name, Object.keys(commands))
    const says = meant === undefined ? '--help lists them' : `did you mean ${meant}?`
    process.stderr.write(`unknown command ${quoted(name)}; ${says}\n`)
    return 2
  }
  try {
    const { run } = await command.load()
    return await run(args)
  } catch (error) {
    const faults = faultsOf(error)
    for (const line of faults ?? [described(error)])
      process.stderr.write(`${line}
`)
    return faults === undefined ? 1 : 2
  }
}

/** A configuration that only showed itself to be wrong when it was used says so as `faults`. */
function faultsOf(error: unknown): readonly string[] | undefined {
  const faults: unknown = error instanceof Error && 'faults' in error ? error.faults : undefined
  return Array.isArray(faults) && faults.every(line => typeof line === 'string')
    ? faults
    : undefined
}

/** What the system says no to, such as a port in use, needs no stack; our own mistakes do. */
function described(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}

/** This file runs as `cmd/main.ts` and as `dist/cmd/main.js`: the package is one or two folders up. */
function version(): string {
  const up = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json'
  const packaged: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'))
  return typeof packaged === 'object' && packaged !== null && 'version' in packaged
    ? String(packaged.version)
    : ''
}

process.exit(await main(process.argv.slice(2)))
