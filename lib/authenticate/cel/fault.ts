/** What is wrong with an expression, and where. */
export interface ExpressionFault {
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 code units. */
  readonly column: number
  readonly says: string
}

/** An expression that cannot be compiled; thrown within this folder alone. */
export class Uncompilable extends Error {
  /** Offset into the text. */
  readonly at: number

  constructor(at: number, says: string) {
    super(says)
    this.name = 'Uncompilable'
    this.at = at
  }
}

export function faultAt(text: string, at: number, says: string): ExpressionFault {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  return { line, column: at - before.lastIndexOf('\n'), says }
}

/** An expression that gives no value for these claims: the `error` of CEL. */
export class EvaluationFailure extends Error {
  constructor(says: string) {
    super(says)
    this.name = 'EvaluationFailure'
  }
}

/** No answer of the expression's own: no other side, and no other item, can decide in its place. */
export class LimitPassed extends EvaluationFailure {}

/** Whether an error is one of CEL's values, which `&&`, `||`, `all` and `exists` weigh against an answer. */
export const givesWay = (error: unknown): error is EvaluationFailure =>
  error instanceof EvaluationFailure && !(error instanceof LimitPassed)

export function noOverload(name: string): EvaluationFailure {
  return new EvaluationFailure(`no such overload: ${name}`)
}
