import { isIP } from 'node:net'
import { isLoopback, overlap, parseNetwork } from './addresses.js'
import { checkServingPair, type ReadFile } from './files.js'
import type { Values } from './values.js'

export interface ListenSettings {
  readonly address: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | 'self-signed' | 'off'
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** In CIDR notation. */
  readonly trustedProxies: readonly string[]
}

export interface AdminSettings {
  readonly address: string
  readonly port: number
}

/** Where clients and administrators connect, and what must hold for plain HTTP. */
export function resolveListening(
  values: Values,
  readFile: ReadFile,
): { readonly listen: ListenSettings; readonly admin: AdminSettings } {
  const listen = socketOf(values, 'bind-address', 'secure-port')
  const admin = socketOf(values, 'admin-bind-address', 'admin-port')
  if (
    listen.address !== undefined &&
    admin.address !== undefined &&
    listen.port === admin.port &&
    listen.port !== 0 &&
    overlap(listen.address, admin.address)
  ) {
    values.fault('admin-port', 'is the port of --secure-port as well', String(admin.port))
  }

  const trustedProxies: string[] = []
  for (const network of values.list('trusted-proxies')) {
    try {
      trustedProxies.push(parseNetwork(network))
    } catch (error) {
      const says = error instanceof Error ? error.message : 'cannot be read'
      values.fault('trusted-proxies', says, network)
    }
  }
  return {
    listen: {
      address: listen.address ?? '',
      port: listen.port ?? 0,
      tls: resolveTls(values, listen.address, readFile),
      minVersion: values.choice('tls-min-version') === 'VersionTLS13' ? 'TLSv1.3' : 'TLSv1.2',
      trustedProxies,
    },
    admin: { address: admin.address ?? '', port: admin.port ?? 0 },
  }
}

function socketOf(
  values: Values,
  addressFlag: 'bind-address' | 'admin-bind-address',
  portFlag: 'secure-port' | 'admin-port',
): { readonly address: string | undefined; readonly port: number | undefined } {
  const written = values.text(addressFlag) ?? ''
  const address = isIP(written) === 0 ? undefined : written
  if (address === undefined) values.fault(addressFlag, 'must be an IP address', written)
  return { address, port: values.number(portFlag, 0, 65_535) }
}

function resolveTls(
  values: Values,
  address: string | undefined,
  readFile: ReadFile,
): ListenSettings['tls'] {
  const certFile = values.text('tls-cert-file')
  const keyFile = values.text('tls-private-key-file')
  checkServingPair(values, readFile)
  if (certFile !== undefined && keyFile === undefined) {
    values.fault('tls-cert-file', 'needs --tls-private-key-file beside it', certFile)
  }
  if (keyFile !== undefined && certFile === undefined) {
    values.fault('tls-private-key-file', 'needs --tls-cert-file beside it', keyFile)
  }
  if (!values.switched('insecure-plain-http')) {
    return certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : 'self-signed'
  }
  if (certFile !== undefined || keyFile !== undefined) {
    values.fault(
      'insecure-plain-http',
      'contradicts --tls-cert-file and --tls-private-key-file; give one or the other',
    )
  }
  if (address !== undefined && !isLoopback(address)) {
    if (values.switched('unsafe-use-service-account-token')) {
      values.fault(
        'insecure-plain-http',
        "beyond loopback is refused while the gateway's own credential is in use: serve TLS, or bind to 127.0.0.1",
      )
    } else if (values.list('trusted-proxies').length === 0) {
      values.fault(
        'insecure-plain-http',
        'beyond loopback needs --trusted-proxies: name the proxies that end TLS, or bind to 127.0.0.1',
      )
    }
  }
  return 'off'
}
