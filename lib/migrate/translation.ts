import type { NamesOf } from './identities.js'
import type { ReadInput } from './input.js'
import type { IssuerFile } from './issuer-file.js'
import type { OurFlag } from './our-flag.js'
import type { Peer } from './peer-flags.js'

/** What is different, about what: one line. */
export type Difference = readonly [about: string, says: string]

export interface Translation {
  readonly peer: Peer
  /** Whether the input, or whoever asked, said which one it is. */
  readonly peerKnown: boolean
  readonly source: ReadInput['source']
  readonly flags: readonly OurFlag[]
  /** An AuthenticationConfiguration that the flags name, where flags alone cannot say it. */
  readonly issuerFile?: IssuerFile
  readonly names: readonly NamesOf[]
  readonly differences: readonly Difference[]
  /** Flags that do not go on, and why. */
  readonly ended: readonly Difference[]
  /** What is to be done outside of the command line. */
  readonly beside: readonly Difference[]
}

export type Translated = Translation | { readonly faults: readonly string[] }
