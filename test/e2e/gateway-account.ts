import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { KeyPair } from '../actors/certificates.js'
import { tempDir, writeKubeconfig, type Teardown } from '../actors/files.js'
import { runProgram } from '../actors/gateway.js'
import { apiClient } from './api-client.js'
import { until } from './until.js'

/** The cluster in which an account is made, and as whom. */
export interface Where {
  readonly url: string
  readonly ca: string
  readonly admin: KeyPair
  readonly kubectl: string
}

/** How a gateway's account impersonates: the verb `impersonate`, or KEP-5284, which Kubernetes has since 1.36. */
export type Impersonation = 'legacy' | 'constrained'

/** What the program prints for these flags, of `serve` and its own. @throws unless it is content */
export async function printedRights(flags: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(['rbac', ...flags], { from: 'dist' })
  if (code !== 0) throw new Error(`rbac: status ${String(code)}\n${stderr}`)
  return stdout
}

/** Applies what `rbac` prints for these flags, as it stands; resolves with the account's token once it is in force. */
export async function gatewayAccount(
  t: Teardown,
  where: Where,
  name: string,
  flags: readonly string[],
): Promise<string> {
  const own = ['--namespace=default', `--service-account=${name}`]
  await applied(t, where, await printedRights([...own, ...flags]))
  return await tokenOf(where, name)
}

/** What `kubectl apply` says of this, as the cluster's administrator. @throws when it fails */
export async function applied(t: Teardown, where: Where, yaml: string): Promise<string> {
  const { url, ca, admin, kubectl } = where
  const folder = tempDir(t)
  const kubeconfig = writeKubeconfig(folder, { server: url, ca, clientCert: admin })
  const child = spawn(kubectl, [`--kubeconfig=${kubeconfig}`, 'apply', '-f', '-'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder },
  })
  let said = ''
  child.stdout.on('data', (piece: Buffer) => (said += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (said += piece.toString()))
  child.stdin.end(yaml)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`kubectl apply: status ${String(code)}\n${said}\n${yaml}`)
  return said
}

/** A token of this account in `default`, once its role is in force: the API server reads rules from a cache. */
export async function tokenOf({ url, ca, admin }: Where, name: string): Promise<string> {
  const client = apiClient({ url, ca }, admin)
  try {
    const path = `/api/v1/namespaces/default/serviceaccounts/${name}/token`
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
    const answer = await client.must('POST', path, { body })
    const { token } = (answer.json() as { readonly status: { readonly token: string } }).status
    const itself = apiClient({ url, ca }, { token })
    try {
      await until(`the role of ${name} is in force`, async () => {
        const review = await itself.must(
          'POST',
          '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
          { body: { spec: { namespace: 'default' } } },
        )
        return review.body.includes('"impersonate')
      })
    } finally {
      itself.close()
    }
    return token
  } finally {
    client.close()
  }
}

/** The account that gateways share, by a name that no page of ours gives to another. */
export const accountOfAll = 'gateway-of-all'

/** A name for the account that this role is for. */
export const accountName = (printed: string): string =>
  `impersonation-gateway-${createHash('sha256').update(printed).digest('hex').slice(0, 8)}`
