import { generateKeyPair, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import type Provider from 'oidc-provider'
import type { Context, Grant } from 'oidc-provider'
import { createAuthority, type Authority } from './certificates.js'
import { listenOnLoopback } from './loopback-server.js'
import { quietly } from './quietly.js'
import { signIn } from './sign-in.js'

export interface IssuerUser {
  readonly email: string
  readonly groups: readonly string[]
}

export interface IssuerOptions {
  /** Signs the serving certificate. @default one of its own */
  readonly authority?: Authority
  /** By name, which is the subject. @default alice, a developer, and bob, a viewer */
  readonly users?: Readonly<Record<string, IssuerUser>>
  /** Whether whoever reaches the port may sign in as anybody, by name. @default false: `tokenFor` alone can */
  readonly passwordless?: boolean
  /** How long an ID token is good. @default 3_600 seconds */
  readonly tokenSeconds?: number
}

export interface Issuer {
  /** The issuer identifier: `https://127.0.0.1:…` */
  readonly url: string
  /** PEM. */
  readonly ca: string
  /** A public client, and so the audience of the tokens. */
  readonly clientId: string
  /**
   * An ID token, got the way a user's browser gets one: authorization code with PKCE.
   * @throws TypeError when there is no such user
   */
  tokenFor(user: string): Promise<string>
  close(): Promise<void>
}

/** Who is there when nobody says otherwise. */
const demoUsers: Readonly<Record<string, IssuerUser>> = {
  alice: { email: 'alice@example.com', groups: ['developers'] },
  bob: { email: 'bob@example.com', groups: ['viewers'] },
}

const clientId = 'kubernetes'
const scope = 'openid profile email groups'
const loginPath = '/login/'

/**
 * Starts an OpenID Connect issuer on a loopback port: a real one (`oidc-provider`), save that its users have
 * no passwords. Its key and its memory end with the process.
 */
export async function startIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  const users = new Map(Object.entries(options.users ?? demoUsers))
  const authority = options.authority ?? (await createAuthority('demo issuer'))
  const { cert, key } = await authority.issue(['127.0.0.1', 'localhost'])
  const passwordless = options.passwordless ?? false
  const secret = randomBytes(16).toString('hex')
  let provider: Provider | undefined
  let answer: ReturnType<Provider['callback']> | undefined
  const server = await listenOnLoopback({ cert, key }, (request, response) => {
    const handled = request.url?.startsWith(loginPath)
      ? login(request, response, { provider, users, secret, passwordless })
      : answer?.(request, response)
    handled?.catch(() => {
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  const { url } = server
  const configuration = configurationFor(users, await signingKey(), options.tokenSeconds ?? 3_600)
  await quietly(async () => {
    const { default: OidcProvider } = await import('oidc-provider')
    provider = new OidcProvider(url, configuration)
    answer = provider.callback()
  })

  return {
    url,
    ca: authority.ca,
    clientId,
    tokenFor: async user => {
      if (!users.has(user)) throw new TypeError(`the demo issuer knows no ${JSON.stringify(user)}`)
      return signIn({
        issuer: url,
        ca: authority.ca,
        clientId,
        redirectUri,
        scope,
        loginHint: `${secret} ${user}`,
      })
    },
    close: () => server.close(),
  }
}

/** Nothing listens there; whoever signs in for a user reads the code off the redirect. */
const redirectUri = 'http://127.0.0.1/callback'

function configurationFor(
  users: ReadonlyMap<string, IssuerUser>,
  signing: object,
  tokenSeconds: number,
): object {
  return {
    clients: [
      {
        client_id: clientId,
        // A native client: its redirect may name any loopback port (RFC 8252, 7.3).
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri, 'http://localhost/callback', 'http://localhost'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        id_token_signed_response_alg: 'RS256',
      },
    ],
    jwks: { keys: [signing] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub'],
      profile: ['name'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    // The claims belong into the ID token: Kubernetes asks no userinfo endpoint.
    conformIdTokenClaims: false,
    findAccount: (_context: Context, subject: string) => {
      const user = users.get(subject)
      if (user === undefined) return undefined
      const claims = { sub: subject, name: subject, ...user, email_verified: true }
      return { accountId: subject, claims: () => claims }
    },
    // Who signed in has consented.
    loadExistingGrant: async ({ oidc }: Context): Promise<Grant> => {
      const accountId = oidc.session?.accountId ?? oidc.account?.accountId
      const grant = new oidc.provider.Grant({ clientId: oidc.client?.clientId, accountId })
      grant.addOIDCScope(`${scope} offline_access`)
      await grant.save()
      return grant
    },
    interactions: {
      url: (_context: Context, { uid }: { readonly uid: string }) => loginPath + uid,
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
    },
    renderError: (context: Context, problem: object) => {
      context.type = 'json'
      context.body = problem
    },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      Grant: 86_400,
      IdToken: tokenSeconds,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
  }
}

interface Login {
  readonly provider: Provider | undefined
  readonly users: ReadonlyMap<string, IssuerUser>
  /** Known to `tokenFor` alone. */
  readonly secret: string
  readonly passwordless: boolean
}

/** A hint that begins with the secret signs in; and without passwords any hint, or a click. */
async function login(
  request: IncomingMessage,
  response: ServerResponse,
  { provider, users, secret, passwordless }: Login,
): Promise<void> {
  if (provider === undefined) throw new TypeError('the issuer is not there yet')
  const { uid, prompt, params } = await provider.interactionDetails(request, response)
  if (prompt.name === 'consent') {
    // A native client must be consented to each time (RFC 8252, 8.6): who signed in has just done so.
    const result = { consent: {} }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
    return
  }
  const clicked = new URL(request.url ?? '/', 'https://unused').searchParams.get('user')
  const { login_hint: said } = params
  const hint = typeof said === 'string' ? said : ''
  const vouched = hint.startsWith(`${secret} `) ? hint.slice(secret.length + 1) : undefined
  const name = vouched ?? (passwordless ? (clicked ?? hint) : undefined)
  if (name !== undefined && users.has(name)) {
    const result = { login: { accountId: name } }
    await provider.interactionFinished(request, response, result, {
      mergeWithLastSubmission: false,
    })
    return
  }
  if (!passwordless) {
    response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' })
    response.end('Nobody can sign in here: tokens are made by the process itself.\n')
    return
  }
  const choices = [...users.keys()].map(user => {
    const link = `${loginPath}${uid}?user=${encodeURIComponent(user)}`
    return `<li><a href="${link}">${encodeURIComponent(user)}</a></li>`
  })
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  response.end(
    `<!doctype html><title>Demo issuer</title><h1>Who are you?</h1><ul>${choices.join('')}</ul>`,
  )
}

async function signingKey(): Promise<object> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const kid = randomBytes(8).toString('hex')
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }
}
