import { webcrypto, X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import { createSecureContext } from 'node:tls'
import { isIP } from 'node:net'
import { facts } from '../channels.js'
import { watchFile } from '../watched-file.js'

/** A serving certificate and its key, PEM. */
export interface ServingPair {
  readonly cert: string
  readonly key: string
}

/** The pair to serve with now, and a call when another one should be. */
export interface ServingCertificate {
  readonly pair: ServingPair
  close(): void
}

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Called with each further good pair. */
  readonly changed: (pair: ServingPair) => void
  /** @default 10_000 ms */
  readonly intervalMs?: number
}

/**
 * Serves what the two files hold, and what they hold later. They cannot be replaced at one instant: a
 * certificate and a key that do not belong together keep the last good pair in force.
 * @throws when they do not belong together now
 */
export function watchServingCertificate(files: CertificateFiles): ServingCertificate {
  const changed = (): void => consider()
  const interval = files.intervalMs === undefined ? {} : { intervalMs: files.intervalMs }
  const cert = watchFile(files.certFile, { parse: text, changed, ...interval })
  const key = watchFile(files.keyFile, { parse: text, changed, ...interval })
  let pair: ServingPair = { cert: cert.value, key: key.value }
  createSecureContext(pair)

  const consider = (): void => {
    const next = { cert: cert.value, key: key.value }
    try {
      createSecureContext(next)
    } catch (error) {
      facts.notice.publish({
        level: 'warn',
        msg: 'serving certificate and key do not match, the last good pair stays in force',
        fields: { error: error instanceof Error ? error.message : String(error) },
      })
      return
    }
    pair = next
    files.changed(pair)
    const { fingerprint256, validTo } = new X509Certificate(pair.cert)
    facts.notice.publish({
      level: 'info',
      msg: 'serving certificate reloaded',
      fields: { sha256: fingerprint256, validTo },
    })
  }

  return {
    get pair() {
      return pair
    },
    close() {
      cert.close()
      key.close()
    },
  }
}

const text = (content: Buffer): string => content.toString('utf8')

/**
 * A certificate nobody vouches for, good for a year and this process: so that a first try needs no
 * preparation. Its SHA-256 goes to the log as a warning, to be compared by whoever has to trust it.
 */
export async function selfSignedPair(address: string): Promise<ServingPair> {
  // Only here: most gateways are given a certificate.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(globalThis.crypto)
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const names = new Set(['localhost', '127.0.0.1', '::1', hostname(), address])
  names.delete('0.0.0.0')
  names.delete('::')
  const day = 24 * 60 * 60 * 1_000
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex'),
    name: 'CN=impersonation-gateway',
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + 365 * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        [...names].map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
    ],
  })
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const pair = {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${Buffer.from(key).toString('base64')}\n-----END PRIVATE KEY-----\n`,
  }
  facts.notice.publish({
    level: 'warn',
    msg: 'serving with a self-signed certificate: give --tls-cert-file and --tls-private-key-file',
    fields: { sha256: new X509Certificate(pair.cert).fingerprint256 },
  })
  return pair
}
