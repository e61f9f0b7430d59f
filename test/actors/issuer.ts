import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Socket } from 'node:net'
import { createAuthority, type Authority } from './certificates.js'
import { createSigningKey, signature, type Algorithm, type SigningKey } from './signing-key.js'

/** How an endpoint answers, besides well. */
export type Behaviour =
  | 'ok'
  /** `null` where the content should be: `{"keys":null}`, or `null` for the discovery document. */
  | 'null'
  /** No keys; an empty object for the discovery document. */
  | 'empty'
  | 'garbage'
  /** Over 2 MiB, and valid. */
  | 'huge'
  /** 302 to a place on this issuer that would answer well. */
  | 'redirect'
  | '404'
  | '500'
  /** Takes the request and says nothing, until `release` or another behaviour. */
  | 'hang'
  /** The head at once, then a byte every 50 ms. */
  | 'slow'
  /** Half of the body, then the connection is dropped. */
  | 'cut'
  | ((request: IncomingMessage, response: ServerResponse) => void)

export interface SignOptions {
  /** @default the algorithm of the key; `none` and `HS256` are signed as an attacker would. */
  readonly alg?: string
  /** Which key. @default the key that was published first */
  readonly kid?: string
  /** A key that need not be the issuer's. */
  readonly key?: SigningKey
  /** Added to the protected header, or taken away by `undefined`. */
  readonly header?: Readonly<Record<string, unknown>>
}

export interface Issuer {
  readonly url: string
  readonly port: number
  /** What a client must trust, PEM. */
  readonly ca: string
  readonly authority: Authority
  readonly keysUrl: string
  /** The paths asked for, in order. */
  readonly requests: readonly string[]
  /** How often the key set was asked for. */
  readonly keyFetches: number
  readonly keys: readonly SigningKey[]
  /** Makes a key and publishes it. A `kid` may repeat. */
  addKey(options?: {
    readonly alg?: Algorithm
    readonly kid?: string
    /** @default true */
    readonly published?: boolean
  }): Promise<SigningKey>
  /** Forgets the keys of this name. */
  removeKey(kid: string): void
  /** A new key under an old name; the old one is returned, so that tokens can still be signed with it. */
  replaceKey(kid: string): Promise<{ readonly was: SigningKey; readonly is: SigningKey }>
  /** From now on exactly these are in the key set. */
  publish(...kids: readonly string[]): void
  /** The claims of a good token: `undefined` takes one away. */
  claims(over?: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>
  /** A good token, unless told otherwise. */
  sign(claims?: Readonly<Record<string, unknown>>, options?: SignOptions): string
  /** A correctly signed token of these very texts, be they JSON or not. */
  signText(
    header: string | Uint8Array,
    payload: string | Uint8Array,
    options?: Pick<SignOptions, 'alg' | 'kid' | 'key'>,
  ): string
  behave(how: { readonly discovery?: Behaviour; readonly jwks?: Behaviour }): void
  /** Changes the discovery document; `undefined` takes a field away. */
  discover(over: Readonly<Record<string, unknown>>): void
  /** Answers, well, whatever hangs, and everything that comes later. */
  release(): void
  /** Resolves once the key set has been asked for `n` times in all. */
  fetched(n: number): Promise<void>
  /** Stops listening and drops all connections; `up` listens on the same port again. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

export interface IssuerOptions {
  readonly authority?: Authority
  /** Path of the issuer's URL. @default '' */
  readonly path?: string
  /** The algorithm of the first key, whose `kid` is `one`. @default RS256 */
  readonly alg?: Algorithm
  /** Milliseconds, for `iat` and `exp`. @default Date.now */
  readonly now?: () => number
}

/**
 * An OpenID Connect issuer over HTTPS that misbehaves on demand. It is a double because a real issuer can
 * neither be told to publish garbage nor be made to sign what it should not; that real ones are
 * understood is shown with `oidc-provider` elsewhere.
 */
export async function startIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  const { authority = createAuthority('issuer'), path = '', now = Date.now } = options
  let keys: readonly SigningKey[] = [await createSigningKey('one', options.alg)]
  let published: readonly SigningKey[] = keys
  let how: { readonly discovery: Behaviour; readonly jwks: Behaviour } = {
    discovery: 'ok',
    jwks: 'ok',
  }
  let overDiscovery: Readonly<Record<string, unknown>> = {}
  let made = 0
  const requests: string[] = []
  const held = new Set<() => void>()
  const watchers = new Set<() => void>()
  const sockets = new Set<Socket>()

  const discovery = (): object => ({
    issuer: url,
    jwks_uri: keysUrl,
    authorization_endpoint: `${url}/auth`,
    token_endpoint: `${url}/token`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    ...overDiscovery,
  })
  const keySet = (): object => ({ keys: published.map(({ jwk }) => jwk) })

  const server = createServer(await authority.issue(), (request, response) => {
    const asked = request.url ?? ''
    requests.push(asked)
    for (const wake of watchers) wake()
    const at = asked.replace('/elsewhere', '')
    const [behaviour, content] =
      at === `${path}/.well-known/openid-configuration`
        ? [how.discovery, discovery]
        : at === `${path}/jwks`
          ? [how.jwks, keySet]
          : ['404' as const, discovery]
    const well = asked.startsWith('/elsewhere') ? 'ok' : behaviour
    if (well === 'hang') {
      held.add(() => answer('ok', request, response, content()))
    } else {
      answer(well, request, response, content())
    }
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  const up = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const down = async (): Promise<void> => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await up(0)
  const { port } = server.address() as AddressInfo
  const url = `https://127.0.0.1:${String(port)}${path}`
  const keysUrl = `${url}/jwks`
  const named = (kid: string): SigningKey => {
    const key = keys.find(one => one.kid === kid)
    if (!key) throw new TypeError(`no key ${kid}`)
    return key
  }
  const keyFor = (wanted: Pick<SignOptions, 'kid' | 'key'>): SigningKey => {
    const key =
      wanted.key ?? (wanted.kid === undefined ? (published[0] ?? keys[0]) : named(wanted.kid))
    if (!key) throw new TypeError('there is no key')
    return key
  }
  const release = (): void => {
    how = { discovery: 'ok', jwks: 'ok' }
    for (const go of held) go()
    held.clear()
  }

  const issuer: Issuer = {
    url,
    port,
    ca: authority.ca,
    authority,
    keysUrl,
    requests,
    get keyFetches() {
      return requests.filter(one => one === `${path}/jwks`).length
    },
    get keys() {
      return keys
    },
    addKey: async ({
      alg = 'RS256',
      kid = `key-${String((made += 1))}`,
      published: shown = true,
    } = {}) => {
      const key = await createSigningKey(kid, alg)
      keys = [...keys, key]
      if (shown) published = [...published, key]
      return key
    },
    removeKey: kid => {
      keys = keys.filter(key => key.kid !== kid)
      published = published.filter(key => key.kid !== kid)
    },
    replaceKey: async kid => {
      const was = named(kid)
      const is = await createSigningKey(kid, was.alg)
      keys = keys.map(key => (key === was ? is : key))
      published = published.map(key => (key === was ? is : key))
      return { was, is }
    },
    publish: (...kids) => {
      published = kids.map(named)
    },
    claims: over => {
      const seconds = Math.floor(now() / 1000)
      return {
        iss: url,
        aud: 'kubernetes',
        sub: 'alice',
        iat: seconds,
        exp: seconds + 300,
        ...over,
      }
    },
    sign: (claims, wanted = {}) => {
      const key = keyFor(wanted)
      const { alg = key.alg } = wanted
      const header = { alg, kid: key.kid, typ: 'JWT', ...wanted.header }
      return assemble(JSON.stringify(header), JSON.stringify(issuer.claims(claims)), key, alg)
    },
    signText: (header, payload, wanted = {}) => {
      const key = keyFor(wanted)
      return assemble(header, payload, key, wanted.alg ?? key.alg)
    },
    behave: next => {
      how = { ...how, ...next }
    },
    discover: over => {
      overDiscovery = over
    },
    release,
    fetched: async n => {
      while (issuer.keyFetches < n) {
        await new Promise<void>(resolve => {
          const wake = (): void => {
            watchers.delete(wake)
            resolve()
          }
          watchers.add(wake)
        })
      }
    },
    up: () => up(port),
    down,
    close: async () => {
      if (server.listening) await down()
    },
  }
  return issuer
}

/** One part of a token: base64url, without padding. */
export const part = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url')

function assemble(
  header: string | Uint8Array,
  payload: string | Uint8Array,
  key: SigningKey,
  alg: string,
): string {
  const signed = `${part(header)}.${part(payload)}`
  return `${signed}.${part(signature(key, alg, Buffer.from(signed)))}`
}

function answer(
  how: Exclude<Behaviour, 'hang'>,
  request: IncomingMessage,
  response: ServerResponse,
  content: object,
): void {
  if (typeof how === 'function') return how(request, response)
  const isKeySet = 'keys' in content
  const send = (status: number, body: string): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(body)
  }
  switch (how) {
    case 'ok':
      return send(200, JSON.stringify(content))
    case 'null':
      return send(200, isKeySet ? '{"keys":null}' : 'null')
    case 'empty':
      return send(200, isKeySet ? '{"keys":[]}' : '{}')
    case 'garbage':
      return send(200, '<html>Sign in \u0000 to continue')
    case 'huge':
      return send(200, JSON.stringify({ padding: 'x'.repeat(2 ** 21), ...content }))
    case 'redirect':
      response.writeHead(302, { Location: `/elsewhere${request.url ?? ''}` }).end()
      return
    case '404':
      return send(404, '{"error":"not_found"}')
    case '500':
      return send(500, '{"error":"server_error"}')
    case 'slow':
      return trickle(response, JSON.stringify(content))
    case 'cut': {
      const body = JSON.stringify(content)
      response.writeHead(200, { 'Content-Length': body.length })
      response.write(body.slice(0, body.length / 2), () => response.destroy())
    }
  }
}

function trickle(response: ServerResponse, body: string): void {
  response.writeHead(200, { 'Content-Length': body.length })
  response.flushHeaders()
  let sent = 0
  const timer = setInterval(() => {
    response.write(body.slice(sent, (sent += 1)))
    if (sent === body.length) response.end()
    if (sent >= body.length) clearInterval(timer)
  }, 50)
  response.once('close', () => clearInterval(timer))
}
