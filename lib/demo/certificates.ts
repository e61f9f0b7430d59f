import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

export interface Leaf {
  /** PEM: the leaf alone; its issuer is `Authority.ca`. */
  readonly cert: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface LeafOptions {
  /** @default the first of the names */
  readonly commonName?: string
  /** Becomes `O=`: a group, where the leaf is a Kubernetes client certificate. */
  readonly organizations?: readonly string[]
  /** @default an hour ago */
  readonly notBefore?: Date
  /** @default in a week */
  readonly notAfter?: Date
}

export interface Authority {
  /** PEM. */
  readonly ca: string
  /** A certificate for these DNS names and IP addresses, good for servers and for clients. */
  issue(names: readonly string[], options?: LeafOptions): Promise<Leaf>
}

const hourMs = 3_600_000
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * A certificate authority that lives as long as this process: its key is never written down, so what
 * trusts it trusts nobody afterwards. ECDSA P-256, valid for a week.
 */
export async function createAuthority(name = 'impersonation-gateway demo'): Promise<Authority> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await keyPair()
  // A name of its own for each authority, or a client that trusts two could take one for the other.
  const subject = `CN=${name} ${webcrypto.randomUUID().slice(0, 8)}`
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: ecdsa,
    ...validity({}),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })

  return {
    ca: pem(authority.toString('pem')),
    issue: async (names, options = {}) => {
      const leaf = await keyPair()
      const certificate = await x509.X509CertificateGenerator.create({
        subject: distinguished(options.commonName ?? names[0] ?? 'leaf', options.organizations),
        issuer: authority.subject,
        publicKey: leaf.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ecdsa,
        ...validity(options),
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
          ...(names.length === 0
            ? []
            : [
                new x509.SubjectAlternativeNameExtension(
                  names.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
                ),
              ]),
        ],
      })
      const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', leaf.privateKey)
      return {
        cert: pem(certificate.toString('pem')),
        key: pem(x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')),
      }
    },
  }
}

function keyPair(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])
}

function validity({ notBefore, notAfter }: LeafOptions): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return {
    notBefore: notBefore ?? new Date(now - hourMs),
    notAfter: notAfter ?? new Date(now + 7 * 24 * hourMs),
  }
}

function distinguished(commonName: string, organizations: readonly string[] = []): x509.JsonName {
  return [...organizations.map(value => ({ O: [value] })), { CN: [commonName] }]
}

/** Files of PEM end with a newline, so that they can be joined. */
function pem(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}
