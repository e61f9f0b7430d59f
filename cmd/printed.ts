/** What a command has to print, with warnings for standard error; or what is wrong with how it was asked. */
export type Printed =
  | { readonly output: string; readonly warnings?: readonly string[] }
  | { readonly faults: readonly string[] }

/** A command that prints one thing and is done. It resolves with the exit status. */
export const printing =
  (help: string, printed: (args: readonly string[]) => Printed) =>
  (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      process.stdout.write(help)
      return Promise.resolve(0)
    }
    const asked = printed(args)
    if ('faults' in asked) {
      for (const line of asked.faults) process.stderr.write(`${line}\n`)
      return Promise.resolve(2)
    }
    for (const line of asked.warnings ?? []) process.stderr.write(`${line}\n`)
    process.stdout.write(asked.output)
    return Promise.resolve(0)
  }
