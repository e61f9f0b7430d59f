import { addressFunctions } from './address-functions.js'
import { compileList, compileMap } from './collections.js'
import { conversions } from './conversions.js'
import { EvaluationFailure, noOverload, Uncompilable } from './fault.js'
import { callables, type Callable } from './function.js'
import { costLimit, spend, type Run } from './frame.js'
import { listFunctions } from './list-functions.js'
import { attempt, compileLogic } from './logic.js'
import { compileMacro } from './macros.js'
import { namedFormatFunctions } from './named-formats.js'
import { operators } from './operators.js'
import { compilePattern } from './patterns.js'
import { quantityFunctions } from './quantity-functions.js'
import { findIndex, findIndexOptional, findMember, findMemberOptional } from './select.js'
import { isVariable, type Compiled, type Scope } from './scope.js'
import type { Literal, Node } from './syntax.js'
import { checkFormat, textFormatFunctions, type Shape } from './text-format.js'
import { textFunctions } from './text-functions.js'
import { timeFunctions } from './time-functions.js'
import { urlFunctions } from './url-functions.js'
import { assignable, isDynamic, showType, type Type } from './types.js'
import { versionFunctions } from './versions.js'
import { none, Optional, TypeName, Uint, type Value } from './values.js'

const functions: ReadonlyMap<string, Callable> = callables([
  ...operators,
  ...textFunctions,
  ...textFormatFunctions,
  ...listFunctions,
  ...conversions,
  ...timeFunctions,
  ...addressFunctions,
  ...urlFunctions,
  ...quantityFunctions,
  ...versionFunctions,
  ...namedFormatFunctions,
])

/** @throws Uncompilable */
export function compile(node: Node, scope: Scope): Compiled {
  switch (node.kind) {
    case 'literal': {
      const { value } = node
      return { type: literalType(value), run: () => value, constant: value }
    }
    case 'name':
      return compileName(node, scope)
    case 'select':
      return compileSelect(node, scope)
    case 'index':
      return compileIndex(node, scope)
    case 'list':
      return compileList(node, scope, compile)
    case 'map':
      return compileMap(node, scope, compile)
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
  if (value instanceof Uint) return 'uint'
  if (value instanceof Uint8Array) return 'bytes'
  return typeof value === 'boolean' ? 'bool' : 'null_type'
}

const typeNames: ReadonlySet<string> = new Set([
  ...'bool int uint double string bytes list map null_type type optional_type'.split(' '),
  'google.protobuf.Timestamp',
  'google.protobuf.Duration',
  'net.IP',
  'net.CIDR',
])

/** A name of several parts, of a type: it reads like a selection. */
function typeNamed(node: Node, { locals }: Pick<Scope, 'locals'>): string | undefined {
  if (node.kind === 'name') {
    return locals.some(local => local.name === node.name) ? undefined : node.name
  }
  if (node.kind !== 'select' || node.optional) return undefined
  const of = typeNamed(node.of, { locals })
  return of === undefined ? undefined : `${of}.${node.field}`
}

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
  if (typeNames.has(name)) return compileTypeName(name)
  throw new Uncompilable(
    at,
    `undeclared reference to '${name}': only ${scope.variable} is known here`,
  )
}

function compileTypeName(name: string): Compiled {
  const value = new TypeName(name)
  return { type: 'type', run: () => value, constant: value, typeNamed: name }
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
  const named = typeNamed(node, scope)
  if (named !== undefined && typeNames.has(named)) return compileTypeName(named)
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
    if ('map' in type) return type.map[1]
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
  const { constant } = index
  if (
    constant !== undefined &&
    !['string', 'number', 'bigint', 'boolean'].includes(typeof constant) &&
    !(constant instanceof Uint)
  ) {
    throw new Uncompilable(at, `'${showType(index.type)}' is no index`)
  }
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

function compileCall(node: Extract<Node, { kind: 'call' }>, scope: Scope): Compiled {
  const { at, receiver, args } = node
  const special =
    compileLogic(node, scope, compile) ??
    compileMacro(node, scope, compile) ??
    compilePattern(node, scope, compile)
  if (special !== undefined) return special

  const { name, method } = calledBy(node)
  const callable = functions.get(method ? `.${name}` : name)
  if (callable === undefined) {
    const kind = method ? 'method' : 'function'
    throw new Uncompilable(at, `undeclared reference to '${name}': there is no such ${kind}`)
  }
  const inner: Scope = name === 'format' ? { ...scope, mixed: true } : scope
  const given = (method && receiver !== undefined ? [receiver, ...args] : args).map(arg =>
    compile(arg, inner),
  )
  const type = callable.resolve(given.map(arg => arg.type))
  if (type === undefined) {
    const shown = given.map(arg => showType(arg.type))
    const applied = method ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`
    throw new Uncompilable(at, `found no matching overload for '${name}' applied to '${applied}'`)
  }
  if (name === 'format') checkLiterals(node, inner)
  const call: Run = frame =>
    callable.call(
      given.map(arg => arg.run(frame)),
      frame,
    )
  const [only] = given
  const typeNamed = name === 'type' && only !== undefined ? showType(only.type) : undefined
  if (!conversionNames.has(name) || method || only?.constant === undefined) {
    return { type, run: call, typeNamed }
  }
  const constant = convertNow(call, at)
  return { type, run: () => constant, constant, typeNamed }
}

/** What stands before a dot may be a namespace of functions, whatever else it may mean. */
function calledBy({ name, receiver }: Extract<Node, { kind: 'call' }>): {
  readonly name: string
  readonly method: boolean
} {
  if (receiver?.kind === 'name' && functions.has(`${receiver.name}.${name}`)) {
    return { name: `${receiver.name}.${name}`, method: false }
  }
  return { name, method: receiver !== undefined }
}

const conversionNames: ReadonlySet<string> = new Set(
  'bool bytes double duration dyn int string timestamp type uint'.split(' '),
)

/** What cannot be converted now never can. */
function convertNow(call: Run, at: number): Value {
  const result = attempt(call, { find: () => undefined, locals: [], left: costLimit })
  if (result instanceof EvaluationFailure) throw new Uncompilable(at, result.message)
  return result
}

function checkLiterals(
  { at, receiver, args }: Extract<Node, { kind: 'call' }>,
  scope: Scope,
): void {
  const [list] = args
  if (receiver?.kind !== 'literal' || typeof receiver.value !== 'string') return
  if (list?.kind !== 'list') return
  const shaped = list.items.map(item => ({ at: item.at, shape: shapeOf(item, scope) }))
  checkFormat(receiver.value, shaped, at)
}

function shapeOf(node: Node, scope: Scope): Shape {
  const parts = node.kind === 'list' ? node.items : node.kind === 'map' ? node.entries.flat() : []
  return { type: compile(node, scope).type, within: parts.map(part => shapeOf(part, scope)) }
}
