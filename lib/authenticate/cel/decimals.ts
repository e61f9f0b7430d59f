/*
 * Doubles in digits, by what they are worth to the last bit: a tie goes to the even digit, as in Go, and not
 * away from zero as with `toFixed`.
 */

/** `1234567.891000`: always with so many digits after the point. */
export function plainDecimal(value: number, digits: number): string {
  const shown = digitsOf(Math.abs(value), digits)
  return (Object.is(value, -0) ? '-' : signOf(value)) + shown
}

/** `1,234,567.891000` */
export function groupedDecimal(value: number, digits: number): string {
  if (!Number.isFinite(value)) return boundless(value)
  const [whole = '', fraction] = digitsOf(Math.abs(value), digits).split('.')
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/g, ',')
  return signOf(value) + grouped + (fraction === undefined ? '' : `.${fraction}`)
}

/** `1.234568×10⁰⁶`: with six digits after the point, whatever is asked for; that is the width it is padded to. */
export function scientific(value: number, width: number): string {
  return spelledOut(value).padStart(width)
}

function spelledOut(value: number): string {
  if (!Number.isFinite(value)) return boundless(value)
  const [digits, exponent] = toSevenDigits(Math.abs(value))
  const power = exponent.replace(/^-/, '').padStart(2, '0')
  const raised = power.replace(/\d/g, digit => superscripts.charAt(Number(digit)))
  return `${signOf(value)}${digits}×10${exponent.startsWith('-') ? '⁻' : ''}${raised}`
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹'

function toSevenDigits(value: number): readonly [digits: string, exponent: string] {
  const exponent = Number(value.toExponential(6).split('e')[1])
  const [numerator, denominator] = fractionOf(value)
  const shift = 10n ** BigInt(Math.abs(6 - exponent))
  const rounded =
    exponent > 6 ? divided(numerator, denominator * shift) : divided(numerator * shift, denominator)
  const digits = String(rounded).padStart(7, '0')
  return [`${digits[0]}.${digits.slice(1)}`, String(exponent)]
}

const signOf = (value: number): string => (value < 0 ? '-' : '')

function boundless(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return value > 0 ? '∞' : '-∞'
}

function digitsOf(value: number, digits: number): string {
  const [numerator, denominator] = fractionOf(value)
  const text = String(divided(numerator * 10n ** BigInt(digits), denominator)).padStart(
    digits + 1,
    '0',
  )
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`
}

function divided(numerator: bigint, denominator: bigint): bigint {
  const floor = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && floor % 2n === 1n) ? floor + 1n : floor
}

/** A double is a whole number times a power of two. */
function fractionOf(value: number): readonly [numerator: bigint, denominator: bigint] {
  let numerator = value
  let halvings = 0n
  while (!Number.isInteger(numerator)) {
    numerator *= 2
    halvings += 1n
  }
  return [BigInt(numerator), 1n << halvings]
}
