/**
 * Runs something during which `oidc-provider` does not print: it tells the console that Node 20 is old and
 * that its memory is no database, and has no other way to be told that both are meant. What anybody else
 * prints meanwhile is printed.
 */
export async function quietly<T>(run: () => Promise<T>): Promise<T> {
  /* oxlint-disable no-console -- nothing is printed here: something is kept from being printed */
  const { info, warn } = console
  console.info = (...said: unknown[]) => {
    if (!isNotice(said)) info(...said)
  }
  console.warn = (...said: unknown[]) => {
    if (!isNotice(said)) warn(...said)
  }
  try {
    return await run()
  } finally {
    Object.assign(console, { info, warn })
  }
}

function isNotice([first]: readonly unknown[]): boolean {
  return typeof first === 'string' && first.includes('oidc-provider ')
}
