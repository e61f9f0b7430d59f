import { EvaluationFailure, givesWay, noOverload, Uncompilable } from './fault.js'
import { spend, type Frame, type Run } from './frame.js'
import { isVariable, type Compile, type Compiled, type Scope } from './scope.js'
import { ordered } from './list-functions.js'
import { holdsMember } from './select.js'
import type { Node } from './syntax.js'
import { assignable, isDynamic, join, showType, type Type } from './types.js'
import {
  compare,
  entriesOf,
  isJsonObject,
  isList,
  isMap,
  none,
  Optional,
  sizeOf,
  typeName,
  type Value,
} from './values.js'

type Call = Extract<Node, { kind: 'call' }>

/** What a macro is made of: its call, what it ranges over, and how to compile further parts. */
interface Macro {
  readonly node: Call
  readonly receiver: Node
  readonly scope: Scope
  readonly compile: Compile
}

/** `has`, the macros that range over lists and maps, and those that look into an optional value. */
export function compileMacro(node: Call, scope: Scope, compile: Compile): Compiled | undefined {
  const { name, receiver, args } = node
  if (receiver === undefined) return name === 'has' ? compileHas(node, scope, compile) : undefined
  const macro = { node, receiver, scope, compile }
  switch (`${name}/${args.length}`) {
    case 'all/2':
    case 'all/3':
      return compileQuantifier(macro, false)
    case 'exists/2':
    case 'exists/3':
      return compileQuantifier(macro, true)
    case 'exists_one/2':
    case 'exists_one/3':
    case 'existsOne/3':
      return compileExistsOne(macro)
    case 'filter/2':
      return compileFilter(macro)
    case 'map/2':
    case 'map/3':
      return compileTransform(macro, 1)
    case 'transformList/3':
    case 'transformList/4':
      return compileTransform(macro, 2)
    case 'transformMap/3':
    case 'transformMap/4':
      return compileTransformMap(macro)
    case 'transformMapEntry/3':
    case 'transformMapEntry/4':
      return compileTransformMapEntry(macro)
    case 'sortBy/2':
      return compileSortBy(macro)
    case 'optMap/2':
      return compileOptMap(macro, value => new Optional(value))
    case 'optFlatMap/2':
      return compileOptMap(macro, value => value)
    case 'or/1':
    case 'orValue/1':
      return compileOr(macro)
    default:
      return undefined
  }
}

function compileHas({ at, args }: Call, scope: Scope, compile: Compile): Compiled {
  const [part, ...more] = args
  if (part?.kind !== 'select' || part.optional || more.length > 0) {
    throw new Uncompilable(at, 'has() asks for a field, as in has(claims.email)')
  }
  // Whether there can be such a field at all is for the selection to say.
  compile(part, scope)
  const { field } = part
  if (isVariable(part.of, scope)) {
    return { type: 'bool', run: frame => frame.find(field) !== undefined }
  }
  const operand = compile(part.of, scope)
  return { type: 'bool', run: frame => holdsMember(operand.run(frame), field) }
}

/** The names that a macro gives to what it ranges over, and the parts that come after them. */
interface Ranged {
  readonly items: (frame: Frame) => ReadonlyArray<readonly Value[]>
  /** Sets the names for one item, and pays for what is done with it. */
  readonly bind: (frame: Frame, item: readonly Value[]) => void
  readonly parts: readonly Compiled[]
  readonly keyType: Type
  readonly itemType: Type
  /** Of what one name alone stands for: the items of a list, the keys of a map. */
  readonly rangedType: Type
}

function compileRange(macro: Macro, names: 1 | 2): Ranged {
  const { node, receiver, scope, compile } = macro
  const range = compile(receiver, scope)
  const [keyType, itemType] = rangeTypes(range.type, receiver)
  const rangedType = isMapType(range.type) ? keyType : itemType
  const types = names === 2 ? [keyType, itemType] : [rangedType]
  const named = node.args.slice(0, names).map((arg, index) => {
    if (arg.kind !== 'name') throw new Uncompilable(arg.at, 'argument must be a simple name')
    if (arg.name === '__result__') throw new Uncompilable(arg.at, `'${arg.name}' is taken`)
    return { name: arg.name, type: types[index] ?? 'dyn' }
  })
  if (names === 2 && named[0]?.name === named[1]?.name) {
    throw new Uncompilable(node.at, `duplicate variable name: ${named[0]?.name}`)
  }
  const slot = scope.locals.length
  const inner = { ...scope, locals: [...scope.locals, ...named] }
  return {
    items: frame => itemsOf(range.run(frame), names, frame),
    bind: (frame, item) => {
      spend(frame, 1)
      for (const [index, value] of item.entries()) frame.locals[slot + index] = value
    },
    parts: node.args.slice(names).map(arg => compile(arg, inner)),
    keyType,
    itemType,
    rangedType,
  }
}

const isMapType = (type: Type): boolean => typeof type === 'object' && 'map' in type

function rangeTypes(type: Type, node: Node): readonly [key: Type, item: Type] {
  if (type === 'dyn') return ['dyn', 'dyn']
  if (typeof type === 'object' && 'list' in type) {
    return ['int', type.list === 'none' ? 'dyn' : type.list]
  }
  if (typeof type === 'object' && 'map' in type) return type.map
  const hint = type === 'any' ? '; write dyn(…) around it, as the API server asks too' : ''
  throw new Uncompilable(
    node.at,
    `expression of type '${showType(type)}' cannot be range of a comprehension${hint}`,
  )
}

/** All of them are laid out, and paid for, however few will be looked at. */
function itemsOf(value: Value, names: 1 | 2, frame: Frame): ReadonlyArray<readonly Value[]> {
  if (isList(value)) {
    spend(frame, value.length)
    return value.map((item, index) => (names === 1 ? [item] : [BigInt(index), item]))
  }
  if (isMap(value) || isJsonObject(value)) {
    spend(frame, sizeOf(value))
    return entriesOf(value).map(([key, item]) => (names === 1 ? [key] : [key, item]))
  }
  throw new EvaluationFailure(`got '${typeName(value)}', expected iterable type`)
}

const namesOf = ({ node }: Macro): 1 | 2 => (node.args.length === 2 ? 1 : 2)

/** The last part; the condition of a macro must be able to be true or false. */
function lastPart({ parts }: Ranged): Compiled {
  const part = parts.at(-1)
  if (part === undefined) throw new TypeError('a macro has a last part')
  return part
}

function condition(part: Compiled, { node }: Macro): Run {
  if (!assignable('bool', part.type, new Map())) {
    throw new Uncompilable(
      node.at,
      `${node.name}() expects type 'bool' but found '${showType(part.type)}'`,
    )
  }
  return part.run
}

/** An error gives way to an item that decides, wherever that stands. */
function compileQuantifier(macro: Macro, decisive: boolean): Compiled {
  const range = compileRange(macro, namesOf(macro))
  const holds = condition(lastPart(range), macro)
  return {
    type: 'bool',
    run: frame => {
      let failure: EvaluationFailure | undefined
      for (const item of range.items(frame)) {
        range.bind(frame, item)
        try {
          if (truth(holds(frame), macro) === decisive) return decisive
        } catch (error) {
          if (!givesWay(error)) throw error
          failure = error
        }
      }
      if (failure !== undefined) throw failure
      return !decisive
    },
  }
}

function truth(value: Value, { node }: Macro): boolean {
  if (typeof value !== 'boolean') throw noOverload(node.name)
  return value
}

function compileExistsOne(macro: Macro): Compiled {
  const range = compileRange(macro, namesOf(macro))
  const holds = condition(lastPart(range), macro)
  return {
    type: 'bool',
    run: frame => {
      let count = 0
      for (const item of range.items(frame)) {
        range.bind(frame, item)
        if (truth(holds(frame), macro)) count += 1
      }
      return count === 1
    },
  }
}

function compileFilter(macro: Macro): Compiled {
  const range = compileRange(macro, 1)
  const holds = condition(lastPart(range), macro)
  return {
    type: { list: range.rangedType },
    run: frame =>
      range
        .items(frame)
        .filter(item => {
          range.bind(frame, item)
          return truth(holds(frame), macro)
        })
        .map(([item = null]) => item),
  }
}

/** `map` and `transformList`: one or two names, perhaps a condition, and what becomes of each item. */
function compileTransform(macro: Macro, names: 1 | 2): Compiled {
  const range = compileRange(macro, names)
  const change = lastPart(range)
  const keep = range.parts.length > 1 ? condition(range.parts[0] ?? change, macro) : () => true
  return {
    type: { list: change.type },
    run: frame => {
      const list: Value[] = []
      for (const item of range.items(frame)) {
        range.bind(frame, item)
        if (truth(keep(frame), macro)) list.push(change.run(frame))
      }
      return list
    },
  }
}

function compileTransformMap(macro: Macro): Compiled {
  const range = compileRange(macro, 2)
  const change = lastPart(range)
  const keep = range.parts.length > 1 ? condition(range.parts[0] ?? change, macro) : () => true
  return {
    type: { map: [range.keyType, change.type] },
    run: frame => {
      const map = new Map<Value, Value>()
      for (const item of range.items(frame)) {
        range.bind(frame, item)
        if (truth(keep(frame), macro)) map.set(item[0] ?? null, change.run(frame))
      }
      return map
    },
  }
}

/** Each item becomes a map, whose entries must be nobody else's. */
function compileTransformMapEntry(macro: Macro): Compiled {
  const range = compileRange(macro, 2)
  const change = lastPart(range)
  const keep = range.parts.length > 1 ? condition(range.parts[0] ?? change, macro) : () => true
  if (!assignable({ map: ['dyn', 'dyn'] }, change.type, new Map())) {
    throw new Uncompilable(macro.node.at, `'${showType(change.type)}' is no map`)
  }
  return {
    type: isMapType(change.type) ? change.type : { map: ['dyn', 'dyn'] },
    run: frame => {
      const map = new Map<Value, Value>()
      for (const item of range.items(frame)) {
        range.bind(frame, item)
        if (!truth(keep(frame), macro)) continue
        const entries = change.run(frame)
        if (!isMap(entries) && !isJsonObject(entries)) throw noOverload(macro.node.name)
        for (const [key, value] of entriesOf(entries)) {
          if (map.has(key)) throw new EvaluationFailure('insert failed: a key already exists')
          map.set(key, value)
        }
      }
      return map
    },
  }
}

function compileSortBy(macro: Macro): Compiled {
  const range = compileRange(macro, 1)
  const { run: keyOf, type } = lastPart(range)
  if (!ordered.some(it => assignable(it, type, new Map()))) {
    throw new Uncompilable(macro.node.at, `'${showType(type)}' has no order`)
  }
  return {
    type: { list: range.itemType },
    run: frame => {
      const keyed = range.items(frame).map(item => {
        range.bind(frame, item)
        return [keyOf(frame), item[0] ?? null] as const
      })
      const [first] = keyed
      if (keyed.some(([key]) => typeName(key) !== typeName(first?.[0] ?? null))) {
        throw new EvaluationFailure('list elements must have the same type')
      }
      if (first !== undefined) compare(first[0], first[0], 'sortBy')
      spend(frame, keyed.length)
      return keyed
        .toSorted(([one], [other]) => compare(one, other, 'sortBy') ?? 0)
        .map(([, item]) => item)
    },
  }
}

function innerOf(type: Type, node: Node): Type {
  if (isDynamic(type) || type === 'none') return 'none'
  if (typeof type === 'object' && 'optional' in type) return type.optional
  throw new Uncompilable(node.at, `type '${showType(type)}' is not optional`)
}

function compileOptMap(macro: Macro, wrap: (value: Value) => Value): Compiled {
  const { node, receiver, scope, compile } = macro
  const operand = compile(receiver, scope)
  const [name, body] = node.args
  if (name?.kind !== 'name' || body === undefined) {
    throw new Uncompilable(node.at, `${node.name}() takes a simple name and an expression`)
  }
  const slot = scope.locals.length
  const inner = innerOf(operand.type, receiver)
  const local = { name: name.name, type: inner === 'none' ? ('dyn' as const) : inner }
  const change = compile(body, { ...scope, locals: [...scope.locals, local] })
  if (node.name === 'optFlatMap' && join(change.type, { optional: 'none' }) === undefined) {
    throw new Uncompilable(body.at, `type '${showType(change.type)}' is not optional`)
  }
  return {
    type: node.name === 'optMap' ? { optional: change.type } : change.type,
    run: frame => {
      const value = operand.run(frame)
      if (!(value instanceof Optional)) throw noOverload(node.name)
      if (value.value === undefined) return none
      spend(frame, 1)
      frame.locals[slot] = value.value
      return wrap(change.run(frame))
    },
  }
}

/** The other side is evaluated only where it is needed. What is not optional stands for itself. */
function compileOr({ node, receiver, scope, compile }: Macro): Compiled {
  const operand = compile(receiver, scope)
  const [arg] = node.args
  if (arg === undefined) throw new TypeError('or() takes an argument')
  const other = compile(arg, scope)
  const unwraps = node.name === 'orValue'
  const type = join(
    innerOf(operand.type, receiver),
    unwraps ? other.type : innerOf(other.type, arg),
  )
  if (type === undefined) {
    const applied = `${showType(operand.type)}.(${showType(other.type)})`
    throw new Uncompilable(
      node.at,
      `found no matching overload for '${node.name}' applied to '${applied}'`,
    )
  }
  return {
    type: unwraps ? type : { optional: type },
    run: frame => {
      const value = operand.run(frame)
      spend(frame, 1)
      if (!(value instanceof Optional)) return value
      if (value.value === undefined) return other.run(frame)
      return unwraps ? value.value : value
    },
  }
}
