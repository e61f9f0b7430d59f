import { Uncompilable } from './fault.js'
import { readLiteral, readNumber } from './literals.js'
import type { Literal } from './syntax.js'

/** A word of an expression. `text` is what was written, but for a literal it is empty. */
export interface Token {
  readonly kind: 'name' | 'symbol' | 'literal' | 'end'
  readonly text: string
  readonly at: number
  readonly value?: Literal
}

const space = /(?:[\t \r\n\f]|\/\/[^\n]*)*/y
const name = /[A-Za-z_][A-Za-z0-9_]*/y
const number =
  /0x[0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?|\d+[uU]?/y
const symbol = /&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()[\]{}]/y
/** The longest quotes first, and raw ones apart: there a backslash stands for itself. */
const quoted =
  /[bB]?(?:[rR](?:"""[\s\S]*?"""|'''[\s\S]*?'''|"[^"\n\r]*"|'[^'\n\r]*')|"""(?:\\[\s\S]|[^\\])*?"""|'''(?:\\[\s\S]|[^\\])*?'''|"(?:\\[^\n\r]|[^"\\\n\r])*"|'(?:\\[^\n\r]|[^'\\\n\r])*')/y

const constants: ReadonlyMap<string, Literal> = new Map<string, Literal>([
  ['true', true],
  ['false', false],
  ['null', null],
])

/**
 * Takes an expression apart into words, with one at its end.
 * @throws Uncompilable at what is none
 */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = []
  let at = skip(text, 0)
  while (at < text.length) {
    const [token, length] = tokenAt(text, at)
    tokens.push(token)
    at = skip(text, at + length)
  }
  return [...tokens, { kind: 'end', text: '', at: text.length }]
}

const skip = (text: string, at: number): number => at + (matchAt(space, text, at)?.length ?? 0)

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function tokenAt(text: string, at: number): readonly [token: Token, length: number] {
  const string = matchAt(quoted, text, at)
  if (string !== undefined) {
    return [{ kind: 'literal', text: '', at, value: readLiteral(string, at) }, string.length]
  }
  const digits = matchAt(number, text, at)
  if (digits !== undefined) {
    return [{ kind: 'literal', text: digits, at, value: readNumber(digits, at) }, digits.length]
  }
  const word = matchAt(name, text, at)
  if (word !== undefined) {
    const value = constants.get(word)
    if (value !== undefined) return [{ kind: 'literal', text: '', at, value }, word.length]
    return [{ kind: word === 'in' ? 'symbol' : 'name', text: word, at }, word.length]
  }
  const sign = matchAt(symbol, text, at)
  if (sign !== undefined) return [{ kind: 'symbol', text: sign, at }, sign.length]
  const shown = JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))
  throw new Uncompilable(
    at,
    /["']/.test(text.charAt(at)) ? 'a quote that is not closed' : `unexpected character ${shown}`,
  )
}
