import type { Clock } from './clock.js'
import { createIssuerClient, type GetJson, type GetText } from './issuer-client.js'
import { createKeys, type Keys, type KeysPolicy } from './keys.js'
import { createPublishedKeys } from './published-keys.js'

export interface KeySourceOptions {
  readonly issuerUrl: string
  readonly discoveryUrl?: string | undefined
  /** PEM. @default the system's roots */
  readonly ca?: string | Buffer | undefined
  readonly surroundings: Surroundings
}

/** What the keys of all issuers have in common; tests bring their own. */
export interface Surroundings {
  readonly keys?: KeysPolicy | undefined
  /** Monotonic time. @default the process's own */
  readonly clock?: Clock | undefined
  /** In [0, 1), for jitter. @default Math.random */
  readonly random?: (() => number) | undefined
  /** How documents are fetched. @default an https client of its own */
  readonly getJson?: GetJson | undefined
}

/** The keys of one issuer, and the way to them. */
export interface KeySource {
  readonly keys: Keys
  /** Asks by the same authority, wherever it is told to. */
  readonly getText: GetText
  /** The issuer is known by another authority from now on; asks for its keys at once. */
  setCa(ca: string | Buffer | undefined): void
  close(): Promise<void>
}

/** Starts asking the issuer for its keys at once, and does not wait for them. */
export function openKeySource(options: KeySourceOptions): KeySource {
  const { issuerUrl, discoveryUrl, surroundings } = options
  const client = createIssuerClient({ ca: options.ca })
  const keys = createKeys({
    issuerUrl,
    published: createPublishedKeys({
      issuerUrl,
      discoveryUrl,
      getJson: surroundings.getJson ?? client.getJson,
    }),
    policy: surroundings.keys,
    clock: surroundings.clock,
    random: surroundings.random,
  })
  return {
    keys,
    getText: client.getText,
    setCa: ca => {
      client.setCa(ca)
      keys.refresh()
    },
    close: async () => {
      await keys.close()
      await client.close()
    },
  }
}
