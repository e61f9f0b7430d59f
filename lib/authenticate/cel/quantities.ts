import { noOverload } from './fault.js'
import { Opaque, type Value } from './values.js'

/** What an exponent may be, and a text: beyond it the API server reckons with numbers of that many digits. */
const furthestExponent = 1_000
const longestText = 1_000
const nano = -9

/**
 * An amount as Kubernetes writes it: digits times a power of ten. The API server keeps small ones in 64 bits
 * and others as decimals of any length (`long`); it says of the former alone that they are integers.
 */
export class Quantity extends Opaque {
  readonly typeName = 'kubernetes.Quantity'
  readonly digits: bigint
  readonly scale: number
  readonly long: boolean
  /** Whether it is a sum or a difference: the API server finds nothing equal to one of those. */
  readonly reckoned: boolean

  constructor(digits: bigint, scale: number, long: boolean, reckoned = false) {
    super()
    this.digits = digits
    this.scale = scale
    this.long = long
    this.reckoned = reckoned
  }

  toString(): string {
    return `${this.digits}e${this.scale}`
  }

  equals(other: Value): boolean {
    if (!(other instanceof Quantity) || other.reckoned) throw noOverload('_==_')
    return compareQuantities(this, other) === 0
  }

  /** `undefined` where it is none, or not written as one. */
  get integer(): bigint | undefined {
    if (this.long || this.scale < 0) return undefined
    const value = this.digits * 10n ** BigInt(this.scale)
    return fits(value) ? value : undefined
  }

  get approximately(): number {
    return Number(this.digits) * Number(`1e${this.scale}`)
  }
}

const fits = (value: bigint): boolean => BigInt.asIntN(64, value) === value

const digitsAt = ({ digits, scale }: Quantity, lower: number): bigint =>
  digits * 10n ** BigInt(scale - lower)

export function compareQuantities(one: Quantity, other: Quantity): -1 | 0 | 1 {
  const scale = Math.min(one.scale, other.scale)
  const [mine, theirs] = [digitsAt(one, scale), digitsAt(other, scale)]
  if (mine === theirs) return 0
  return mine < theirs ? -1 : 1
}

export function addQuantities(one: Quantity, other: Quantity): Quantity {
  const long = one.long || other.long
  if (!long && other.digits === 0n) return new Quantity(one.digits, one.scale, false, true)
  if (!long && one.digits === 0n) return new Quantity(other.digits, other.scale, false, true)
  const scale = Math.min(one.scale, other.scale)
  const [mine, theirs] = [digitsAt(one, scale), digitsAt(other, scale)]
  const sum = mine + theirs
  return new Quantity(sum, scale, long || ![mine, theirs, sum].every(fits), true)
}

const decimalSuffixes: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const binarySuffixes: Readonly<Record<string, number>> = {
  Ki: 10,
  Mi: 20,
  Gi: 30,
  Ti: 40,
  Pi: 50,
  Ei: 60,
}

/** Reads an amount: `1.5Gi`, `100m`, `1e3`. What is beyond nano is rounded up to it. */
export function parseQuantity(text: string): Quantity | undefined {
  const match = /^([+-]?)0*(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[+-]?\d*)$/.exec(text)
  if (match === null || text === '' || text.length > longestText) return undefined
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match
  const exponent = exponentOf(suffix)
  if (exponent === undefined) return undefined
  const negative = sign === '-'
  const written = BigInt(`${whole}${fraction}` || '0')
  const length = Math.max(1, whole.length) + fraction.length

  const binary = exponent.base === 2
  const roomy = binary
    ? fraction === '' && 15 - length - Math.trunc((exponent.power * 3) / 10) - 1 >= 0
    : length <= 18
  const scale = (binary ? 0 : exponent.power) - fraction.length
  const digits = binary ? written << BigInt(exponent.power) : written
  const signed = negative ? -digits : digits
  if (roomy && scale >= nano && fits(digits)) return new Quantity(signed, scale, false)

  let amount = atNano(digits, scale)
  const most = ((1n << 63n) - 1n) * 10n ** 9n
  if (binary && amount > most) amount = most
  return new Quantity(negative ? -amount : amount, nano, true)
}

/** Rounded up, so that something does not become nothing. */
function atNano(digits: bigint, scale: number): bigint {
  if (scale >= nano) return digits * 10n ** BigInt(scale - nano)
  const divisor = 10n ** BigInt(nano - scale)
  return digits / divisor + (digits % divisor === 0n ? 0n : 1n)
}

interface Exponent {
  readonly base: 2 | 10
  readonly power: number
}

function exponentOf(suffix: string): Exponent | undefined {
  const decimal = decimalSuffixes[suffix]
  if (decimal !== undefined) return { base: 10, power: decimal }
  const binary = binarySuffixes[suffix]
  if (binary !== undefined) return { base: 2, power: binary }
  if (!/^[eE][+-]?\d{1,9}$/.test(suffix)) return undefined
  const power = Number(suffix.slice(1))
  return Math.abs(power) > furthestExponent ? undefined : { base: 10, power }
}
