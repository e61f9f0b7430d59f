const maxNameBytes = 1024

/**
 * Why a name would not arrive at the API server as it was meant; `undefined` for one that does. The API server
 * reads a blank `Impersonate-User` as none and trims the others, control characters end headers, and lone
 * surrogates all become U+FFFD, the same name for different people.
 */
export function flawOf(name: string): string | undefined {
  const flaw = flawOfEnds(name)
  if (flaw !== undefined) return flaw
  if (/\p{Cc}/u.test(name)) return 'has a control character'
  if (!name.isWellFormed()) return 'is not well-formed Unicode'
  return Buffer.byteLength(name) > maxNameBytes ? `is longer than ${maxNameBytes} bytes` : undefined
}

/** The part of it that a prefix must not hide: no name, or one that differs from another in blanks alone. */
export function flawOfEnds(name: string): string | undefined {
  if (name.trim() === '') return 'is blank'
  return name === name.trim() ? undefined : 'begins or ends with a blank'
}
