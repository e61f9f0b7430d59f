import { RE2JS } from 're2js'
import { noOverload, Uncompilable } from './fault.js'
import { spend, textCost } from './frame.js'
import type { Compile, Compiled, Scope } from './scope.js'
import type { Node } from './syntax.js'
import { assignable, showType, type Type } from './types.js'
import type { Value } from './values.js'

type Call = Extract<Node, { kind: 'call' }>

interface PatternFunction {
  readonly method: boolean
  readonly gives: Type
  /** Whether a number may follow the pattern. */
  readonly limited: boolean
  readonly does: (pattern: RE2JS, text: string, limit: bigint) => Value
}

const patternFunctions: ReadonlyMap<string, PatternFunction> = new Map([
  [
    '.matches',
    { method: true, gives: 'bool', limited: false, does: (re, text) => re.matcher(text).find() },
  ],
  [
    'matches',
    { method: false, gives: 'bool', limited: false, does: (re, text) => re.matcher(text).find() },
  ],
  [
    '.find',
    {
      method: true,
      gives: 'string',
      limited: false,
      does: (re, text) => findAll(re, text, 1n)[0] ?? '',
    },
  ],
  ['.findAll', { method: true, gives: { list: 'string' }, limited: true, does: findAll }],
] satisfies ReadonlyArray<readonly [string, PatternFunction]>)

/**
 * `matches`, and Kubernetes' `find` and `findAll`: in RE2's syntax and by its algorithm, in time linear in
 * the text. A pattern is a literal: it is compiled once, and a wrong one is a fault.
 */
export function compilePattern(node: Call, scope: Scope, compile: Compile): Compiled | undefined {
  const entry = patternFunctions.get(node.receiver === undefined ? node.name : `.${node.name}`)
  if (entry === undefined) return undefined
  const operands = node.receiver === undefined ? node.args : [node.receiver, ...node.args]
  const [subject, pattern, limit] = operands
  if (subject === undefined || pattern === undefined || operands.length > (entry.limited ? 3 : 2)) {
    throw new Uncompilable(node.at, `${node.name}() takes a text and a pattern`)
  }
  const re = compileLiteral(node.name, pattern)
  // Every character of the text can be held against every state, and a short pattern may have thousands.
  const factor = Math.ceil(Math.max(re.pattern().length, re.programSize()) / 4 + 1)
  const text = typed('string', subject, node, scope, compile)
  const most = limit === undefined ? undefined : typed('int', limit, node, scope, compile)
  return {
    type: entry.gives,
    run: frame => {
      const value = text.run(frame)
      const count = most === undefined ? -1n : most.run(frame)
      if (typeof value !== 'string' || typeof count !== 'bigint') throw noOverload(node.name)
      spend(frame, textCost(value) * factor)
      return entry.does(re, value, count)
    },
  }
}

function compileLiteral(name: string, pattern: Node): RE2JS {
  if (pattern.kind !== 'literal' || typeof pattern.value !== 'string') {
    throw new Uncompilable(pattern.at, `the pattern of ${name}() must be a literal`)
  }
  try {
    return RE2JS.compile(pattern.value)
  } catch (error) {
    const why = error instanceof Error ? `: ${error.message}` : ''
    throw new Uncompilable(pattern.at, `invalid regular expression${why}`)
  }
}

function typed(
  type: 'string' | 'int',
  node: Node,
  call: Call,
  scope: Scope,
  compile: Compile,
): Compiled {
  const compiled = compile(node, scope)
  if (!assignable(type, compiled.type, new Map())) {
    throw new Uncompilable(
      call.at,
      `found no matching overload for '${call.name}' applied to '${showType(compiled.type)}'`,
    )
  }
  return compiled
}

function findAll(re: RE2JS, text: string, limit: bigint): readonly string[] {
  const found: string[] = []
  const most = limit < 0n ? Infinity : Number(limit)
  const matcher = re.matcher(text)
  while (found.length < most && matcher.find()) found.push(matcher.group() ?? '')
  return found
}
