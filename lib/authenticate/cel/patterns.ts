import { RE2JS } from 're2js'
import { EvaluationFailure, noOverload, Uncompilable } from './fault.js'
import { spend, textCost, type Frame } from './frame.js'
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
 * the text. A literal is compiled once, and a wrong one is a fault; any other pattern is compiled as it is met.
 */
export function compilePattern(node: Call, scope: Scope, compile: Compile): Compiled | undefined {
  const entry = patternFunctions.get(node.receiver === undefined ? node.name : `.${node.name}`)
  if (entry === undefined) return undefined
  const operands = node.receiver === undefined ? node.args : [node.receiver, ...node.args]
  const [subject, pattern, limit] = operands
  if (subject === undefined || pattern === undefined || operands.length > (entry.limited ? 3 : 2)) {
    throw new Uncompilable(node.at, `${node.name}() takes a text and a pattern`)
  }
  const literal = pattern.kind === 'literal' ? compileLiteral(pattern) : undefined
  const sought = typed('string', pattern, node, scope, compile)
  const text = typed('string', subject, node, scope, compile)
  const most = limit === undefined ? undefined : typed('int', limit, node, scope, compile)
  return {
    type: entry.gives,
    run: frame => {
      const value = text.run(frame)
      const re = literal ?? compileFound(sought.run(frame), node.name, frame)
      const count = most === undefined ? -1n : most.run(frame)
      if (typeof value !== 'string' || typeof count !== 'bigint') throw noOverload(node.name)
      spend(frame, textCost(value) * weightOf(re))
      return entry.does(re, value, count)
    },
  }
}

/** Every character of the text can be held against every state, and a short pattern may have thousands. */
const weightOf = (re: RE2JS): number =>
  Math.ceil(Math.max(re.pattern().length, re.programSize()) / 4 + 1)

function compileLiteral({ value, at }: Extract<Node, { kind: 'literal' }>): RE2JS | undefined {
  if (typeof value !== 'string') return undefined
  const re = readPattern(value)
  if (typeof re === 'string') throw new Uncompilable(at, re)
  return re
}

/** What it takes to make a pattern of a text: it may come out of a token, and is as long as that makes it. */
function compileFound(value: Value, name: string, frame: Frame): RE2JS {
  if (typeof value !== 'string') throw noOverload(name)
  spend(frame, value.length * 100)
  const re = readPattern(value)
  if (typeof re === 'string') throw new EvaluationFailure(re)
  return re
}

function readPattern(text: string): RE2JS | string {
  try {
    return RE2JS.compile(text)
  } catch (error) {
    return `invalid regular expression${error instanceof Error ? `: ${error.message}` : ''}`
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
