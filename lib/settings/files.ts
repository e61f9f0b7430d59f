import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { reasonOf } from './fault.js'
import type { Values } from './values.js'

/** @default reads the file system */
export type ReadFile = (path: string) => Buffer

export const readFromDisk: ReadFile = path => readFileSync(path)

type FileFlag = Parameters<Values['text']>[0]

/** The content of the file that a flag names, when it names one and it can be read. */
export function contentOf(values: Values, name: FileFlag, readFile: ReadFile): Buffer | undefined {
  const path = values.text(name)
  if (path === undefined) return undefined
  try {
    return readFile(path)
  } catch (error) {
    values.fault(name, `cannot be read: ${reasonOf(error)}`, path)
    return undefined
  }
}

const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Adds a fault unless the file holds certificates, each of them readable. */
export function checkAuthorities(values: Values, name: FileFlag, readFile: ReadFile): void {
  const content = contentOf(values, name, readFile)
  if (content === undefined) return
  const certificates = content.toString('latin1').match(pem) ?? []
  if (certificates.length === 0) {
    values.fault(name, 'must hold at least one certificate in PEM', values.text(name))
  }
  for (const [index, certificate] of certificates.entries()) {
    try {
      void new X509Certificate(certificate)
    } catch (error) {
      const which = `certificate ${index + 1} of ${certificates.length}`
      values.fault(name, `${which} cannot be read: ${reasonOf(error)}`, values.text(name))
    }
  }
}

/** Adds a fault unless certificate and key can be read and belong together. */
export function checkServingPair(values: Values, readFile: ReadFile): void {
  const certificate = contentOf(values, 'tls-cert-file', readFile)
  const key = contentOf(values, 'tls-private-key-file', readFile)
  const leaf =
    certificate &&
    attempt(values, 'tls-cert-file', 'must hold a certificate in PEM', () => {
      // The parser would take DER as well, which the listener does not.
      const [first] = certificate.toString('latin1').match(pem) ?? []
      if (first === undefined) throw new SyntaxError('there is none')
      return new X509Certificate(first)
    })
  const privateKey =
    key &&
    attempt(values, 'tls-private-key-file', 'must hold a private key in PEM', () =>
      createPrivateKey(key),
    )
  if (leaf && privateKey && !leaf.checkPrivateKey(privateKey)) {
    values.fault(
      'tls-private-key-file',
      'is not the key of the certificate in --tls-cert-file',
      values.text('tls-private-key-file'),
    )
  }
}

function attempt<T>(values: Values, name: FileFlag, says: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    values.fault(name, `${says}: ${reasonOf(error)}`, values.text(name))
    return undefined
  }
}
