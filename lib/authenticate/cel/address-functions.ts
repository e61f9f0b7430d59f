import { parseAddress, parseCidr, type Cidr, type IpAddress } from './addresses.js'
import { EvaluationFailure } from './fault.js'
import { define, type Definition } from './function.js'

const network = (text: string): Cidr => {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new EvaluationFailure('invalid network address')
  return cidr
}
const unspecified = [network('0.0.0.0/32'), network('::/128')]
const broadcast = [network('255.255.255.255/32')]
const loopback = [network('127.0.0.0/8'), network('::1/128')]
const multicast = [network('224.0.0.0/4'), network('ff00::/8')]
const linkLocalMulticast = [network('224.0.0.0/24')]
const linkLocalUnicast = [network('169.254.0.0/16'), network('fe80::/10')]

const within = (networks: readonly Cidr[], address: IpAddress): boolean =>
  networks.some(cidr => cidr.address.shares(cidr.length, address))

/** Of whatever scope flags: the second byte of a multicast address says how far it goes. */
const isLinkLocalMulticast = (address: IpAddress): boolean =>
  within(linkLocalMulticast, address) ||
  (address.family === 6 && ((address.bits >> 112n) & 0xff0fn) === 0xff02n)

const isGlobalUnicast = (address: IpAddress): boolean =>
  ![unspecified, broadcast, loopback, multicast, linkLocalUnicast].some(networks =>
    within(networks, address),
  )

/** Kubernetes' libraries for addresses and networks. */
export const addressFunctions: readonly Definition[] = [
  define('ip', ['string'], 'net.IP', address),
  define('isIP', ['string'], 'bool', (text: string) => parseAddress(text) !== undefined),
  define('ip.isCanonical', ['string'], 'bool', (text: string) => address(text).toString() === text),
  define('string', ['net.IP'], 'string', String),
  define('.family', ['net.IP'], 'int', ({ family }: IpAddress) => BigInt(family)),
  define('.isUnspecified', ['net.IP'], 'bool', (it: IpAddress) => within(unspecified, it)),
  define('.isLoopback', ['net.IP'], 'bool', (it: IpAddress) => within(loopback, it)),
  define('.isLinkLocalMulticast', ['net.IP'], 'bool', isLinkLocalMulticast),
  define('.isLinkLocalUnicast', ['net.IP'], 'bool', (it: IpAddress) =>
    within(linkLocalUnicast, it),
  ),
  define('.isGlobalUnicast', ['net.IP'], 'bool', isGlobalUnicast),

  define('cidr', ['string'], 'net.CIDR', network),
  define('isCIDR', ['string'], 'bool', (text: string) => parseCidr(text) !== undefined),
  define('string', ['net.CIDR'], 'string', String),
  define('.containsIP', ['net.CIDR', 'string'], 'bool', (cidr: Cidr, text: string) =>
    containsAddress(cidr, address(text)),
  ),
  define('.containsIP', ['net.CIDR', 'net.IP'], 'bool', containsAddress),
  define('.containsCIDR', ['net.CIDR', 'string'], 'bool', (cidr: Cidr, text: string) =>
    containsNetwork(cidr, network(text)),
  ),
  define('.containsCIDR', ['net.CIDR', 'net.CIDR'], 'bool', containsNetwork),
  define('.ip', ['net.CIDR'], 'net.IP', (cidr: Cidr) => cidr.address),
  define('.prefixLength', ['net.CIDR'], 'int', ({ length }: Cidr) => BigInt(length)),
  define('.masked', ['net.CIDR'], 'net.CIDR', (cidr: Cidr) => cidr.masked),
]

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new EvaluationFailure('invalid IP address')
  return parsed
}

function containsAddress(cidr: Cidr, it: IpAddress): boolean {
  return cidr.address.shares(cidr.length, it)
}

function containsNetwork(cidr: Cidr, other: Cidr): boolean {
  return cidr.length <= other.length && containsAddress(cidr, other.address)
}
