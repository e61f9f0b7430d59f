import { Environment, ParseError, type ASTNode } from '@marcbachmann/cel-js'
import { Uncompilable } from './fault.js'

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
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'map'; readonly entries: ReadonlyArray<readonly [key: Node, value: Node]> }
)

export type Literal = string | number | bigint | boolean | null

/** The library's own functions and types have no say: only its reading of the text is used. */
const environment = new Environment({
  enableOptionalTypes: true,
  unlistedVariablesAreDyn: true,
  limits: { maxAstNodes: 10_000, maxDepth: 100 },
})

/**
 * Reads an expression.
 * @throws Uncompilable where it is none, or would be read differently by the API server
 */
export function parseExpression(text: string): Node {
  try {
    return convert(environment.parse(text).ast, text)
  } catch (error) {
    if (error instanceof ParseError) throw new Uncompilable(error.range?.start ?? 0, error.summary)
    throw error
  }
}

const binary: ReadonlySet<string> = new Set('!= == in + - * / % < <= > >= || &&'.split(' '))
const relations: ReadonlySet<string> = new Set('in < <= > >= == !='.split(' '))

function convert(ast: ASTNode, text: string): Node {
  const at = ast.pos
  const inner = (node: ASTNode): Node => convert(node, text)
  // All that is left for the default are the binary operators.
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check
  switch (ast.op) {
    case 'value':
      return { kind: 'literal', at, value: literal(ast, text) }
    case 'id':
      return { kind: 'name', at, name: ast.args }
    case '.':
    case '.?':
      return {
        kind: 'select',
        at,
        of: inner(ast.args[0]),
        field: ast.args[1],
        optional: ast.op === '.?',
      }
    case '[]':
    case '[?]':
      return {
        kind: 'index',
        at,
        of: inner(ast.args[0]),
        index: inner(ast.args[1]),
        optional: ast.op === '[?]',
      }
    case 'call':
      return { kind: 'call', at, name: ast.args[0], args: ast.args[1].map(inner) }
    case 'rcall':
      return {
        kind: 'call',
        at,
        name: ast.args[0],
        receiver: inner(ast.args[1]),
        args: ast.args[2].map(inner),
      }
    case 'list':
      return { kind: 'list', at, items: ast.args.map(inner) }
    case 'map':
      return {
        kind: 'map',
        at,
        entries: ast.args.map(([key, value]) => [inner(key), inner(value)] as const),
      }
    case '?:':
      return { kind: 'call', at, name: '_?_:_', args: ast.args.map(inner) }
    case '!_':
    case '-_': {
      // As cel-go reads them, two signs are none.
      const { args: operand } = ast
      const doubled = operand.op === ast.op && /^[!-]\s*$/.test(text.slice(at, operand.pos))
      if (doubled && (operand.op === '!_' || operand.op === '-_')) return inner(operand.args)
      return { kind: 'call', at, name: ast.op, args: [inner(operand)] }
    }
    default: {
      if (!binary.has(ast.op)) throw new Uncompilable(at, 'this operator is not supported')
      const [left, right] = ast.args
      checkOrder(ast.op, left, right, text)
      return { kind: 'call', at, name: `_${ast.op}_`, args: [inner(left), inner(right)] }
    }
  }
}

function literal(ast: Extract<ASTNode, { op: 'value' }>, text: string): Literal {
  const { args: value } = ast
  if (value instanceof Uint8Array) throw new Uncompilable(ast.pos, 'bytes are not supported')
  if (typeof value === 'object' && value !== null) {
    throw new Uncompilable(ast.pos, 'unsigned integers are not supported: leave out the “u”')
  }
  const written = text.slice(ast.start, ast.end)
  const raw = /^[rR](["'])/.exec(written)
  if (raw !== null && written.includes(`\\${raw[1]}`)) {
    throw new Uncompilable(
      ast.pos,
      'a quote after a backslash in a raw string: use the other quote',
    )
  }
  return value
}

/**
 * In CEL all relations bind alike, from the left: `a == b < c` is `(a == b) < c`. The library reads it as
 * `a == (b < c)`. Only where parentheses say which is meant do both agree.
 */
function checkOrder(op: string, left: ASTNode, right: ASTNode, text: string): void {
  if (!(op === '==' || op === '!=') || !relations.has(right.op)) return
  // A relation has two operands; the union's type does not say so.
  const [start] = right.args as readonly [ASTNode, ASTNode]
  const operator =
    start.end + (/^(?:\s|\)|\/\/[^\n]*\n)*/.exec(text.slice(start.end))?.[0].length ?? 0)
  const between = text
    .slice(left.end, operator)
    .replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\/\/[^\n]*\n/g, '')
  const opened = between.lastIndexOf(op) < 0 ? '' : between.slice(between.indexOf(op) + 2)
  const depth = opened.split('(').length - opened.split(')').length
  if (depth < 1) {
    throw new Uncompilable(
      right.pos,
      `put parentheses around one side of “${op}”: the API server reads relations from the left`,
    )
  }
}
