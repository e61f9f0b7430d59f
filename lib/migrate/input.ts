import type { Peer } from './peer-flags.js'

/** What a file says of a kube-oidc-proxy. */
export interface ReadInput {
  /** For the report. */
  readonly source: 'command line' | 'chart values' | 'manifest'
  /** Its command line, without the name of the program. */
  readonly args: readonly string[]
  /** Which one it is, where the input tells. */
  readonly peer?: Peer
  /** What does not stand on a command line, with what is to be done about it: path and sentence. */
  readonly beside: ReadonlyArray<readonly [path: string, says: string]>
  /** Content that the input holds for files of the command line, by their path there. */
  readonly files: ReadonlyMap<string, string>
  readonly faults: readonly string[]
}

export type Mapping = Readonly<Record<string, unknown>>

export const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
