import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP, isIPv6 } from 'node:net'
import { bits, der, integer, octets, oid, sequence, set, text, time, truth } from './der.js'

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

export interface LeafOptions {
  /** DNS names and IP addresses. @default localhost, 127.0.0.1, ::1 */
  readonly names?: readonly string[]
  /** @default an hour ago */
  readonly notBefore?: Date
  /** @default in a day */
  readonly notAfter?: Date
  /** Makes it a client's certificate, with this subject and no names. */
  readonly client?: { readonly commonName: string; readonly organizations?: readonly string[] }
}

/** A certificate authority for one test: nothing but that test trusts it. */
export interface Authority {
  /** The authority's own certificate, PEM: what a client is told to trust. */
  readonly ca: string
  issue(options?: LeafOptions): Promise<KeyPair>
}

/**
 * Makes an authority with a fresh P-256 key. The encoding is ours because a test must be able to make
 * certificates that no well-behaved library would.
 */
export function createAuthority(name = 'test authority'): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = subject(name)
  const keyId = identifier(publicKey)
  const ca = certificate({
    issuer,
    subject: issuer,
    publicKey,
    signer: privateKey,
    notBefore: later(-1),
    notAfter: later(24 * 365),
    extensions: [
      extension('2.5.29.19', sequence(truth), true),
      extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true), // keyCertSign, cRLSign
      extension('2.5.29.14', octets(keyId)),
    ],
  })
  const issue = (options: LeafOptions = {}): KeyPair => {
    const { client, names = ['localhost', '127.0.0.1', '::1'] } = options
    const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const cert = certificate({
      issuer,
      subject: client
        ? subject(client.commonName, client.organizations)
        : subject(names[0] ?? 'nameless'),
      publicKey: leaf.publicKey,
      signer: privateKey,
      notBefore: options.notBefore ?? later(-1),
      notAfter: options.notAfter ?? later(24),
      extensions: [
        extension('2.5.29.19', sequence(), true),
        extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true), // digitalSignature
        extension(
          '2.5.29.37',
          sequence(oid(client ? '1.3.6.1.5.5.7.3.2' : '1.3.6.1.5.5.7.3.1')), // clientAuth, serverAuth
        ),
        extension('2.5.29.14', octets(identifier(leaf.publicKey))),
        extension('2.5.29.35', sequence(der(0x80, keyId))),
        ...(client || names.length === 0
          ? []
          : [extension('2.5.29.17', sequence(...names.map(alternative)))]),
      ],
    })
    return { cert, key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }
  return { ca, issue: options => Promise.resolve(issue(options)) }
}

interface Certificate {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: readonly Buffer[]
}

function certificate(of: Certificate): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x01
  const signed = sequence(
    der(0xa0, integer(Buffer.from([2]))), // version 3
    integer(serial),
    algorithm,
    of.issuer,
    sequence(time(of.notBefore), time(of.notAfter)),
    of.subject,
    of.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...of.extensions)),
  )
  const whole = sequence(signed, algorithm, bits(sign('sha256', signed, of.signer)))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

/** Organisations first, as Kubernetes' tools write them: they are the groups of a client certificate. */
const subject = (commonName: string, organizations: readonly string[] = []): Buffer =>
  sequence(
    ...organizations.map(name => set(sequence(oid('2.5.4.10'), text(name)))),
    set(sequence(oid('2.5.4.3'), text(commonName))),
  )

const extension = (id: string, value: Buffer, critical = false): Buffer =>
  sequence(oid(id), ...(critical ? [truth] : []), octets(value))

function alternative(name: string): Buffer {
  return isIP(name) === 0 ? der(0x82, Buffer.from(name, 'latin1')) : der(0x87, address(name))
}

function address(ip: string): Buffer {
  if (!isIPv6(ip)) return Buffer.from(ip.split('.').map(Number))
  const [left = '', right] = ip.split('::')
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const head = words(left)
  const tail = words(right ?? '')
  const middle = right === undefined ? 0 : 8 - head.length - tail.length
  const all = [...head, ...Array.from({ length: middle }, () => '0'), ...tail]
  return Buffer.from(all.map(word => word.padStart(4, '0')).join(''), 'hex')
}

const identifier = (key: KeyObject): Buffer =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()

const later = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)
