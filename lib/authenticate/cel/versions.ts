import { EvaluationFailure, noOverload } from './fault.js'
import { define, ordered, type Definition } from './function.js'
import { Opaque, type Value } from './values.js'

/** A version as semver.org has it; what follows a `+` counts for nothing. */
class Version extends Opaque {
  readonly typeName = 'kubernetes.Semver'
  readonly text: string
  readonly numbers: readonly [major: bigint, minor: bigint, patch: bigint]
  readonly prerelease: ReadonlyArray<string | bigint>

  constructor(text: string, numbers: Version['numbers'], prerelease: Version['prerelease']) {
    super()
    this.text = text
    this.numbers = numbers
    this.prerelease = prerelease
  }

  equals(other: Value): boolean {
    if (!(other instanceof Version)) throw noOverload('_==_')
    return compareVersions(this, other) === 0
  }

  toString(): string {
    return this.text
  }
}

const type = 'kubernetes.Semver'

/** Kubernetes' library for versions, with its second argument that puts a version right. */
export const versionFunctions: readonly Definition[] = [
  define('semver', ['string'], type, versionOf),
  define('semver', ['string', 'bool'], type, (text: string, normalized: boolean) =>
    versionOf(normalized ? normalize(text) : text),
  ),
  define('isSemver', ['string'], 'bool', (text: string) => parseVersion(text) !== undefined),
  define('isSemver', ['string', 'bool'], 'bool', (text: string, normalized: boolean) => {
    return parseVersion(normalized ? normalize(text) : text) !== undefined
  }),
  define('.major', [type], 'int', ({ numbers: [major] }: Version) => BigInt.asIntN(64, major)),
  define('.minor', [type], 'int', ({ numbers: [, minor] }: Version) => BigInt.asIntN(64, minor)),
  define('.patch', [type], 'int', ({ numbers: [, , patch] }: Version) => BigInt.asIntN(64, patch)),
  ...ordered(type, compareVersions),
]

function versionOf(text: string): Version {
  const version = parseVersion(text)
  if (version === undefined) throw new EvaluationFailure('invalid semantic version')
  return version
}

const written =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/

const within64 = (value: string | bigint): boolean =>
  typeof value === 'string' || BigInt.asUintN(64, value) === value

function parseVersion(text: string): Version | undefined {
  const match = written.exec(text)
  if (match === null) return undefined
  const [major, minor, patch] = [match[1] ?? '', match[2] ?? '', match[3] ?? ''].map(BigInt)
  if (major === undefined || minor === undefined || patch === undefined) return undefined
  const parts = match[4] === undefined ? [] : match[4].split('.')
  if (parts.some(part => /^0\d+$/.test(part))) return undefined
  const prerelease = parts.map(part => (/^\d+$/.test(part) ? BigInt(part) : part))
  if (![major, minor, patch, ...prerelease].every(within64)) return undefined
  return new Version(text, [major, minor, patch], prerelease)
}

/** Takes a `v` and zeros off the front and adds the numbers that are missing; gives no version where it cannot. */
function normalize(text: string): string {
  const [major = '', minor, ...patch] = text.replace(/^v/, '').split('.')
  const parts = [major, minor, patch.length === 0 ? undefined : patch.join('.')]
    .filter(part => part !== undefined)
    .map(part => (part.length > 1 ? part.replace(/^0+/, '').replace(/^(?!\d)/, '0') : part))
  if (parts.length < 3 && /[+-]/.test(parts.at(-1) ?? '')) return ''
  return [...parts, '0', '0'].slice(0, 3).join('.')
}

function compareVersions(one: Version, other: Version): -1 | 0 | 1 {
  for (const [index, number] of one.numbers.entries()) {
    const order = compareParts(number, other.numbers[index] ?? 0n)
    if (order !== 0) return order
  }
  const [mine, theirs] = [one.prerelease, other.prerelease]
  // What comes before a version is less than that version.
  if (mine.length === 0 || theirs.length === 0) {
    return compareParts(BigInt(theirs.length), BigInt(mine.length))
  }
  for (const [index, part] of mine.entries()) {
    const counterpart = theirs[index]
    const order = counterpart === undefined ? 1 : compareParts(part, counterpart)
    if (order !== 0) return order
  }
  return mine.length === theirs.length ? 0 : -1
}

/** Numbers come before words. */
function compareParts(one: string | bigint, other: string | bigint): -1 | 0 | 1 {
  if (typeof one !== typeof other) return typeof one === 'bigint' ? -1 : 1
  if (one === other) return 0
  return one < other ? -1 : 1
}
