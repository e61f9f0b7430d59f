import { Uncompilable } from './fault.js'
import { tokenize, type Token } from './tokens.js'
import type { Uint } from './values.js'

/** An expression as it was written; operators are calls, under the names that CEL has for them. */
export type Node = { readonly at: number } & (
  | { readonly kind: 'literal'; readonly value: Literal }
  | { readonly kind: 'name'; readonly name: string }
  | {
      readonly kind: 'select'
      readonly of: Node
      readonly field: string
      /** `.?` */
      readonly optional: boolean
    }
  | {
      readonly kind: 'index'
      readonly of: Node
      readonly index: Node
      /** `[?…]` */
      readonly optional: boolean
    }
  | {
      readonly kind: 'call'
      readonly name: string
      readonly receiver?: Node
      readonly args: readonly Node[]
    }
  | {
      readonly kind: 'list'
      readonly items: readonly Node[]
      /** `[?…]`: of these there may be nothing. */
      readonly optional: ReadonlySet<Node>
    }
  | {
      readonly kind: 'map'
      readonly entries: ReadonlyArray<readonly [key: Node, value: Node]>
      /** `{?…: …}`, by the value. */
      readonly optional: ReadonlySet<Node>
    }
)

export type Literal = string | number | bigint | boolean | null | Uint | Uint8Array

const longestText = 100_000
const deepestNesting = 250

/**
 * Reads an expression by the grammar of cel-go.
 * @throws Uncompilable where it is none
 */
export function parseExpression(text: string): Node {
  if (text.length > longestText) throw new Uncompilable(0, 'the expression is too long')
  const words = new Words(tokenize(text))
  const node = readExpression(words)
  if (words.next.kind !== 'end') throw unexpected(words.next)
  return node
}

/** The words not yet read. */
class Words {
  readonly #tokens: readonly Token[]
  #at = 0
  depth = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get next(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '', at: 0 }
  }

  take(): Token {
    const token = this.next
    this.#at += 1
    return token
  }

  /** Takes the next word if it is one of these symbols. */
  takes(...symbols: readonly string[]): Token | undefined {
    const { kind, text } = this.next
    return kind === 'symbol' && symbols.includes(text) ? this.take() : undefined
  }

  expect(symbol: string): void {
    if (this.takes(symbol) === undefined) throw unexpected(this.next, symbol)
  }

  expectName(): Token {
    if (this.next.kind !== 'name') throw unexpected(this.next, 'a name')
    return this.take()
  }
}

function unexpected(token: Token, wanted?: string): Uncompilable {
  const met = token.kind === 'end' ? 'end' : token.text === '' ? 'a literal' : `“${token.text}”`
  const instead = wanted === undefined ? '' : `, where “${wanted}” is expected`
  return new Uncompilable(token.at, `unexpected ${met}${instead}`)
}

function readExpression(words: Words): Node {
  words.depth += 1
  if (words.depth > deepestNesting) throw new Uncompilable(words.next.at, 'nested too deep')
  const node = readConditional(words)
  words.depth -= 1
  return node
}

function readConditional(words: Words): Node {
  const condition = readBinary(words, 0)
  if (words.takes('?') === undefined) return condition
  const then = readBinary(words, 0)
  words.expect(':')
  const otherwise = readExpression(words)
  return { kind: 'call', at: condition.at, name: '_?_:_', args: [condition, then, otherwise] }
}

/** What binds least comes first; all of them from the left. */
const binaries: ReadonlyArray<readonly string[]> = [
  ['||'],
  ['&&'],
  ['<', '<=', '>', '>=', '==', '!=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
]

function readBinary(words: Words, level: number): Node {
  const operators = binaries[level]
  if (operators === undefined) return readUnary(words)
  let left = readBinary(words, level + 1)
  for (;;) {
    const operator = words.takes(...operators)
    if (operator === undefined) return left
    const right = readBinary(words, level + 1)
    left = { kind: 'call', at: left.at, name: `_${operator.text}_`, args: [left, right] }
  }
}

/** Two signs are none. */
function readUnary(words: Words): Node {
  const sign = words.takes('!', '-')
  if (sign === undefined) return readMember(words)
  let times = 1
  while (words.takes(sign.text) !== undefined) times += 1
  const signed = sign.text === '-' && times % 2 === 1
  const { kind, value } = words.next
  if (signed && kind === 'literal' && (typeof value === 'bigint' || typeof value === 'number')) {
    words.take()
    return readParts(words, { kind: 'literal', at: sign.at, value: -value })
  }
  const operand = readMember(words)
  if (times % 2 === 0) return operand
  return { kind: 'call', at: sign.at, name: `${sign.text}_`, args: [operand] }
}

const readMember = (words: Words): Node => readParts(words, readPrimary(words))

/** Selections, indices and calls that follow. */
function readParts(words: Words, first: Node): Node {
  let of = checkInt(first)
  for (;;) {
    if (words.takes('.') !== undefined) {
      const optional = words.takes('?') !== undefined
      const { text, at } = words.expectName()
      const called = optional ? undefined : words.takes('(')
      of =
        called === undefined
          ? { kind: 'select', at, of, field: text, optional }
          : { kind: 'call', at, name: text, receiver: of, args: readList(words, ')') }
      continue
    }
    const bracket = words.takes('[')
    if (bracket === undefined) return of
    const optional = words.takes('?') !== undefined
    of = { kind: 'index', at: bracket.at, of, index: readExpression(words), optional }
    words.expect(']')
  }
}

/** 2⁶³ is no integer, unless a sign stands before it. */
function checkInt(node: Node): Node {
  if (node.kind === 'literal' && typeof node.value === 'bigint' && node.value >= 1n << 63n) {
    throw new Uncompilable(node.at, `${node.value} is out of range`)
  }
  return node
}

const reserved: ReadonlySet<string> = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)

function readPrimary(words: Words): Node {
  const { at } = words.next
  if (words.takes('(') !== undefined) {
    const inside = readExpression(words)
    words.expect(')')
    return inside
  }
  if (words.takes('[') !== undefined) return readItems(words, at)
  if (words.takes('{') !== undefined) return readEntries(words, at)
  if (words.next.kind === 'literal') {
    return { kind: 'literal', at, value: words.take().value ?? null }
  }
  const rooted = words.takes('.') !== undefined
  if (!rooted && words.next.kind !== 'name') throw unexpected(words.next)
  const { text: name } = words.expectName()
  if (reserved.has(name)) throw new Uncompilable(at, `reserved identifier: ${name}`)
  if (words.takes('(') !== undefined) return { kind: 'call', at, name, args: readList(words, ')') }
  return { kind: 'name', at, name }
}

function readList(words: Words, end: string): readonly Node[] {
  const nodes: Node[] = []
  if (words.takes(end) !== undefined) return nodes
  do nodes.push(readExpression(words))
  while (words.takes(',') !== undefined)
  words.expect(end)
  return nodes
}

function readItems(words: Words, at: number): Node {
  const items: Node[] = []
  const optional = new Set<Node>()
  readSeveral(words, ']', asked => {
    const item = readExpression(words)
    items.push(item)
    if (asked) optional.add(item)
  })
  return { kind: 'list', at, items, optional }
}

function readEntries(words: Words, at: number): Node {
  const entries: Array<readonly [Node, Node]> = []
  const optional = new Set<Node>()
  readSeveral(words, '}', asked => {
    const key = readExpression(words)
    words.expect(':')
    const value = readExpression(words)
    entries.push([key, value])
    if (asked) optional.add(value)
  })
  return { kind: 'map', at, entries, optional }
}

/** A comma may stand at the end, too; there may be a `?` before each of them. */
function readSeveral(words: Words, end: string, readOne: (asked: boolean) => void): void {
  if (words.takes(',') !== undefined) {
    words.expect(end)
    return
  }
  while (words.takes(end) === undefined) {
    readOne(words.takes('?') !== undefined)
    if (words.takes(',') !== undefined) continue
    words.expect(end)
    return
  }
}
