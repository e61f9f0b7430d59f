import { EvaluationFailure, noOverload } from './fault.js'
import { Opaque, type Value } from './values.js'

const nanosPerSecond = 1_000_000_000n
const firstSecond = -62_135_596_800n
const lastSecond = 253_402_300_799n

const floorSeconds = (nanos: bigint): bigint =>
  (nanos - (((nanos % nanosPerSecond) + nanosPerSecond) % nanosPerSecond)) / nanosPerSecond

/** A point in time between the years 1 and 9999, to the nanosecond. */
export class Timestamp extends Opaque {
  readonly typeName = 'google.protobuf.Timestamp'
  /** Since 1970. */
  readonly nanos: bigint
  /** Of the zone in which it was written, and is written again. */
  readonly offsetMinutes: number

  /** @throws EvaluationFailure out of range */
  constructor(nanos: bigint, offsetMinutes = 0) {
    super()
    const seconds = floorSeconds(nanos)
    if (seconds < firstSecond || seconds > lastSecond) {
      throw new EvaluationFailure('timestamp overflow')
    }
    this.nanos = nanos
    this.offsetMinutes = offsetMinutes
  }

  get seconds(): bigint {
    return floorSeconds(this.nanos)
  }

  equals(other: Value): boolean {
    return other instanceof Timestamp && other.nanos === this.nanos
  }

  override compareTo(other: Value, name: string): number {
    if (!(other instanceof Timestamp)) throw noOverload(name)
    return Number(this.nanos > other.nanos) - Number(this.nanos < other.nanos)
  }

  override isZero(): boolean {
    return this.nanos === firstSecond * nanosPerSecond
  }

  /** As RFC 3339 has it, with no more digits after the seconds than it takes. */
  toString(): string {
    const local = this.seconds + BigInt(this.offsetMinutes) * 60n
    const nanos = this.nanos - this.seconds * nanosPerSecond
    const fraction = nanos === 0n ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`
    const minutes = Math.abs(this.offsetMinutes)
    const zone =
      this.offsetMinutes === 0
        ? 'Z'
        : (this.offsetMinutes < 0 ? '-' : '+') +
          `${twoDigits(Math.trunc(minutes / 60))}:${twoDigits(minutes % 60)}`
    const text = new Date(Number(local) * 1000).toISOString().replace(/\.000Z$/, '')
    return text + fraction + zone
  }
}

const twoDigits = (value: number): string => String(value).padStart(2, '0')

const written =
  /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/

/**
 * Reads a time as Go's `time.RFC3339` does: an hour may have one digit, a comma may stand for the point.
 * `undefined` for anything else.
 */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = written.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map(Number)
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const dateHolds = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  const [zoneHour, zoneMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  if (!dateHolds || hour > 23 || minute > 59 || second > 59) return undefined
  if (zoneHour > 24 || zoneMinute > 60) return undefined
  const offset = (match[8] === '-' ? -1 : 1) * (zoneHour * 60 + zoneMinute)
  date.setUTCHours(hour, minute, second)
  const seconds = BigInt(date.getTime() / 1000) - BigInt(offset) * 60n
  const nanos = BigInt((match[7] ?? '').slice(0, 9).padEnd(9, '0'))
  return new Timestamp(seconds * nanosPerSecond + nanos, offset)
}

/** A span of time, to the nanosecond; up to some 292 years either way. */
export class Duration extends Opaque {
  readonly typeName = 'google.protobuf.Duration'
  readonly nanos: bigint

  /** @throws EvaluationFailure out of range */
  constructor(nanos: bigint) {
    super()
    if (BigInt.asIntN(64, nanos) !== nanos) throw new EvaluationFailure('integer overflow')
    this.nanos = nanos
  }

  equals(other: Value): boolean {
    return other instanceof Duration && other.nanos === this.nanos
  }

  override compareTo(other: Value, name: string): number {
    if (!(other instanceof Duration)) throw noOverload(name)
    return Number(this.nanos > other.nanos) - Number(this.nanos < other.nanos)
  }

  override isZero(): boolean {
    return this.nanos === 0n
  }

  /** In units of so many nanoseconds; as a double, and with its rounding, as in Go. */
  in(unit: bigint): number {
    return Number(this.nanos / unit) + Number(this.nanos % unit) / Number(unit)
  }

  /** In seconds, as in `90.5s`. */
  toString(): string {
    const seconds = this.in(nanosPerSecond)
    const text = String(seconds)
    return `${text.includes('e') ? seconds.toFixed(9).replace(/0+$/, '') : text}s`
  }
}

const unitNanos: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  '\u00b5s': 1_000n,
  '\u03bcs': 1_000n,
  ms: 1_000_000n,
  s: nanosPerSecond,
  m: 60n * nanosPerSecond,
  h: 3_600n * nanosPerSecond,
}

/** Reads a duration as Go does: `1h30m`, `1.5s`, `-2us`. `undefined` for anything else. */
export function parseDuration(text: string): Duration | undefined {
  const [, sign = '', amount = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  if (amount === '0') return new Duration(0n)
  const part = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y
  let nanos = 0n
  do {
    const match = part.exec(amount)
    if (match === null || `${match[1]}${match[2] ?? ''}` === '') return undefined
    const unit = unitNanos[match[3] ?? ''] ?? 1n
    nanos += BigInt(match[1] ?? 0) * unit + fractionOf(match[2] ?? '', unit)
    if (nanos > 1n << 63n) return undefined
  } while (part.lastIndex < amount.length)
  if (sign !== '-' && nanos === 1n << 63n) return undefined
  return new Duration(sign === '-' ? -nanos : nanos)
}

/** In doubles, as Go: digits beyond what 63 bits hold are left out. */
function fractionOf(digits: string, unit: bigint): bigint {
  let kept = digits.slice(0, 19)
  if (BigInt(kept === '' ? 0 : kept) >= 1n << 63n) kept = digits.slice(0, 18)
  return BigInt(Math.trunc(Number(kept) * (Number(unit) / 10 ** kept.length)))
}
