import { define, type Definition } from './function.js'
import { spend, type Frame } from './frame.js'
import { Duration, Timestamp } from './times.js'
import { zonedFields, type ZonedFields } from './time-zones.js'

const hour = 3_600_000_000_000n
const minute = 60_000_000_000n
const second = 1_000_000_000n
const millisecond = 1_000_000n

/** Months, days of a week and of a year count from 0; of `getDayOfMonth` and `getDate` only the second from 1. */
const getters: Readonly<Record<string, (fields: ZonedFields) => number>> = {
  getFullYear: fields => fields.year,
  getMonth: fields => fields.month,
  getDayOfYear: fields => fields.dayOfYear,
  getDayOfMonth: fields => fields.date - 1,
  getDate: fields => fields.date,
  getDayOfWeek: fields => fields.dayOfWeek,
  getHours: fields => fields.hours,
  getMinutes: fields => fields.minutes,
  getSeconds: fields => fields.seconds,
}

const millisecondOf = ({ nanos, seconds }: Timestamp): bigint =>
  (nanos - seconds * second) / millisecond

const whole = (unit: bigint) => (span: Duration) => BigInt(Math.trunc(span.in(unit)))

/** What can be done with times: sums, differences and parts; comparing is for the operators. */
export const timeFunctions: readonly Definition[] = [
  define('_+_', ['duration', 'duration'], 'duration', (one: Duration, other: Duration) => {
    return new Duration(one.nanos + other.nanos)
  }),
  define('_+_', ['duration', 'timestamp'], 'timestamp', (span: Duration, time: Timestamp) =>
    later(time, span.nanos),
  ),
  define('_+_', ['timestamp', 'duration'], 'timestamp', (time: Timestamp, span: Duration) =>
    later(time, span.nanos),
  ),
  define('_-_', ['duration', 'duration'], 'duration', (one: Duration, other: Duration) => {
    return new Duration(one.nanos - other.nanos)
  }),
  define('_-_', ['timestamp', 'duration'], 'timestamp', (time: Timestamp, span: Duration) =>
    later(time, new Duration(-span.nanos).nanos),
  ),
  define('_-_', ['timestamp', 'timestamp'], 'duration', (one: Timestamp, other: Timestamp) => {
    return new Duration(one.nanos - other.nanos)
  }),

  ...Object.entries(getters).flatMap(([name, get]) => [
    define(`.${name}`, ['timestamp'], 'int', (time: Timestamp) =>
      BigInt(get(zonedFields(time, 'UTC'))),
    ),
    define(
      `.${name}`,
      ['timestamp', 'string'],
      'int',
      (time: Timestamp, zone: string, frame: Frame) => BigInt(get(fieldsIn(zone, time, frame))),
    ),
  ]),
  define('.getMilliseconds', ['timestamp'], 'int', millisecondOf),
  define(
    '.getMilliseconds',
    ['timestamp', 'string'],
    'int',
    (time: Timestamp, zone: string, frame: Frame) => {
      fieldsIn(zone, time, frame)
      return millisecondOf(time)
    },
  ),
  define('.getHours', ['duration'], 'int', whole(hour)),
  define('.getMinutes', ['duration'], 'int', whole(minute)),
  define('.getSeconds', ['duration'], 'int', whole(second)),
  define('.getMilliseconds', ['duration'], 'int', ({ nanos }: Duration) => nanos / millisecond),
]

/** To look a zone up takes as long as dozens of other steps. */
function fieldsIn(zone: string, time: Timestamp, frame: Frame): ZonedFields {
  spend(frame, 50)
  return zonedFields(time, zone)
}

function later(time: Timestamp, nanos: bigint): Timestamp {
  return new Timestamp(time.nanos + nanos, time.offsetMinutes)
}
