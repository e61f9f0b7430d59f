import { BlockList, isIP, isIPv4 } from 'node:net'
import type { HeaderList } from '../exchange.js'

/**
 * Whose request this is, by address: the connection's other end, or, when that is a trusted proxy, the
 * rightmost address of `X-Forwarded-For` that no trusted proxy owns. What a client wrote further left
 * is a claim that nobody checked.
 */
export type PeerAddress = (remote: string | undefined, headers: HeaderList) => string

/** @param trustedProxies CIDRs, such as `10.0.0.0/8` or `::1/128` */
export function createPeerAddress(trustedProxies: readonly string[]): PeerAddress {
  const trusted = new BlockList()
  for (const cidr of trustedProxies) {
    const [address = '', bits = ''] = cidr.split('/')
    trusted.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  const isTrusted = (address: string): boolean =>
    trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')

  // Of a connection it is always the same, and most clients have few.
  const peers = new Map<string, string>()
  const peerOf = (remote: string): string => {
    let peer = peers.get(remote)
    if (peer === undefined) {
      peer = plain(remote)
      if (peers.size === rememberedPeers) peers.clear()
      peers.set(remote, peer)
    }
    return peer
  }

  return (remote, headers) => {
    const peer = peerOf(remote ?? '')
    if (trustedProxies.length === 0 || peer === unknown || !isTrusted(peer)) return peer
    let nearest = peer
    for (const hop of hops(headers).toReversed()) {
      const address = plain(hop)
      if (address === unknown) break
      nearest = address
      if (!isTrusted(address)) break
    }
    return nearest
  }
}

const rememberedPeers = 1_000

const unknown = 'unknown'

const hops = (headers: HeaderList): string[] =>
  headers
    .filter(([name]) => name.length === 15 && name.toLowerCase() === 'x-forwarded-for')
    .flatMap(([, value]) => value.split(','))

/** Without brackets, port, zone, or the IPv6 clothes of an IPv4 address. */
function plain(text: string): string {
  let address = text.trim()
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(address)
  if (bracketed) address = bracketed[1] ?? ''
  else if (/^[\d.]+:\d+$/.test(address)) address = address.slice(0, address.indexOf(':'))
  address = address.replace(/%.*$/, '')
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)
  if (mapped) address = mapped[1] ?? ''
  return isIP(address) === 0 ? unknown : address
}
