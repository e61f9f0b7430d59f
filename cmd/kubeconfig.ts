import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { clientKubeconfig } from '../lib/login/kubeconfig.js'
import { fault, reasonOf } from '../lib/settings/fault.js'
import { givenFlags, loadElsewhere } from '../lib/settings/load.js'
import { takeFlags } from '../lib/settings/own-flags.js'
import { printing, type Printed } from './printed.js'

const help = `Usage: impersonation-gateway kubeconfig --server=<url> [flags] <flags of serve>

Prints a kubeconfig for users of a gateway with these flags of serve (or --config), of which the issuer
counts alone. It holds no secret: kubectl gets the token from kubelogin, installed as kubectl oidc-login.

  --server <url>                  where users reach the gateway; required
  --certificate-authority <file>  authority in PEM of the gateway's certificate, which goes into the output;
                                  without it the system's
  --oidc-extra-scope <scope>      to ask for beside openid, such as email or groups; may be repeated
  --name <name>                   of cluster, user and context (default gateway)
  --help                          says this

The file of --oidc-ca-file must be readable here, since it goes into the output as well.
`

const ownFlags = {
  server: {},
  'certificate-authority': {},
  'oidc-extra-scope': { repeated: true },
  name: {},
} as const

/** `kubeconfig`: prints one for users of this gateway. Resolves with the exit status. */
export const run = printing(help, printed)

function printed(args: readonly string[]): Printed {
  const { values, rest, faults } = takeFlags(args, ownFlags)
  const loaded = loadElsewhere(rest)
  const wrong = [...faults]
  const [server] = values.server
  if (server === undefined) wrong.push('--server: is required: where users reach the gateway')
  else if (!isServer(server)) {
    wrong.push(
      fault('--server', server, 'must be an https URL such as https://gateway.example.com:8443'),
    )
  }
  const serverCa = authorities('--certificate-authority', values['certificate-authority'][0], wrong)
  const issuerCaFile = givenFlags(rest).get('oidc-ca-file')?.values[0]
  const issuerCa = authorities('--oidc-ca-file', issuerCaFile, wrong)
  if ('faults' in loaded) return { faults: [...wrong, ...loaded.faults] }
  if (wrong.length > 0 || server === undefined) return { faults: wrong }
  const { issuer } = loaded.settings
  if (issuer === undefined) {
    return { faults: ['--oidc-issuer-url: is required: an issuer that users sign in at'] }
  }
  return {
    output: clientKubeconfig({
      server,
      serverCa,
      name: values.name[0] ?? 'gateway',
      issuerUrl: issuer.url,
      clientId: issuer.audience,
      issuerCa,
      scopes: values['oidc-extra-scope'],
    }),
  }
}

function isServer(text: string): boolean {
  if (!URL.canParse(text) || /[\s\\?#]/.test(text)) return false
  const { protocol, username, password } = new URL(text)
  return protocol === 'https:' && username === '' && password === ''
}

/** The certificates of a file, and nothing else that may be in it. */
function authorities(flag: string, path: string | undefined, faults: string[]): string | undefined {
  if (path === undefined || path === '') return undefined
  try {
    const pem = readFileSync(path, 'utf8')
    const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
    for (const certificate of found) void new X509Certificate(certificate)
    if (found.length > 0) return `${found.join('\n')}\n`
    faults.push(fault(flag, path, 'must hold at least one certificate in PEM'))
  } catch (error) {
    faults.push(fault(flag, path, `cannot be read: ${reasonOf(error)}`))
  }
  return undefined
}
