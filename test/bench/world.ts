import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublicKey } from 'node:crypto'
import { createAuthority } from '../actors/certificates.js'
import { createSigner, signed } from '../authenticate/tokens.js'

/** What every contender shares: one authority, one issuer, one key, and a folder for their files. */
export interface World {
  readonly folder: string
  readonly issuerUrl: string
  readonly audience: string
  /** Paths of PEM files; `servingBundle` is certificate and key in one. */
  readonly files: {
    readonly ca: string
    readonly cert: string
    readonly key: string
    readonly servingBundle: string
    readonly issuerPublicKey: string
  }
  /** Writes a file into the folder; returns its path. */
  write(name: string, content: string): Promise<string>
  /** A valid token, unlike every other. */
  newToken(): string
  close(): Promise<void>
}

/** Claims as an issuer of the trade writes them: about 750 bytes of token, two groups. */
const claimsOf = (issuer: string, audience: string, serial: number): object => ({
  iss: issuer,
  aud: audience,
  sub: 'a2c5e0d4-8a4c-4b0e-9c86-0f7f3f1f2c11',
  email: 'alice@example.com',
  email_verified: true,
  name: 'Alice Example',
  groups: ['developers', 'oncall'],
  iat: Math.floor(Date.now() / 1000),
  exp: Math.floor(Date.now() / 1000) + 3600,
  jti: `bench-${serial}`,
})

/** Makes certificates and an RSA-2048 signing key, and serves discovery and keys on a loopback port. */
export async function createWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'impersonation-gateway-bench-'))
  const write = async (name: string, content: string): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, content, { mode: 0o600 })
    return path
  }
  const authority = createAuthority('bench')
  const pair = await authority.issue()
  const signer = createSigner('RS256', 'bench')
  const publicKey = createPublicKey(signer.privateKey).export({ type: 'spki', format: 'pem' })
  const files = {
    ca: await write('ca.pem', authority.ca),
    cert: await write('cert.pem', pair.cert),
    key: await write('key.pem', pair.key),
    servingBundle: await write('serving.pem', pair.cert + pair.key),
    issuerPublicKey: await write('issuer-public.pem', publicKey.toString()),
  }

  let issuerUrl = ''
  const issuer = createServer(pair, (request, response) => {
    response.setHeader('Content-Type', 'application/json')
    const discovery = { issuer: issuerUrl, jwks_uri: `${issuerUrl}/keys` }
    const asked = request.url === '/keys' ? { keys: [signer.jwk] } : discovery
    response.end(JSON.stringify(asked))
  })
  await new Promise<void>(resolve => issuer.listen(0, '127.0.0.1', resolve))
  issuerUrl = `https://localhost:${(issuer.address() as AddressInfo).port}`

  const audience = 'kubernetes'
  let serial = 0
  return {
    folder,
    issuerUrl,
    audience,
    files,
    write,
    newToken: () => signed(signer, claimsOf(issuerUrl, audience, (serial += 1))),
    close: async () => {
      issuer.closeAllConnections()
      await new Promise(resolve => issuer.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
