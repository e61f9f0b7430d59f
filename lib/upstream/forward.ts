import { errors, type Dispatcher } from 'undici'
import { facts } from '../channels.js'
import type { Client, HeaderList, Outcome } from '../exchange.js'
import type { Granted, Stages } from '../gateway.js'
import { Refusal } from '../refusal.js'
import { answerHeaders } from './answer.js'
import { assertGranted, upstreamHeaders, type GatewayCredential } from './headers.js'
import { isReset } from './reset.js'

/** What forwarding needs to know of the cluster; `cluster.ts` has it. */
export interface Upstream {
  readonly basePath: string
  readonly credential: GatewayCredential | undefined
  dispatcher(use: 'request' | 'stream'): Dispatcher
  renew(refused: GatewayCredential | undefined): Promise<boolean>
}

export interface ForwardOptions {
  /**
   * How long an ordinary request may wait for the head of its answer. Above the 60 s after which
   * kube-apiserver itself gives up.
   * @default 65_000 ms
   */
  readonly headTimeoutMs?: number
}

/**
 * Carries a granted request to the API server and its answer back: both bodies streamed, neither
 * waiting for more than the slower side. Rejects only while nothing was sent to the client.
 */
export function createForward(upstream: Upstream, options: ForwardOptions = {}): Stages['carry'] {
  const headTimeoutMs = options.headTimeoutMs ?? 65_000
  return async (granted, client) => {
    // A body that is malformed from its first bytes is noticed before anything is sent.
    if (client.body) await nextTurn()
    // Held on to: by the time it is refused, another request may have brought a new one.
    const { credential } = upstream
    const first = await attempt(upstream, credential, granted, client, headTimeoutMs)
    if (first !== 'credential_refused') return first
    // Ours was refused, not the caller's. A body is gone by now: only a request without one can be sent again.
    const renewed = await upstream.renew(credential)
    if (renewed && !client.body) {
      const second = await attempt(upstream, upstream.credential, granted, client, headTimeoutMs)
      if (second !== 'credential_refused') return second
    }
    throw new Refusal('upstream_credential')
  }
}

const nextTurn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

function attempt(
  upstream: Upstream,
  credential: GatewayCredential | undefined,
  granted: Granted,
  client: Client,
  headTimeoutMs: number,
): Promise<Outcome | 'credential_refused'> {
  const { context, grant } = granted
  const list = upstreamHeaders(context, grant, credential)
  assertGranted(list, grant)
  const { method, target } = context.head
  const { longRunning } = context.info
  return new Promise((resolve, reject) => {
    client.invite()
    const exchange = new Relay(granted, client, headTimeoutMs, resolve, reject)
    upstream.dispatcher(longRunning === undefined ? 'request' : 'stream').dispatch(
      {
        // The only things that say where this goes are the pool's origin and a path behind it.
        path: upstream.basePath + target,
        method: method,
        headers: list,
        body: client.body ?? null,
        // Never replayed by the pool: whether to try again is decided above.
        idempotent: false,
      },
      exchange,
    )
  })
}

type Settle = (outcome: Outcome | 'credential_refused') => void

/** One request under way: the answer of the API server, flowing to the client. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #granted: Granted
  readonly #client: Client
  readonly #resolve: Settle
  readonly #reject: (refusal: Refusal) => void
  readonly #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #state: 'waiting' | 'flowing' | 'settled' = 'waiting'
  #status = 0
  #bytes = 0
  #ending = false
  #atBoundary = true

  constructor(
    granted: Granted,
    client: Client,
    headTimeoutMs: number,
    resolve: Settle,
    reject: (refusal: Refusal) => void,
  ) {
    this.#granted = granted
    this.#client = client
    this.#resolve = resolve
    this.#reject = reject
    if (granted.context.info.longRunning === undefined) {
      this.#timer = setTimeout(() => this.#fail(new Refusal('upstream_timeout')), headTimeoutMs)
    }
    client.onGone(() => this.#clientGone())
    client.onAskedToEnd(() => this.#askedToEnd())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#state === 'settled') controller.abort(new Error('the exchange is over'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
  ): void {
    // Interim answers (RFC 9110, 15.2) are between the API server and us.
    if (status < 200 || this.#state !== 'waiting') return
    clearTimeout(this.#timer)
    const fields = rawFields(controller)
    if (status === 401 && this.#ownCredentialRefused(fields)) {
      this.#state = 'settled'
      controller.abort(new Error('the credential of the gateway was refused'))
      this.#resolve('credential_refused')
      return
    }
    const { context, stripped } = this.#granted
    try {
      this.#client.start(status, answerHeaders(fields, context.id, { stripped }))
    } catch (error) {
      this.#fail(new Refusal('upstream_malformed', undefined, { cause: error }))
      return
    }
    this.#state = 'flowing'
    this.#status = status
    this.#client.onWritable(() => controller.resume())
    const kind = context.info.longRunning
    if (kind === undefined) process.nextTick(() => this.#client.flush())
    else {
      facts.stream.publish({ kind, change: 1 })
      this.#client.flush()
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state !== 'flowing') return
    this.#bytes += chunk.length
    this.#atBoundary = chunk.at(-1) === newline
    if (!this.#client.write(chunk)) controller.pause()
    if (this.#ending && this.#atBoundary) this.#endCleanly()
  }

  onResponseEnd(): void {
    if (this.#state !== 'flowing') return
    if (isReset()) {
      this.#client.abort()
      this.#settle('upstream_broke')
      return
    }
    this.#client.end()
    this.#settle('complete')
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#state === 'waiting') this.#fail(refusalFor(error))
    else if (this.#state === 'flowing') {
      this.#client.abort()
      this.#settle('upstream_broke')
    }
  }

  #ownCredentialRefused(fields: HeaderList): boolean {
    if (this.#granted.grant.credential.whose !== 'gateway') return false
    const { longRunning } = this.#granted.context.info
    if (longRunning !== 'proxy') return true
    // Behind `…/proxy/…` stands somebody's own program with a login of its own; the API server itself
    // would say no in one of its own formats.
    const type = fields.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
    return /^application\/(json|yaml|cbor|vnd\.kubernetes\.)/i.test(type)
  }

  #clientGone(): void {
    if (this.#state === 'waiting') this.#fail(new Refusal('client_gone'))
    if (this.#state !== 'flowing') return
    this.#settle('client_gone')
    this.#controller?.abort(new Error('the client left'))
  }

  /** A stream ends between two lines, so that what the client has is whole. */
  #askedToEnd(): void {
    if (this.#granted.context.info.longRunning === undefined || this.#state === 'settled') return
    if (this.#state === 'waiting') this.#fail(new Refusal('draining'))
    else if (this.#atBoundary) this.#endCleanly()
    else this.#ending = true
  }

  #endCleanly(): void {
    this.#client.end()
    this.#settle('complete')
    this.#controller?.abort(new Error('the gateway is shutting down'))
  }

  #fail(refusal: Refusal): void {
    if (this.#state === 'settled') return
    this.#state = 'settled'
    clearTimeout(this.#timer)
    this.#reject(refusal)
    this.#controller?.abort(refusal)
  }

  #settle(ended: Outcome['ended']): void {
    this.#state = 'settled'
    const kind = this.#granted.context.info.longRunning
    if (kind !== undefined) facts.stream.publish({ kind, change: -1 })
    const outcome = { status: this.#status, bytes: this.#bytes }
    if (ended !== 'complete') this.#resolve({ ...outcome, ended })
    // What was handed over has yet to leave; the client may still go before it did.
    else {
      void this.#client.finished.then(left =>
        this.#resolve({ ...outcome, ended: left ? 'complete' : 'client_gone' }),
      )
    }
  }
}

const newline = 0x0a

/** Names and values as they came; undici's parsed form would join repeats. */
function rawFields({ rawHeaders }: Dispatcher.DispatchController): HeaderList {
  if (!Array.isArray(rawHeaders)) throw new TypeError('undici gave no raw header list')
  const fields: Array<readonly [string, string]> = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    fields.push([latin1(rawHeaders[at]!), latin1(rawHeaders[at + 1]!)])
  }
  return fields
}

const latin1 = (value: Buffer | string): string =>
  typeof value === 'string' ? value : value.toString('latin1')

/** An answer that cannot be read is the API server's fault; no answer is its absence. */
function refusalFor(error: Error): Refusal {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const malformed =
    error instanceof errors.HTTPParserError ||
    malformedAnswers.has(code) ||
    /^bad (upgrade|response)$/.test(error.message)
  return new Refusal(malformed ? 'upstream_malformed' : 'upstream_unreachable', undefined, {
    cause: error,
  })
}

const malformedAnswers: ReadonlySet<string> = new Set([
  // undici's parser asserts that a 101 comes with `Upgrade`.
  'ERR_ASSERTION',
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
])
