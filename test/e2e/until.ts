import { setTimeout as pause } from 'node:timers/promises'

/** Resolves once it is so. @throws when it is not within twenty seconds */
export async function until(what: string, is: () => Promise<boolean> | boolean): Promise<void> {
  for (let left = 400; !(await is()); left -= 1) {
    if (left === 0) throw new Error(`never: ${what}`)
    await pause(50)
  }
}
