import * as oidc from 'openid-client'
import { Agent, fetch } from 'undici'

export interface SignIn {
  readonly issuer: string
  /** PEM of what signed the issuer's certificate. */
  readonly ca: string
  readonly clientId: string
  /** Nobody need listen there. */
  readonly redirectUri: string
  readonly scope: string
  /** Tells the issuer who signs in; it must ask no further. */
  readonly loginHint: string
}

/**
 * Signs a user in as a browser and a client together would, and answers with the ID token: authorization
 * code with PKCE, every check of `openid-client` included.
 */
export async function signIn({
  issuer,
  ca,
  clientId,
  redirectUri,
  scope,
  loginHint,
}: SignIn): Promise<string> {
  const agent = new Agent({ connect: { ca } })
  try {
    const config = await oidc.discovery(new URL(issuer), clientId, undefined, oidc.None(), {
      [oidc.customFetch]: trusting(agent),
    })
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
    const expectedState = oidc.randomState()
    const expectedNonce = oidc.randomNonce()
    const start = oidc.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope,
      state: expectedState,
      nonce: expectedNonce,
      login_hint: loginHint,
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
    const returned = await browse(start, redirectUri, agent)
    const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
    const tokens = await oidc.authorizationCodeGrant(config, returned, checks)
    if (tokens.id_token === undefined) throw new Error('the issuer gave no ID token')
    return tokens.id_token
  } finally {
    await agent.close()
  }
}

/** Follows redirects with cookies, until one leads back to the client. */
async function browse(start: URL, redirectUri: string, agent: Agent): Promise<URL> {
  const cookies = new Map<string, string>()
  let here = start
  for (let step = 0; step < 10; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(here, {
      dispatcher: agent,
      redirect: 'manual',
      headers: cookie === '' ? {} : { cookie },
    })
    await response.arrayBuffer()
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (name !== undefined && value !== undefined) cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (location === null) {
      throw new Error(`the issuer answered ${response.status} instead of signing the user in`)
    }
    here = new URL(location, here)
    if (here.href.startsWith(`${redirectUri}?`)) return here
  }
  throw new Error('the issuer redirects for ever')
}

/** `fetch` that trusts the issuer's CA. */
function trusting(agent: Agent): oidc.CustomFetch {
  return (url, options) => fetch(url, { ...(options as object), dispatcher: agent })
}
