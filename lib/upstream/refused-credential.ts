import type { HeaderList } from '../exchange.js'
import type { Granted } from '../gateway.js'
import type { GatewayCredential } from './headers.js'

/**
 * Whose no an answer is: `ours`, the API server's to the gateway's own credential, which is not for the client, who
 * would be told that its own is wrong; `theirs`, of somebody behind the API server, or no such no at all; or
 * `unknown`, where only asking helps.
 *
 * With the fields of priority and fairness on it, the request was past the API server's own authentication. Without
 * them, behind `…/proxy/…` stands somebody's own program with a login of its own, behind `…/log` and `…/exec` a
 * kubelet, behind a group of `/apis` perhaps an API server of its own, and everywhere else nobody. The API server
 * itself would say no in one of its own formats.
 */
export function whoseRefusal(
  { grant, context }: Granted,
  status: number,
  fields: HeaderList,
): 'ours' | 'theirs' | 'unknown' {
  if (status !== 401 || grant.credential.whose !== 'gateway') return 'theirs'
  if (fields.some(([name]) => name.toLowerCase() === 'x-kubernetes-pf-flowschema-uid')) {
    return 'theirs'
  }
  const { longRunning } = context.info
  const type = fields.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
  if (longRunning === 'proxy' && !kubernetesFormats.test(type)) return 'theirs'
  const mayBeBehind =
    (longRunning !== undefined && longRunning !== 'watch') ||
    context.head.target.startsWith('/apis/')
  return mayBeBehind ? 'unknown' : 'ours'
}

const kubernetesFormats = /^application\/(json|yaml|cbor|vnd\.kubernetes\.)/i

export interface CredentialCheckOptions {
  /** Asks the API server as whom it takes the credential. Rejects when it does not say. */
  readonly ask: (
    credential: GatewayCredential | undefined,
    signal: AbortSignal,
  ) => Promise<{ readonly taken: boolean }>
  /** @default 5_000 ms */
  readonly timeoutMs?: number
  /** How long a yes is remembered. @default 10_000 ms */
  readonly rememberMs?: number
  /** How long anything else is, so that it is not asked for each refusal. @default 5_000 ms, as `renew` */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * Whether the API server takes a credential of the gateway, asked once at a time for all who want to know. What could
 * not be found out is a no: then a 401 stays ours, and the client gets 502.
 */
export type CredentialCheck = (credential: GatewayCredential | undefined) => Promise<boolean>

export function createCredentialCheck(options: CredentialCheckOptions): CredentialCheck {
  const { ask, timeoutMs = 5_000, rememberMs = 10_000, retryMs = 5_000 } = options
  const { now = () => performance.now() } = options
  const answers = new WeakMap<GatewayCredential, { answer: Promise<boolean>; until: number }>()

  return async credential => {
    if (credential === undefined) return false
    const known = answers.get(credential)
    if (known !== undefined && now() < known.until) return await known.answer
    const found = ask(credential, AbortSignal.timeout(timeoutMs)).then(
      ({ taken }) => taken,
      () => false,
    )
    const remembered = { answer: found, until: Infinity }
    answers.set(credential, remembered)
    const taken = await found
    remembered.until = now() + (taken ? rememberMs : retryMs)
    return taken
  }
}
