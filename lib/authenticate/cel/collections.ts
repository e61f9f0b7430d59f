import { EvaluationFailure, Uncompilable } from './fault.js'
import { spend } from './frame.js'
import type { Compile, Compiled, Scope } from './scope.js'
import type { Node } from './syntax.js'
import { alike, join, showType, type Type } from './types.js'
import { mapKey, Optional, typeName, type Value } from './values.js'

export function compileList(
  { items, optional }: Extract<Node, { kind: 'list' }>,
  scope: Scope,
  compile: Compile,
): Compiled {
  const compiled = items.map(item => compile(item, scope))
  const types = compiled.map(({ type, typeNamed }, index) => ({
    ...elementType(type, items[index], optional),
    typeNamed,
  }))
  const list = commonType(types, scope)
  const constants = compiled.map(({ constant }) => constant)
  const known = optional.size === 0 && constants.every(it => it !== undefined)
  return {
    ...(known ? { constant: constants } : undefined),
    type: { list },
    run: frame => {
      spend(frame, compiled.length)
      return compiled.flatMap(({ run }, index) => {
        const value = run(frame)
        // Lists in lists stay as they are: what is handed to flatMap is one level more.
        return optional.has(items[index] as Node) ? unwrap(value) : [value]
      })
    },
  }
}

/** What `?` asks for is an optional; an empty one leaves nothing behind. */
function unwrap(value: Value): readonly Value[] {
  if (!(value instanceof Optional)) {
    throw new EvaluationFailure(`cannot take what is no optional for one: ${typeName(value)}`)
  }
  return value.value === undefined ? [] : [value.value]
}

interface Typed {
  readonly type: Type
  readonly at: number
  readonly typeNamed?: string | undefined
}

function elementType(type: Type, node: Node | undefined, optional: ReadonlySet<Node>): Typed {
  const at = node?.at ?? 0
  if (node === undefined || !optional.has(node)) return { type, at }
  if (typeof type === 'object' && 'optional' in type) return { type: type.optional, at }
  throw new Uncompilable(at, `expected an optional but found '${showType(type)}'`)
}

/** Of keys that are numbers the whole ones are one key, whatever their type. */
export function compileMap(
  { entries, optional }: Extract<Node, { kind: 'map' }>,
  scope: Scope,
  compile: Compile,
): Compiled {
  const compiled = entries.map(
    ([key, value]) => [compile(key, scope), compile(value, scope)] as const,
  )
  const key = commonType(
    compiled.map(([it], index) => ({ type: it.type, at: entries[index]?.[0].at ?? 0 })),
    scope,
  )
  const value = commonType(
    compiled.map(([, it], index) => elementType(it.type, entries[index]?.[1], optional)),
    scope,
  )
  const known =
    optional.size === 0 &&
    compiled.every(([name, it]) => name.constant !== undefined && it.constant !== undefined)
  return {
    ...(known
      ? {
          constant: new Map(
            compiled.map(([name, it]) => [mapKey(name.constant ?? null), it.constant ?? null]),
          ),
        }
      : undefined),
    type: { map: [key, value] },
    run: frame => {
      spend(frame, compiled.length)
      const map = new Map<Value, Value>()
      for (const [index, [name, it]] of compiled.entries()) {
        const found = mapKey(name.run(frame))
        const given = it.run(frame)
        const asked = optional.has((entries[index] as readonly [Node, Node])[1])
        for (const one of asked ? unwrap(given) : [given]) map.set(found, one)
      }
      return map
    },
  }
}

/** Kubernetes asks for literals whose elements are all of one type. */
function commonType(elements: readonly Typed[], { mixed }: Scope): Type {
  let common: Type = 'none'
  for (const { type, at, typeNamed } of elements) {
    const joined = join(common, type)
    if (mixed === true) {
      common = joined ?? 'dyn'
      continue
    }
    if (joined === undefined || !alike(common, type)) {
      throw new Uncompilable(
        at,
        `expected type '${showType(common)}' but found '${showType(type)}'`,
      )
    }
    if (typeNamed !== elements[0]?.typeNamed) {
      throw new Uncompilable(at, `expected a type of the same kind but found '${typeNamed}'`)
    }
    common = joined
  }
  return common
}
