import { conversions } from './conversions.js'
import { EvaluationFailure, givesWay, noOverload, Uncompilable } from './fault.js'
import { callables, type Callable } from './function.js'
import { costLimit, spend, type Frame, type Run } from './frame.js'
import { listFunctions } from './list-functions.js'
import { compileMacro } from './macros.js'
import { operators } from './operators.js'
import { compilePattern } from './patterns.js'
import { findIndex, findIndexOptional, findMember, findMemberOptional } from './select.js'
import { isVariable, type Compiled, type Scope } from './scope.js'
import type { Literal, Node } from './syntax.js'
import { textFunctions } from './text-functions.js'
import { assignable, isDynamic, join, sameType, showType, type Type } from './types.js'
import { mapKey, none, Optional, TypeName, type Value } from './values.js'

const functions: ReadonlyMap<string, Callable> = callables([
  ...operators,
  ...textFunctions,
  ...listFunctions,
  ...conversions,
])

/** Namespaces of functions, which look like receivers. */
const namespaces: ReadonlySet<string> = new Set(['sets', 'lists', 'optional'])

/** @throws Uncompilable */
export function compile(node: Node, scope: Scope): Compiled {
  switch (node.kind) {
    case 'literal': {
      const { value } = node
      return { type: literalType(value), run: () => value }
    }
    case 'name':
      return compileName(node, scope)
    case 'select':
      return compileSelect(node, scope)
    case 'index':
      return compileIndex(node, scope)
    case 'list':
      return compileList(node.items, scope)
    case 'map':
      return compileMap(node.entries, scope)
    case 'call':
      return compileCall(node, scope)
    default:
      return node satisfies never
  }
}

function literalType(value: Literal): Type {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'double'
  if (typeof value === 'bigint') return 'int'
  return typeof value === 'boolean' ? 'bool' : 'null_type'
}

const typeNames: ReadonlySet<string> = new Set(
  'bool int double string list map null_type type optional_type'.split(' '),
)

function compileName(node: Extract<Node, { kind: 'name' }>, scope: Scope): Compiled {
  const { name, at } = node
  const slot = scope.locals.findLastIndex(local => local.name === name)
  const local = scope.locals[slot]
  if (local !== undefined) {
    return {
      type: local.type,
      run: frame => {
        spend(frame, 1)
        return frame.locals[slot] ?? null
      },
    }
  }
  if (name === scope.variable) {
    throw new Uncompilable(at, `“${name}” cannot be used as a whole: ${howToName(scope)}`)
  }
  if (typeNames.has(name)) {
    const value = new TypeName(name)
    return { type: 'type', run: () => value }
  }
  throw new Uncompilable(
    at,
    `undeclared reference to '${name}': only ${scope.variable} is known here`,
  )
}

const howToName = ({ variable }: Scope): string =>
  variable === 'claims' ? 'name a claim, as in claims.sub' : 'name a field, as in user.groups'

const userFields: Readonly<Record<string, Type>> = {
  username: 'string',
  uid: 'string',
  groups: { list: 'string' },
  extra: { map: ['string', { list: 'string' }] },
}

function memberOfVariable(field: string, at: number, { variable }: Scope): Type {
  if (variable === 'claims') return 'any'
  const type = Object.hasOwn(userFields, field) ? userFields[field] : undefined
  if (type === undefined) throw new Uncompilable(at, `undefined field '${field}'`)
  return type
}

function compileSelect(node: Extract<Node, { kind: 'select' }>, scope: Scope): Compiled {
  const { of, field, optional, at } = node
  if (isVariable(of, scope)) {
    return compileMember(memberOfVariable(field, at, scope), () => field, optional)
  }
  const operand = compile(of, scope)
  const type = memberType(operand.type, at)
  const find = optional ? findMemberOptional : findMember
  return {
    type: optional ? asOptional(type) : type,
    run: frame => {
      const value = operand.run(frame)
      spend(frame, 1)
      return find(value, field)
    },
  }
}

/** A member of the variable, by a name that is known or is yet to be found out. */
function compileMember(
  type: Type,
  name: (...frame: Parameters<Run>) => string,
  optional: boolean,
): Compiled {
  return {
    type: optional ? asOptional(type) : type,
    run: frame => {
      const wanted = name(frame)
      spend(frame, 1)
      const value = frame.find(wanted)
      if (optional) return value === undefined ? none : new Optional(value)
      if (value === undefined) throw new EvaluationFailure(`no such key: ${wanted}`)
      return value
    },
  }
}

const asOptional = (type: Type): Type =>
  typeof type === 'object' && 'optional' in type ? type : { optional: type }

function memberType(type: Type, at: number): Type {
  if (isDynamic(type) || type === 'none') return 'dyn'
  if (typeof type === 'object') {
    if ('optional' in type) return asOptional(memberType(type.optional, at))
    if ('map' in type && assignable(type.map[0], 'string', new Map())) return type.map[1]
  }
  throw new Uncompilable(at, `type '${showType(type)}' does not support field selection`)
}

function compileIndex(node: Extract<Node, { kind: 'index' }>, scope: Scope): Compiled {
  const { of, optional, at } = node
  const index = compile(node.index, scope)
  if (isVariable(of, scope)) {
    if (scope.variable === 'user') {
      throw new Uncompilable(at, `write user.<field>: ${showType('user')} has no index`)
    }
    if (!assignable('string', index.type, new Map())) {
      throw new Uncompilable(at, `claims have names, not '${showType(index.type)}'`)
    }
    return compileMember(
      'any',
      frame => {
        const name = index.run(frame)
        if (typeof name !== 'string') throw noOverload('_[_]')
        return name
      },
      optional,
    )
  }
  const operand = compile(of, scope)
  const type = itemType(operand.type, index.type, at)
  const find = optional ? findIndexOptional : findIndex
  return {
    // Of what an index of something unknown gives, CEL says nothing, an optional least of all.
    type: optional && type !== 'dyn' ? asOptional(type) : type,
    run: frame => {
      const value = operand.run(frame)
      const key = index.run(frame)
      spend(frame, 1)
      return find(value, key)
    },
  }
}

function itemType(type: Type, index: Type, at: number): Type {
  if (isDynamic(type) || type === 'none') return 'dyn'
  if (typeof type === 'object') {
    if ('list' in type && assignable('int', index, new Map())) return type.list
    if ('map' in type && assignable(type.map[0], index, new Map())) return type.map[1]
    if ('optional' in type) {
      // A name can only be one of a map, whose values CEL leaves open: they become what is asked of them.
      if (isDynamic(type.optional) || type.optional === 'none') {
        return index === 'string' ? { optional: 'none' } : 'dyn'
      }
      return asOptional(itemType(type.optional, index, at))
    }
  }
  throw new Uncompilable(
    at,
    `found no matching overload for '_[_]' applied to '(${showType(type)}, ${showType(index)})'`,
  )
}

function compileList(items: readonly Node[], scope: Scope): Compiled {
  const compiled = items.map(item => compile(item, scope))
  const list = commonType(compiled.map(({ type }, index) => ({ type, at: items[index]?.at ?? 0 })))
  return {
    type: { list },
    run: frame => {
      spend(frame, compiled.length)
      return compiled.map(item => item.run(frame))
    },
  }
}

function compileMap(
  entries: ReadonlyArray<readonly [key: Node, value: Node]>,
  scope: Scope,
): Compiled {
  const compiled = entries.map(
    ([key, value]) => [compile(key, scope), compile(value, scope)] as const,
  )
  const key = commonType(
    compiled.map(([it], index) => ({ type: it.type, at: entries[index]?.[0].at ?? 0 })),
  )
  const value = commonType(
    compiled.map(([, it], index) => ({ type: it.type, at: entries[index]?.[1].at ?? 0 })),
  )
  return {
    type: { map: [key, value] },
    run: frame => {
      spend(frame, compiled.length)
      return new Map<Value, Value>(
        compiled.map(([name, it]) => [mapKey(name.run(frame)), it.run(frame)] as const),
      )
    },
  }
}

/** Kubernetes asks for literals whose elements are all of one type. */
function commonType(elements: ReadonlyArray<{ readonly type: Type; readonly at: number }>): Type {
  let common: Type = 'none'
  for (const { type, at } of elements) {
    const joined = join(common, type)
    const dynamic = isDynamic(type) || isDynamic(common)
    if (joined === undefined || (dynamic && common !== 'none' && !sameType(common, type))) {
      throw new Uncompilable(
        at,
        `expected type '${showType(common)}' but found '${showType(type)}'`,
      )
    }
    common = joined
  }
  return common
}

function compileCall(node: Extract<Node, { kind: 'call' }>, scope: Scope): Compiled {
  const { at, receiver, args } = node
  const special =
    compileLogic(node, scope) ??
    compileMacro(node, scope, compile) ??
    compilePattern(node, scope, compile)
  if (special !== undefined) return special

  const namespace =
    receiver?.kind === 'name' && namespaces.has(receiver.name) ? receiver.name : undefined
  const method = receiver !== undefined && namespace === undefined
  const name = namespace === undefined ? node.name : `${namespace}.${node.name}`
  const callable = functions.get(method ? `.${name}` : name)
  if (callable === undefined) throw new Uncompilable(at, unknownFunction(name, method))

  const given = (method ? [receiver, ...args] : args).map(arg => compile(arg, scope))
  const type = callable.resolve(given.map(arg => arg.type))
  if (type === undefined) {
    const shown = given.map(arg => showType(arg.type))
    const applied = method ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`
    throw new Uncompilable(at, `found no matching overload for '${name}' applied to '${applied}'`)
  }
  const call: Run = frame =>
    callable.call(
      given.map(arg => arg.run(frame)),
      frame,
    )
  if (conversionNames.has(name) && args.every(arg => arg.kind === 'literal')) tryOut(call, at)
  return { type, run: call }
}

const conversionNames: ReadonlySet<string> = new Set(['int', 'double', 'bool', 'string'])

/** A literal that cannot be converted now never can. */
function tryOut(call: Run, at: number): void {
  const result = attempt(call, { find: () => undefined, locals: [], left: costLimit })
  if (result instanceof EvaluationFailure) throw new Uncompilable(at, result.message)
}

/** Known to the API server, and to nobody who maps tokens that we have seen. */
const beyondUs: ReadonlySet<string> = new Set(
  (
    'timestamp duration bytes uint url isURL ip isIP cidr isCIDR quantity isQuantity semver isSemver ' +
    'format.named format transformMapEntry unwrap unwrapOpt'
  ).split(' '),
)

function unknownFunction(name: string, method: boolean): string {
  return beyondUs.has(name)
    ? `${name}() is known to the API server, but not to this gateway`
    : `undeclared reference to '${name}': there is no such ${method ? 'method' : 'function'}`
}

/** What does not need all its operands: `&&`, `||`, `?:`. An error on one side gives way to an answer. */
function compileLogic(
  { name, at, args }: Extract<Node, { kind: 'call' }>,
  scope: Scope,
): Compiled | undefined {
  if (name === '_?_:_') return compileConditional(at, args, scope)
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

function compileConditional(at: number, args: readonly Node[], scope: Scope): Compiled {
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
function attempt(run: Run, frame: Frame): Value | EvaluationFailure {
  try {
    return run(frame)
  } catch (error) {
    if (givesWay(error)) return error
    throw error
  }
}
