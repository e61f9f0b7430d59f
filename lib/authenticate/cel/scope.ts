import type { Run } from './frame.js'
import type { Node } from './syntax.js'
import type { Type } from './types.js'
import type { Value } from './values.js'

/** A part of an expression that is of a known type and can be evaluated. */
export interface Compiled {
  readonly type: Type
  readonly run: Run
  /** What it is worth, where that is known without evaluating it. */
  readonly constant?: Value
  /** Of a type: of which. CEL tells them apart in a literal, and nowhere else. */
  readonly typeNamed?: string | undefined
}

/** What names mean. */
export interface Scope {
  /** The one variable; its type is called as it is. */
  readonly variable: 'claims' | 'user'
  /** What macros have named, innermost last; the place is the slot in the frame. */
  readonly locals: ReadonlyArray<{ readonly name: string; readonly type: Type }>
  /** Within a call of `format`, where elements of a literal may be of several types. */
  readonly mixed?: true
}

/** Compiles another part; handed to what compiles the parts that have rules of their own. */
export type Compile = (node: Node, scope: Scope) => Compiled

/** Whether the variable itself is meant, and no local of that name. */
export function isVariable(node: Node, scope: Scope): boolean {
  return (
    node.kind === 'name' &&
    node.name === scope.variable &&
    !scope.locals.some(local => local.name === node.name)
  )
}
