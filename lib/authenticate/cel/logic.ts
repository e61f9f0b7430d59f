import { EvaluationFailure, givesWay, noOverload, Uncompilable } from './fault.js'
import { spend, type Frame, type Run } from './frame.js'
import type { Compile, Compiled, Scope } from './scope.js'
import type { Node } from './syntax.js'
import { assignable, join, showType } from './types.js'
import type { Value } from './values.js'

/** What does not need all its operands: `&&`, `||`, `?:`. An error on one side gives way to an answer. */
export function compileLogic(
  { name, at, args }: Extract<Node, { kind: 'call' }>,
  scope: Scope,
  compile: Compile,
): Compiled | undefined {
  if (name === '_?_:_') return compileConditional(at, args, scope, compile)
  if (name !== '_&&_' && name !== '_||_') return undefined
  const decisive = name === '_||_'
  const [left, right] = args.map(arg => {
    const operand = compile(arg, scope)
    if (!assignable('bool', operand.type, new Map())) {
      throw new Uncompilable(arg.at, `expected type 'bool' but found '${showType(operand.type)}'`)
    }
    return operand
  })
  if (left === undefined || right === undefined) throw new TypeError(`${name} takes two operands`)
  return {
    type: 'bool',
    run: frame => {
      spend(frame, 1)
      const first = attempt(left.run, frame)
      if (first === decisive) return decisive
      const second = attempt(right.run, frame)
      if (second === decisive) return decisive
      for (const result of [first, second]) {
        if (result instanceof EvaluationFailure) throw result
        if (typeof result !== 'boolean') throw noOverload(name)
      }
      return !decisive
    },
  }
}

function compileConditional(
  at: number,
  args: readonly Node[],
  scope: Scope,
  compile: Compile,
): Compiled {
  const [condition, then, otherwise] = args.map(arg => compile(arg, scope))
  if (condition === undefined || then === undefined || otherwise === undefined) {
    throw new TypeError('_?_:_ takes three operands')
  }
  const type = join(then.type, otherwise.type)
  if (type === undefined || !assignable('bool', condition.type, new Map())) {
    const applied = [condition, then, otherwise].map(it => showType(it.type)).join(', ')
    throw new Uncompilable(at, `found no matching overload for '_?_:_' applied to '(${applied})'`)
  }
  return {
    type,
    run: frame => {
      spend(frame, 1)
      const holds = condition.run(frame)
      if (typeof holds !== 'boolean') throw noOverload('_?_:_')
      return (holds ? then : otherwise).run(frame)
    },
  }
}

/** Errors are values here: which one counts is only known when both sides are. */
export function attempt(run: Run, frame: Frame): Value | EvaluationFailure {
  try {
    return run(frame)
  } catch (error) {
    if (givesWay(error)) return error
    throw error
  }
}
