/** One line that names what is wrong: where it was written, the value, and what to change. */
export function fault(where: string, value: string | undefined, says: string): string {
  return value === undefined ? `${where}: ${says}` : `${where} ${quoted(value)}: ${says}`
}

const longest = 100

/** A value as one readable line: in double quotes, control characters escaped, at most 100 characters of it. */
export function quoted(value: string): string {
  const shown = value.length > longest ? `${value.slice(0, longest)}…` : value
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** What the system said, in few words and on one line. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return said.get(code) ?? error.message.split('\n', 1)[0]?.slice(0, 200) ?? code
}

const said = new Map([
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory'],
])
