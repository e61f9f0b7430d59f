import { compile } from './compile.js'
import { faultAt, LimitPassed, Uncompilable, type ExpressionFault } from './fault.js'
import { costLimit, type Frame, type Run } from './frame.js'
import { parseExpression, type Node } from './syntax.js'
import type { Type } from './types.js'
import { unescapeName, type Value } from './values.js'

/** An expression of the Common Expression Language over one variable, compiled and of a known type. */
export interface Expression {
  readonly text: string
  readonly type: Type
  /**
   * What it gives for these members of its variable; never more than a bounded amount of work.
   * @throws EvaluationFailure where it gives an error
   */
  evaluate(members: ReadonlyMap<string, unknown>): Value
  /** Whether it names this member of its variable, by `.name` or `.?name`. */
  mentions(member: string): boolean
}

/** Which variable an expression speaks of, and with it of what. */
export type Variable = 'claims' | 'user'

/**
 * Compiles an expression as kube-apiserver does for its authentication configuration: with the functions it has
 * there, and its rules for types. What cannot be done exactly as there is a fault.
 */
export function compileExpression(
  text: string,
  variable: Variable,
): { readonly expression: Expression } | { readonly fault: ExpressionFault } {
  try {
    const node = parseExpression(text)
    const { type, run } = compile(node, { variable, locals: [] })
    return {
      expression: Object.freeze({
        text,
        type,
        evaluate: members =>
          bounded(run, {
            find: name => {
              const plain = unescapeName(name)
              // Members come from JSON, or from an identity made of it: there is nothing else in them.
              return plain === undefined ? undefined : (members.get(plain) as Value | undefined)
            },
            locals: [],
            left: costLimit,
          }),
        mentions: member => names(node, variable, member),
      } satisfies Expression),
    }
  } catch (error) {
    if (error instanceof RangeError) {
      return { fault: faultAt(text, 0, 'the expression is nested too deep') }
    }
    if (!(error instanceof Uncompilable)) throw error
    return { fault: faultAt(text, error.at, error.message) }
  }
}

/** A value nested too deep, or a text too long, for the machine is the token's fault and not ours. */
function bounded(run: Run, frame: Frame): Value {
  try {
    return run(frame)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new LimitPassed('the expression makes too much of these values')
  }
}

function names(node: Node, variable: Variable, member: string): boolean {
  const within = (part: Node): boolean => names(part, variable, member)
  switch (node.kind) {
    case 'literal':
    case 'name':
      return false
    case 'select':
      return (
        (node.of.kind === 'name' && node.of.name === variable && node.field === member) ||
        within(node.of)
      )
    case 'index':
      return within(node.of) || within(node.index)
    case 'call':
      return (node.receiver !== undefined && within(node.receiver)) || node.args.some(within)
    case 'list':
      return node.items.some(within)
    case 'map':
      return node.entries.some(([key, value]) => within(key) || within(value))
    default:
      return node satisfies never
  }
}
