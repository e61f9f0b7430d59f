import { peerFlag } from './peer-flags.js'

/** A flag of `serve`, and its values: one, unless it is a list. */
export type OurFlag = readonly [name: string, values: readonly string[]]

/** As they stand on a command line. */
export const argsOf = ([name, values]: OurFlag): string[] =>
  values.map(value => (isSwitch(name) ? `--${name}` : `--${name}=${value}`))

/** Flags that this command writes alone, without `=true`. */
export const isSwitch = (name: string): boolean =>
  name === 'unsafe-use-service-account-token' || peerFlag(name)?.kind === 'switch'
