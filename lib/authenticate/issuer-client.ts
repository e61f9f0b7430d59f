import { Agent, request } from 'undici'

/** Asks for a JSON document. Rejects with a plain reason for whatever keeps it from being had. */
export type GetJson = (url: string, signal: AbortSignal) => Promise<unknown>

/** Asks for a text, with a bearer token where one is given. Rejects as `GetJson` does. */
export type GetText = (
  url: string,
  bearer: string | undefined,
  signal: AbortSignal,
) => Promise<string>

export interface IssuerClientOptions {
  /** PEM. @default the system's roots */
  readonly ca?: string | Buffer | undefined
  /** For one document, from name look-up to the last byte. @default 10_000 ms */
  readonly timeoutMs?: number
  /** @default 1 MiB */
  readonly maxBytes?: number
}

/** The way to the issuer, and to where its tokens say that their claims are: https, no redirects, bounded in size and time. */
export interface IssuerClient {
  readonly getJson: GetJson
  readonly getText: GetText
  /** From now on the issuer is known by this authority; connections under the former one are dropped. */
  setCa(ca: string | Buffer | undefined): void
  close(): Promise<void>
}

export function createIssuerClient(options: IssuerClientOptions = {}): IssuerClient {
  const timeoutMs = options.timeoutMs ?? 10_000
  const maxBytes = options.maxBytes ?? 1024 * 1024
  const connect = (ca: string | Buffer | undefined): Agent =>
    new Agent({ connect: { ...(ca !== undefined && { ca }), timeout: timeoutMs } })
  let agent = connect(options.ca)
  let leaving: Promise<unknown> = Promise.resolve()

  const inTime = async (
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Buffer> => {
    if (new URL(url).protocol !== 'https:') throw new Error('the address is not https')
    const abort = new AbortController()
    const stop = (): void => abort.abort()
    const late = (): void => abort.abort(new Error(`no answer within ${timeoutMs} ms`))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const timer = setTimeout(late, timeoutMs)
    try {
      return await get(url, headers, agent, abort.signal, maxBytes)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
  }

  return {
    getJson: async (url, signal) =>
      parse(await inTime(url, { accept: 'application/json' }, signal)),
    getText: async (url, bearer, signal) => {
      const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
      return decode(await inTime(url, headers, signal))
    },
    setCa: ca => {
      leaving = Promise.all([leaving, agent.destroy()])
      agent = connect(ca)
    },
    close: async () => {
      await Promise.all([leaving, agent.destroy()])
    },
  }
}

// `undici.request` follows no redirect by itself: a 3xx is an answer like any other, and not a 200.
async function get(
  url: string,
  headers: Readonly<Record<string, string>>,
  dispatcher: Agent,
  signal: AbortSignal,
  maxBytes: number,
): Promise<Buffer> {
  const { statusCode, body } = await request(url, {
    dispatcher,
    signal,
    headers: { ...headers, 'user-agent': 'impersonation-gateway' },
  })
  const chunks: Buffer[] = []
  let size = 0
  try {
    if (statusCode !== 200) throw new Error(`answered with status ${statusCode}`)
    for await (const chunk of body) {
      // A body without encoding is read as bytes.
      const bytes = chunk as Buffer
      size += bytes.length
      if (size > maxBytes) throw new Error(`answered with more than ${maxBytes} bytes`)
      chunks.push(bytes)
    }
  } finally {
    // Not read to the end: the connection goes with it.
    body.on('error', () => {}).destroy()
  }
  return Buffer.concat(chunks)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Error('answered with something else than text in UTF-8')
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    // The parser's error would quote what a stranger wrote.
    throw new Error('answered with something else than JSON')
  }
}
