import { Refusal } from '../refusal.js'

export interface GroupSelectionOptions {
  /**
   * Names, or beginnings of names with `*` behind them, of the groups that may be sent upstream.
   * @default all
   */
  readonly allowedGroups?: readonly string[] | undefined
  /** The same of groups that may not be sent, whatever allows them. @default none */
  readonly deniedGroups?: readonly string[] | undefined
  /** More than so many that may be sent is refused: a cut list would be another identity. */
  readonly maxGroups: number
}

export interface GroupSelection {
  readonly kept: readonly string[]
  readonly leftOut: readonly string[]
}

/**
 * Chooses among the groups of an identity, names as the API server would see them; order is kept, repeats are
 * not. The function returned throws Refusal `too_many_groups`.
 */
export function createGroupSelection({
  allowedGroups,
  deniedGroups = [],
  maxGroups,
}: GroupSelectionOptions): (groups: Iterable<string>) => GroupSelection {
  const isAllowed = allowedGroups === undefined ? () => true : matcher(allowedGroups)
  const isDenied = matcher(deniedGroups)
  return groups => {
    const kept: string[] = []
    const leftOut: string[] = []
    for (const group of new Set(groups)) {
      const list = isAllowed(group) && !isDenied(group) ? kept : leftOut
      list.push(group)
    }
    if (kept.length > maxGroups) {
      throw new Refusal('too_many_groups', undefined, {
        figures: { found: kept.length, most: maxGroups },
      })
    }
    return { kept, leftOut }
  }
}

function matcher(patterns: readonly string[]): (group: string) => boolean {
  const names = new Set(patterns)
  const beginnings = patterns
    .filter(pattern => pattern.endsWith('*'))
    .map(pattern => pattern.slice(0, -1))
  return group => names.has(group) || beginnings.some(beginning => group.startsWith(beginning))
}
