import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const mapped = new BlockList()
mapped.addSubnet('::ffff:0:0', 96, 'ipv6')

/** Whether only this machine can connect to a socket that is bound to `address`. */
export function isLoopback(address: string): boolean {
  return loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** Whether one socket bound to each cannot have the same port. */
export function overlap(one: string, other: string): boolean {
  return reaches(one, other) || reaches(other, one)
}

function reaches(wide: string, narrow: string): boolean {
  return wide === narrow || wide === '::' || (wide === '0.0.0.0' && isIP(narrow) === 4)
}

/**
 * A network in CIDR notation; a bare address is a network of one.
 * @throws {SyntaxError} when it is none; the message says what to write
 */
export function parseNetwork(text: string): string {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const family = isIP(address)
  if (family === 0 || address.includes('%')) throw new SyntaxError(notOne)
  const bits = family === 4 ? 32 : 128
  const prefix = slash < 0 ? String(bits) : text.slice(slash + 1)
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) throw new SyntaxError(notOne)
  // A peer's IPv4 address is never written as IPv6, so such a network would match nobody.
  if (family === 6 && mapped.check(address, 'ipv6')) {
    throw new SyntaxError('must be written as an IPv4 network')
  }
  return `${address}/${prefix}`
}

const notOne = 'must be a network such as 10.0.0.0/8 or 2001:db8::/32, or an IP address'
