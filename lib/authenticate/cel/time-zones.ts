import { EvaluationFailure } from './fault.js'
import type { Timestamp } from './times.js'

/** A point in time as a calendar and a clock show it. Months and days of the week and year count from 0. */
export interface ZonedFields {
  readonly year: number
  readonly month: number
  readonly date: number
  readonly dayOfWeek: number
  readonly dayOfYear: number
  readonly hours: number
  readonly minutes: number
  readonly seconds: number
}

/**
 * @param zone a name of the IANA database, or an offset in hours and minutes (`+02:00`)
 * @throws EvaluationFailure when it is neither
 */
export function zonedFields({ seconds }: Timestamp, zone: string): ZonedFields {
  const local = new Date((Number(seconds) + offsetSeconds(Number(seconds), zone)) * 1000)
  const year = local.getUTCFullYear()
  const newYear = new Date(0).setUTCFullYear(year, 0, 1)
  return {
    year,
    month: local.getUTCMonth(),
    date: local.getUTCDate(),
    dayOfWeek: local.getUTCDay(),
    dayOfYear: Math.floor((local.getTime() - newYear) / 86_400_000),
    hours: local.getUTCHours(),
    minutes: local.getUTCMinutes(),
    seconds: local.getUTCSeconds(),
  }
}

function offsetSeconds(seconds: number, zone: string): number {
  if (zone === '' || zone === 'UTC') return 0
  const colon = zone.indexOf(':')
  if (colon >= 0) {
    const hours = wholeNumber(zone.slice(0, colon))
    const minutes = wholeNumber(zone.slice(colon + 1))
    return (hours * 60 + (zone.startsWith('-') ? -minutes : minutes)) * 60
  }
  const shown = clockOf(zone).formatToParts(seconds * 1000)
  const name = shown.find(part => part.type === 'timeZoneName')?.value ?? ''
  const [, sign, hours = 0, minutes = 0, rest = 0] =
    /([+-])(\d+):(\d+)(?::(\d+))?$/.exec(name) ?? []
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(rest)
  return sign === '-' ? -offset : offset
}

function wholeNumber(text: string): number {
  if (!/^[+-]?\d{1,9}$/.test(text)) {
    throw new EvaluationFailure('an offset of a time zone is hours, a colon and minutes')
  }
  return Number(text)
}

/** As many as there are zones; names that a token makes up are in none. */
const clocks = new Map<string, Intl.DateTimeFormat>()

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone)
  if (known !== undefined) return known
  const failure = new EvaluationFailure('unknown time zone')
  if (!/^[A-Z][\w+-]*(?:\/[A-Z][\w+-]*)*$/.test(zone)) throw failure
  try {
    const clock = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
    if (clocks.size < 1_000) clocks.set(zone, clock)
    return clock
  } catch (error) {
    if (error instanceof RangeError) throw failure
    throw error
  }
}
