const named: ReadonlyMap<string, string> = new Map(
  Object.entries({
    '\u0007': '\\a',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
    '\\': '\\\\',
    '"': '\\"',
  }),
)

/** As `strings.quote` of CEL: what has an escape of its own is escaped. */
export const quoted = (text: string): string =>
  `"${Array.from(text, character => named.get(character) ?? character).join('')}"`

/** As `%q` of Go: what cannot be seen is escaped too. */
export const quotedVisibly = (text: string): string =>
  `"${text.replace(
    /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu,
    character => named.get(character) ?? escaped(character.codePointAt(0) ?? 0),
  )}"`

function escaped(point: number): string {
  // A half of a pair has become a character that says so by the time that Go sees it.
  if (point >= 0xd800 && point <= 0xdfff) return '\ufffd'
  const hex = point.toString(16)
  if (point < 0x80) return `\\x${hex.padStart(2, '0')}`
  return point < 0x1_0000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}
