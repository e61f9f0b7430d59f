import { LimitPassed } from './fault.js'
import type { Value } from './values.js'

/** One evaluation under way. */
export interface Frame {
  /** Finds a member of the one variable there is; `undefined` when it has none of that name. */
  readonly find: (name: string) => Value | undefined
  /** What macros have named, by the slots that were given out when the expression was compiled. */
  readonly locals: Value[]
  /** What this evaluation may still cost. */
  left: number
}

export type Run = (frame: Frame) => Value

/** As the API server allows for one expression; counted alike in kind, not to the unit. */
export const costLimit = 1_000_000

/** @throws LimitPassed when the limit is passed */
export function spend(frame: Frame, cost: number): void {
  frame.left -= cost
  if (frame.left < 0) throw new LimitPassed('the expression costs too much to evaluate')
}

/** Text costs a unit every ten characters, as in Kubernetes. */
export const textCost = (...texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + Math.ceil(text.length / 10), 1)
