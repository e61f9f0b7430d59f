import { noOverload } from './fault.js'
import { Opaque, type Value } from './values.js'

/** An address of IPv4 or IPv6, without a zone. */
export class IpAddress extends Opaque {
  readonly typeName = 'net.IP'
  readonly family: 4 | 6
  readonly bits: bigint

  constructor(family: 4 | 6, bits: bigint) {
    super()
    this.family = family
    this.bits = bits
  }

  equals(other: Value): boolean {
    if (!(other instanceof IpAddress)) throw noOverload('_==_')
    return this.family === other.family && this.bits === other.bits
  }

  /** In its canonical form (RFC 5952). */
  toString(): string {
    return this.family === 4 ? showDotted(this.bits) : showGroups(this.bits)
  }

  /** Whether it and another address begin with the same bits. */
  shares(length: number, { family, bits }: IpAddress): boolean {
    const rest = BigInt(widths[this.family] - length)
    return this.family === family && this.bits >> rest === bits >> rest
  }
}

/** A network: an address in it, and how many bits of it all addresses there begin with. */
export class Cidr extends Opaque {
  readonly typeName = 'net.CIDR'
  readonly address: IpAddress
  readonly length: number

  constructor(address: IpAddress, length: number) {
    super()
    this.address = address
    this.length = length
  }

  equals(other: Value): boolean {
    if (!(other instanceof Cidr)) throw noOverload('_==_')
    return this.length === other.length && this.address.equals(other.address)
  }

  /** The same network by its first address. */
  get masked(): Cidr {
    const { family, bits } = this.address
    const rest = BigInt(widths[family] - this.length)
    return new Cidr(new IpAddress(family, (bits >> rest) << rest), this.length)
  }

  toString(): string {
    return `${this.address.toString()}/${this.length}`
  }
}

const widths = { 4: 32, 6: 128 } as const

/** Zones, leading zeros and IPv4 addresses written as IPv6 are refused: `undefined`. */
export function parseAddress(text: string): IpAddress | undefined {
  if (!text.includes(':')) {
    const bits = parseDotted(text)
    return bits === undefined ? undefined : new IpAddress(4, bits)
  }
  const bits = parseGroups(text)
  return bits === undefined || bits >> 32n === 0xffffn ? undefined : new IpAddress(6, bits)
}

export function parseCidr(text: string): Cidr | undefined {
  const slash = text.lastIndexOf('/')
  const length = text.slice(slash + 1)
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash))
  if (address === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined
  return Number(length) > widths[address.family] ? undefined : new Cidr(address, Number(length))
}

const isByte = (part: string): boolean => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256

function parseDotted(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(isByte)) return undefined
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)
}

function parseGroups(text: string): bigint | undefined {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return undefined
  const left = groupsOf(head, tail === undefined)
  const right = tail === undefined ? [] : groupsOf(tail, true)
  if (left === undefined || right === undefined) return undefined
  const missing = 8 - left.length - right.length
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  return [...left, ...Array<bigint>(missing).fill(0n), ...right].reduce(
    (bits, group) => (bits << 16n) | group,
    0n,
  )
}

/** The last two groups of an address may be written as an IPv4 address is. */
function groupsOf(text: string, last: boolean): readonly bigint[] | undefined {
  if (text === '') return []
  const groups: bigint[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const dotted = last && index === parts.length - 1 ? parseDotted(part) : undefined
    if (dotted !== undefined) groups.push(dotted >> 16n, dotted & 0xffffn)
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`))
    else return undefined
  }
  return groups
}

const showDotted = (bits: bigint): string =>
  [24n, 16n, 8n, 0n].map(shift => (bits >> shift) & 0xffn).join('.')

/** The longest run of two or more zero groups is left out, the first of several. */
function showGroups(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bits >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  )
  let from = 0
  let length = 1
  for (let start = 0; start < 8; start += 1) {
    let end = start
    while (groups[end] === '0') end += 1
    if (end - start > length) [from, length] = [start, end - start]
  }
  if (length < 2) return groups.join(':')
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + length).join(':')}`
}

/** Whether a text may stand between brackets in a URL: there a zone may follow. */
export function isBracketed(text: string): boolean {
  const [address = '', ...zone] = text.split('%')
  return (zone.length === 0 || zone.join('%') !== '') && parseGroups(address) !== undefined
}
