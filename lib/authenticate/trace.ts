import { Refusal } from '../refusal.js'

/** What one rule made of a token. */
export interface TraceStep {
  /** Path below the authenticator, such as `claimMappings.username` or `claimValidationRules[0]`. */
  readonly rule: string
  readonly claim?: string
  readonly expression?: string
  /** What it gave, as JSON could say it; absent when it gave nothing. */
  readonly value?: unknown
  readonly verdict: 'ok' | 'refused' | 'skipped'
  /** Why it refused, or was skipped. */
  readonly why?: string
  readonly refusal?: Refusal
}

/** Told of each rule as it is applied. */
export type Trace = (step: TraceStep) => void

export type Rule = Pick<TraceStep, 'rule' | 'claim' | 'expression'>

/** Applies rules one after the other. */
export interface Steps {
  /**
   * Applies one. Without a trace what it throws passes; with one it is told, kept for `settle`, and
   * the result is `undefined`, so that the rules after it are walked through as well.
   */
  apply<T>(rule: Rule, does: () => T): T | undefined
  skip(rule: Rule, why: string): void
  /** @throws the first refusal that was kept */
  settle(): void
}

/** Where nobody traces there is nothing to keep: one object serves all tokens. */
export const untraced: Steps = {
  apply: (_rule, does) => does(),
  skip: () => {},
  settle: () => {},
}

export function traced(trace: Trace): Steps {
  let first: Refusal | undefined
  return {
    apply: (rule, does) => {
      try {
        const value = does()
        trace({ ...rule, ...(value !== undefined && { value }), verdict: 'ok' })
        return value
      } catch (error) {
        const refusal = Refusal.from(error)
        first ??= refusal
        trace({ ...rule, verdict: 'refused', why: refusal.message, refusal })
        return undefined
      }
    },
    skip: (rule, why) => trace({ ...rule, verdict: 'skipped', why }),
    settle: () => {
      if (first !== undefined) throw first
    },
  }
}
