import { errors, type Dispatcher } from 'undici'
import { facts } from '../channels.js'
import type { Client, HeaderList, Outcome } from '../exchange.js'
import type { Granted, Stages } from '../gateway.js'
import { Refusal } from '../refusal.js'
import { flawOfAnswer } from './answer-head.js'
import { answerHeaders } from './answer.js'
import { boundaryOf, type Boundary } from './boundary.js'
import type { Whose } from './cluster.js'
import { createDeadlines, type Deadlines } from './deadlines.js'
import type { GrantedDispatcher } from './granted-dispatcher.js'
import { assertGranted, upstreamHeaders, type GatewayCredential } from './headers.js'
import { whoseRefusal } from './refused-credential.js'
import { endsByReset } from './reset.js'
import { onceSent, type SentOn } from './sent-on.js'
import { pathBelow } from './target-path.js'
import { whoseConnection } from './whose-connection.js'

/** What forwarding needs to know of the cluster; `cluster.ts` has it. */
export interface Upstream {
  readonly basePath: string
  readonly credential: GatewayCredential | undefined
  dispatcher(use: 'request' | 'stream' | 'fresh', whose: Whose): GrantedDispatcher
  renew(refused: GatewayCredential | undefined): Promise<boolean>
  takes(credential: GatewayCredential | undefined): Promise<boolean>
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
  const deadlines = createDeadlines(headTimeoutMs)
  return async (granted, client) => {
    // A body that is malformed from its first bytes is noticed before anything is sent.
    if (client.body) await nextTurn()
    const until = performance.now() + headTimeoutMs
    const send = (own: GatewayCredential | undefined, fresh = false): Promise<Attempted> =>
      attempt(upstream, own, granted, client, { deadlines, until, fresh })
    /** What became of it in the end, given what became of it at first. */
    const settled = async (
      first: Attempted,
      own: GatewayCredential | undefined,
    ): Promise<Outcome | 'credential_refused'> => {
      if (first !== 'connection_dead') return first
      // Nobody has seen the request; and on a connection of its own it cannot meet another dead one.
      const again = await send(own, true)
      if (again === 'connection_dead') throw new Refusal('upstream_unreachable')
      return again
    }
    // Held on to: by the time it is refused, another request may have brought a new one.
    const { credential } = upstream
    const attempted = await send(credential)
    if (typeof attempted === 'object') return attempted
    const first = await settled(attempted, credential)
    if (first !== 'credential_refused') return first
    // Ours was refused, not the caller's. A body is gone by now: only a request without one can be sent again.
    await upstream.renew(credential)
    if (!client.body) {
      const renewed = upstream.credential
      const second = await settled(await send(renewed), renewed)
      if (second !== 'credential_refused') return second
    }
    throw new Refusal('upstream_credential')
  }
}

const nextTurn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

interface Attempt {
  readonly deadlines: Deadlines
  /** When an ordinary request must have the head of its answer; of `performance.now()`. */
  readonly until: number
  /** On a connection of its own. */
  readonly fresh: boolean
}

function attempt(
  upstream: Upstream,
  credential: GatewayCredential | undefined,
  granted: Granted,
  client: Client,
  { deadlines, until, fresh }: Attempt,
): Promise<Attempted> {
  const { context, grant } = granted
  const headers = assertGranted(upstreamHeaders(context, grant, credential), grant, credential)
  const { method, target } = context.head
  const { longRunning } = context.info
  // The only things that say where this goes are the pool's origin and a path behind its own.
  const path = pathBelow(upstream.basePath, target)
  return new Promise((resolve, reject) => {
    client.invite()
    const isTaken = (): Promise<boolean> => upstream.takes(credential)
    const exchange = new Relay(granted, client, isTaken, resolve, reject)
    if (longRunning === undefined) exchange.answerBy(until, deadlines)
    const use = longRunning === undefined ? 'request' : 'stream'
    upstream.dispatcher(fresh ? 'fresh' : use, whoseConnection(grant)).dispatch(
      {
        path,
        method: method,
        headers,
        body: client.body ?? null,
        // Never replayed by the pool: whether to try again is decided above.
        idempotent: false,
        ...(fresh && { reset: true }),
      },
      exchange,
    )
  })
}

/** `connection_dead`: what was sent reached nobody, and may be sent again. */
type Attempted = Outcome | 'credential_refused' | 'connection_dead'

/** Methods that may be repeated, whatever became of the first try (RFC 9110, 9.2.1). */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * One request under way: the answer of the API server, flowing to the client. By the older of undici's two
 * interfaces, which hands over the header list as it came; the newer one joins it into an object besides.
 */
class Relay implements Dispatcher.DispatchHandler {
  readonly #granted: Granted
  readonly #client: Client
  /** Whether the API server takes the gateway's credential that the request came with. */
  readonly #isTaken: () => Promise<boolean>
  readonly #resolve: (attempted: Attempted) => void
  readonly #reject: (refusal: Refusal) => void
  #inTime: (() => void) | undefined
  #abort: ((error: Error) => void) | undefined
  #sentOn: SentOn | undefined
  #state: 'waiting' | 'judging' | 'flowing' | 'settled' = 'waiting'
  #status = 0
  #bytes = 0
  #ending = false
  #paused = false
  /** Where it may be ended early; of most answers there is no such place. */
  #boundary: Boundary | undefined

  constructor(
    granted: Granted,
    client: Client,
    isTaken: () => Promise<boolean>,
    resolve: (attempted: Attempted) => void,
    reject: (refusal: Refusal) => void,
  ) {
    this.#granted = granted
    this.#client = client
    this.#isTaken = isTaken
    this.#resolve = resolve
    this.#reject = reject
    client.onGone(() => this.#clientGone())
    client.onAskedToEnd(because => this.#askedToEnd(because))
  }

  answerBy(until: number, deadlines: Deadlines): void {
    this.#inTime = deadlines.enter(until, () => this.#fail(new Refusal('upstream_timeout')))
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#state === 'settled') abort(new Error('the exchange is over'))
    else if (this.#isRepeatable) onceSent(on => (this.#sentOn = on))
  }

  /** @returns whether to go on reading */
  onHeaders(
    status: number,
    rawHeaders: readonly Buffer[],
    resume: () => void,
    reason: string,
  ): boolean {
    // Interim answers (RFC 9110, 15.2) are between the API server and us.
    if (status < 200 || this.#state !== 'waiting') return true
    this.#inTime?.()
    const fields = rawFields(rawHeaders)
    const wrong = flawOfAnswer({ status, reason, fields })
    if (wrong !== undefined) {
      this.#fail(new Refusal('upstream_malformed', wrong))
      return true
    }
    const whose = whoseRefusal(this.#granted, status, fields)
    if (whose === 'theirs') this.#answered(status, fields, resume)
    else if (whose === 'ours') this.#credentialRefused()
    else {
      // The answer waits for it: a request with a body could not be sent again to have it a second time.
      this.#state = 'judging'
      void this.#isTaken().then(taken => {
        if (this.#state !== 'judging') return
        if (!taken) this.#credentialRefused()
        else {
          this.#answered(status, fields, resume)
          resume()
        }
      })
      return false
    }
    return true
  }

  #credentialRefused(): void {
    this.#state = 'settled'
    this.#abort?.(new Error('the credential of the gateway was refused'))
    this.#resolve('credential_refused')
  }

  #answered(status: number, fields: HeaderList, resume: () => void): void {
    const { context, stripped } = this.#granted
    try {
      this.#client.start(status, answerHeaders(fields, context.id, { status, stripped }))
    } catch (error) {
      this.#fail(new Refusal('upstream_malformed', undefined, { cause: error }))
      return
    }
    this.#state = 'flowing'
    this.#status = status
    this.#client.onWritable(() => {
      // The connection may carry somebody else's answer by now, which is not ours to resume.
      if (!this.#paused) return
      this.#paused = false
      resume()
    })
    const kind = context.info.longRunning
    if (kind !== undefined) {
      // Refusals, and what is measured or compressed, have an end of their own.
      if (status === 200 && !measures.some(name => valueOf(fields, name) !== undefined)) {
        this.#boundary = boundaryOf(context.info, valueOf(fields, 'content-type'))
      }
      facts.stream.publish({ kind, change: 1 })
      this.#client.flush()
    }
  }

  /** @returns whether to go on reading */
  onData(chunk: Buffer): boolean {
    if (this.#state !== 'flowing') return true
    if (this.#ending) {
      const rest = this.#boundary?.finish(chunk)
      const canTakeMore = this.#write(rest === undefined ? chunk : chunk.subarray(0, rest))
      if (rest !== undefined) this.#endCleanly()
      return canTakeMore
    }
    this.#boundary?.pass(chunk)
    return this.#write(chunk)
  }

  onComplete(): void {
    if (this.#state !== 'flowing') return
    const reset = endsByReset()
    if (typeof reset === 'boolean') this.#ended(reset)
    else void reset.then(it => this.#ended(it))
  }

  #ended(byReset: boolean): void {
    if (this.#state !== 'flowing') return
    if (byReset) {
      this.#client.abort()
      this.#settle('upstream_broke')
      return
    }
    this.#client.end()
    this.#settle('complete')
  }

  onError(error: Error): void {
    if (this.#state === 'waiting') {
      if (this.#sentOn?.wasDead === true) {
        this.#state = 'settled'
        this.#inTime?.()
        this.#resolve('connection_dead')
      } else this.#fail(refusalFor(error))
    } else if (this.#state === 'judging') this.#fail(refusalFor(error))
    else if (this.#state === 'flowing') {
      this.#client.abort()
      this.#settle('upstream_broke')
    }
  }

  get #isUnanswered(): boolean {
    return this.#state === 'waiting' || this.#state === 'judging'
  }

  get #isRepeatable(): boolean {
    return this.#client.body === undefined && safeMethods.has(this.#granted.context.head.method)
  }

  #clientGone(): void {
    if (this.#isUnanswered) this.#fail(new Refusal('client_gone'))
    if (this.#state !== 'flowing') return
    this.#settle('client_gone')
    this.#abort?.(new Error('the client left'))
  }

  #write(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    this.#paused = !this.#client.write(chunk)
    return !this.#paused
  }

  /** A stream ends between two lines or events, so that what the client has is whole; what cannot, goes on. */
  #askedToEnd(because: Refusal): void {
    if (this.#granted.context.info.longRunning === undefined || this.#state === 'settled') return
    if (this.#isUnanswered) this.#fail(because)
    else if (this.#boundary?.here === true) this.#endCleanly()
    else this.#ending = this.#boundary !== undefined
  }

  #endCleanly(): void {
    this.#client.end()
    this.#settle('complete')
    this.#abort?.(new Error('the gateway ended the stream'))
  }

  #fail(refusal: Refusal): void {
    if (this.#state === 'settled') return
    this.#state = 'settled'
    this.#inTime?.()
    this.#reject(refusal)
    this.#abort?.(refusal)
  }

  #settle(ended: Outcome['ended']): void {
    this.#state = 'settled'
    const kind = this.#granted.context.info.longRunning
    if (kind !== undefined) facts.stream.publish({ kind, change: -1 })
    const over = (how: Outcome['ended']): void =>
      this.#resolve({ status: this.#status, bytes: this.#bytes, ended: how })
    if (ended !== 'complete') over(ended)
    // What was handed over has yet to leave; the client may still go before it did.
    else void this.#client.finished.then(left => over(left ? 'complete' : 'client_gone'))
  }
}

/** Names and values as they came. */
function rawFields(rawHeaders: readonly Buffer[]): HeaderList {
  const fields: Array<readonly [string, string]> = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    fields.push([latin1(rawHeaders[at]!), latin1(rawHeaders[at + 1]!)])
  }
  return fields
}

const latin1 = (bytes: Buffer): string => bytes.toString('latin1')

const measures = ['content-length', 'content-encoding'] as const

/** Of the first of that name, which is in lower case. */
const valueOf = (fields: HeaderList, wanted: string): string | undefined =>
  fields.find(([name]) => name.length === wanted.length && name.toLowerCase() === wanted)?.[1]

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
