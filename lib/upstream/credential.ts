import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { KubeConfig, type Cluster as KubeCluster, type User } from '@kubernetes/client-node'
import { parse } from 'yaml'

/** With what the gateway itself comes to the API server. */
export interface Proof {
  /** Value of an `Authorization` header. */
  readonly authorization?: string
  /** Client certificate and key, PEM. */
  readonly cert?: string
  readonly key?: string
}

/** One place where the gateway's own credential comes from. */
export interface CredentialSource {
  /** Equal for two sources that would give the same. */
  readonly described: string
  /** Whether `load` runs a program. */
  readonly runsPlugin?: true
  /**
   * The credential as it stands there now; `undefined` when there is none.
   * @param force also where the source says that the last one is still good
   */
  load(force: boolean): Promise<Proof | undefined>
}

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** The token that the kubelet projects into a pod, and replaces as it nears its end. */
export const serviceAccount = (path = serviceAccountToken): CredentialSource => tokenFile(path)

export interface KubeconfigUser {
  /** The kubeconfig itself, and where it lies: relative paths start there. */
  readonly text: string
  readonly path: string
  /** Name of the entry in `users`; `undefined` when the context names none. */
  readonly user: string | undefined
  readonly cluster: KubeCluster
}

/**
 * The credential of a kubeconfig user: `tokenFile`, `token`, `exec`, or a client certificate.
 * @param last is kept when it describes the same: an exec plugin's answer is good for as long as it says
 */
export function credentialOf(from: KubeconfigUser, last?: CredentialSource): CredentialSource {
  const source = read(from)
  return last?.described === source.described ? last : source
}

function read({ text, path, user: name, cluster }: KubeconfigUser): CredentialSource {
  const config = new KubeConfig()
  config.loadFromString(text)
  config.makePathsAbsolute(dirname(path))
  if (name === undefined || name === '') {
    throw new Error('the context of the kubeconfig names no user')
  }
  const user = config.getUser(name)
  // Of an entry without `user` the library makes one of nulls.
  if (!user || Object.values(user).includes(null)) {
    throw new Error(`the kubeconfig has no user "${name}"`)
  }
  if (user.impersonateUser !== undefined) {
    throw new Error(`user "${name}" impersonates by itself ("as"): give it a credential of its own`)
  }
  if (user.username !== undefined || user.authProvider !== undefined) {
    throw new Error(
      `user "${name}" has basic auth or an auth-provider: use a token, exec or a client certificate`,
    )
  }
  const file = tokenFileOf(text, name)
  // client-go's order: the file wins over the token beside it.
  if (file !== undefined) return tokenFile(resolve(dirname(path), file))
  if (user.token !== undefined && user.token !== '') return fixed(user.token)
  if (user.exec !== undefined) return execPlugin(user, cluster, dirname(path))
  return clientCertificate(user)
}

/** The library does not know this field. */
function tokenFileOf(text: string, name: string): string | undefined {
  const config: unknown = parse(text)
  const users = isRecord(config) && Array.isArray(config['users']) ? config['users'] : []
  const entry: unknown = users.find((each: unknown) => isRecord(each) && each['name'] === name)
  const user = isRecord(entry) ? entry['user'] : undefined
  const file = isRecord(user) ? user['tokenFile'] : undefined
  return typeof file === 'string' && file !== '' ? file : undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const bearer = (token: string, where: string): Proof => {
  const trimmed = token.trim()
  if (!/^[\x21-\x7e]+$/.test(trimmed)) throw new Error(`${where} holds no bearer token`)
  return { authorization: `Bearer ${trimmed}` }
}

function fixed(token: string): CredentialSource {
  const proof = bearer(token, 'the kubeconfig user')
  return { described: `token ${token}`, load: () => Promise.resolve(proof) }
}

function tokenFile(path: string): CredentialSource {
  return {
    described: `file ${path}`,
    load: async () => bearer(await readFile(path, 'utf8'), `the token file ${path}`),
  }
}

function clientCertificate(user: User): CredentialSource {
  const { certData, certFile, keyData, keyFile } = user
  return {
    described: `certificate ${JSON.stringify([certData, certFile, keyData, keyFile])}`,
    async load() {
      const [cert, key] = await Promise.all([pem(certData, certFile), pem(keyData, keyFile)])
      return cert === undefined || key === undefined ? undefined : { cert, key }
    },
  }
}

async function pem(
  data: string | undefined,
  file: string | undefined,
): Promise<string | undefined> {
  const text =
    data !== undefined
      ? Buffer.from(data, 'base64').toString('utf8')
      : file === undefined
        ? ''
        : await readFile(file, 'utf8')
  // TLS takes an empty key for none, and comes without the certificate.
  return text.trim() === '' ? undefined : text
}

interface ExecCredential {
  readonly status?: {
    readonly token?: string
    readonly clientCertificateData?: string
    readonly clientKeyData?: string
    readonly expirationTimestamp?: string
  }
}

/** Plugins are run a little before their answer ends, never on a request's path. */
const renewAheadMs = 60_000

function execPlugin(user: User, cluster: KubeCluster, folder: string): CredentialSource {
  let proof: Proof | undefined
  let expiresAt = Infinity
  return {
    described: `exec ${JSON.stringify(user.exec)}`,
    runsPlugin: true,
    async load(force) {
      if (proof && !force && Date.now() < expiresAt - renewAheadMs) return proof
      const { status } = await runPlugin(user, cluster, folder)
      const { token, clientCertificateData: cert = '', clientKeyData: key = '' } = status ?? {}
      const next: Proof = {
        ...(token !== undefined && bearer(token, 'the answer of the exec plugin')),
        ...(cert !== '' && key !== '' && { cert, key }),
      }
      // Kept only when it is one: an empty answer must not pass for a credential at the next look.
      if (Object.keys(next).length === 0) throw new Error('the exec plugin gave no credential')
      proof = next
      const expiry = Date.parse(status?.expirationTimestamp ?? '')
      expiresAt = Number.isNaN(expiry) ? Infinity : expiry
      return proof
    },
  }
}

/**
 * Runs an exec credential plugin (`client.authentication.k8s.io`). By hand: the library's own way hides
 * when the answer ends, so that the next one could not be had ahead of time.
 */
async function runPlugin(
  { exec }: User,
  cluster: KubeCluster,
  folder: string,
): Promise<ExecCredential> {
  const info = {
    apiVersion: exec.apiVersion,
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      cluster: {
        server: cluster.server,
        ...(cluster.caData !== undefined && { 'certificate-authority-data': cluster.caData }),
        ...(cluster.tlsServerName !== undefined && { 'tls-server-name': cluster.tlsServerName }),
        ...(cluster.skipTLSVerify && { 'insecure-skip-tls-verify': true }),
      },
    },
  }
  const named: string = exec.command
  // A bare name is looked for on PATH; a relative path starts at the kubeconfig, as client-go has it.
  const command = basename(named) === named ? named : resolve(folder, named)
  const added: ReadonlyArray<{ name: string; value: string }> = exec.env ?? []
  const env = {
    ...process.env,
    ...Object.fromEntries(added.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify(info),
  }
  try {
    const { stdout } = await run(command, exec.args ?? [], { env, timeout: pluginTimeoutMs })
    return JSON.parse(stdout)
  } catch (error) {
    // The output of a plugin may hold its credential: neither it nor what JSON.parse quotes is passed on.
    const code = error instanceof SyntaxError ? 'its answer is not JSON' : exitOf(error)
    // oxlint-disable-next-line preserve-caught-error
    throw new Error(`the exec plugin "${named}" failed: ${code}`)
  }
}

const run = promisify(execFile)
const pluginTimeoutMs = 30_000

const exitOf = (error: unknown): string =>
  isRecord(error) ? `exit status or signal ${String(error['code'] ?? error['signal'])}` : 'unknown'
