const units = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])
const longestNs = 2n ** 63n - 1n

/**
 * Milliseconds of a duration as Go writes it: `1h30m`, `1.5h`, `300ms`, `0`; exact to the nanosecond.
 * @throws {SyntaxError} when it is none, is negative, or is longer than Go's 292 years; the message
 * says what to write (`time.ParseDuration`)
 */
export function parseDuration(text: string): number {
  if (text.startsWith('-')) throw new SyntaxError('must not be negative')
  const unsigned = text.startsWith('+') ? text.slice(1) : text
  if (unsigned === '0') return 0
  if (!/^(?:(?:\d+\.?\d*|\.\d+)[a-zµμ]+)+$/.test(unsigned)) throw new SyntaxError(notOne)
  let total = 0n
  for (const [, whole = '', fraction = '', name = ''] of unsigned.matchAll(
    /(\d*)\.?(\d*)([a-zµμ]+)/g,
  )) {
    const unit = units.get(name)
    if (unit === undefined) throw new SyntaxError(notOne)
    total += BigInt(whole) * unit + (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length)
  }
  if (total > longestNs) throw new SyntaxError('is too long')
  return Number(total) / 1e6
}

const notOne = 'must be a duration such as 30s, 300ms or 1h30m'
