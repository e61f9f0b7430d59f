/** Who is calling, once that is known. Deeply frozen; carries no credential. */
export interface Identity {
  readonly username: string
  readonly uid?: string
  /** In the order of the claim, without repeats. */
  readonly groups: readonly string[]
  /** Lower-case keys. */
  readonly extra: Readonly<Record<string, readonly string[]>>
}
