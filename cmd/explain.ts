import { readFileSync } from 'node:fs'
import { text as textOf } from 'node:stream/consumers'
import { explainToken } from '../lib/authenticate/explain.js'
import { explainedAsJson, explainedAsText, type Upstream } from '../lib/authenticate/explained.js'
import { supportedAlgs } from '../lib/authenticate/signing-key.js'
import type { RequestContext } from '../lib/exchange.js'
import type { Authenticated } from '../lib/gateway.js'
import type { Identity } from '../lib/identity.js'
import { createOwnExtra } from '../lib/impersonate/own-extra.js'
import { createPolicy, type CredentialMode } from '../lib/impersonate/policy.js'
import { requestInfo } from '../lib/request-info.js'
import { Secret } from '../lib/secret.js'
import { fault, reasonOf } from '../lib/settings/fault.js'
import { isFlagName, serveFlags } from '../lib/settings/flags.js'
import { loadElsewhere } from '../lib/settings/load.js'
import { takeFlags } from '../lib/settings/own-flags.js'
import type { ServeSettings } from '../lib/settings/resolve.js'
import { assertGranted, upstreamHeaders } from '../lib/upstream/headers.js'
import { AuthenticationFault, limitsOf, readAuthentication } from './authentication.js'

const help = `Usage: impersonation-gateway explain <token> [--offline] [-o <format>] <flags of serve>

Walks a token through every rule of a gateway with these flags of serve (or --config), and on after one that
refuses it: what each rule made of it, whom it is for, and what would go to the API server. The issuer is
asked for its keys, and the source that a proven token names for groups that it only points at; nobody else
is asked for anything. Neither the signature nor the token is printed.

  <token>            "-" for standard input, "@file" for a file, or the token itself, which other users of
                     this machine can then see
  --offline          does not ask the issuer: the signature stays unproven
  -o, --output=<format>
                     text (default), or json
  --help             says this

Exit status: 0 the token is explained, be it accepted or refused; 2 the configuration is wrong, one line a
fault on standard error; 1 the issuer could not be asked, or anything else.
`

/** `explain`: tells what the rules make of a token. Resolves with the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(help)
    return 0
  }
  const asked = await read(args)
  if ('faults' in asked) {
    for (const line of asked.faults) process.stderr.write(`${line}\n`)
    return 2
  }
  const { settings, token, online, output } = asked
  const caFile = settings.issuer?.caFile
  const explanation = await explainToken(
    token,
    {
      rules: asked.rules,
      limits: limitsOf(settings),
      signingAlgs: settings.issuer?.signingAlgs ?? [...supportedAlgs],
      clockSkewSeconds: settings.clockSkewSeconds,
      ca: caFile === undefined ? undefined : readFileSync(caFile),
      online,
    },
    AbortSignal.timeout(timeoutMs),
  )
  const { verdict, identity } = explanation
  const upstream =
    verdict === 'refused' || identity === undefined
      ? undefined
      : await upstreamOf(identity, settings)
  process.stdout.write(
    output === 'json'
      ? explainedAsJson(explanation, upstream)
      : explainedAsText(explanation, upstream, Date.now()),
  )
  return verdict === 'unknown' ? 1 : 0
}

const timeoutMs = 30_000

interface Asked {
  readonly settings: ServeSettings
  readonly rules: ReturnType<typeof readAuthentication>['rules']
  readonly token: string
  readonly online: boolean
  readonly output: string
}

async function read(
  args: readonly string[],
): Promise<Asked | { readonly faults: readonly string[] }> {
  const place = args.findIndex(isToken)
  const { values, rest, faults } = takeFlags(
    args.filter((arg, at) => at !== place && arg !== '--offline'),
    { output: { choices: ['text', 'json'], short: '-o' } },
  )
  const wrong = [...faults]
  const token = await tokenOf(args[place], wrong)
  const loaded = loadElsewhere(rest, {}, ['authentication-config', 'oidc-ca-file'])
  if ('faults' in loaded) return { faults: [...wrong, ...loaded.faults] }
  try {
    const { rules } = readAuthentication(loaded.settings)
    if (wrong.length > 0 || token === undefined) return { faults: wrong }
    return {
      settings: loaded.settings,
      rules,
      token,
      online: !args.includes('--offline'),
      output: values.output[0] ?? 'text',
    }
  } catch (error) {
    if (!(error instanceof AuthenticationFault)) throw error
    return { faults: [...wrong, ...error.faults] }
  }
}

/** The first argument, unless it is a flag; elsewhere what cannot be anything else, such as a flag's value. */
function isToken(arg: string, at: number, args: readonly string[]): boolean {
  if (at === 0) return arg === '-' || !arg.startsWith('-')
  if (/^(?:@.|ey[\w-]+\.[\w-]+\.)/.test(arg)) return true
  if (arg !== '-') return false
  const before = args[at - 1] ?? ''
  const name = before.slice(2)
  if (!before.startsWith('-') || before.includes('=') || before === '--offline') return true
  return isFlagName(name) && serveFlags[name].kind === 'switch'
}

async function tokenOf(written: string | undefined, faults: string[]): Promise<string | undefined> {
  if (written === undefined) {
    faults.push('the token is missing: give "-" first and the token on standard input, or @file')
    return undefined
  }
  const path = written.startsWith('@') ? written.slice(1) : undefined
  try {
    const content =
      written === '-'
        ? await textOf(process.stdin)
        : path === undefined
          ? written
          : readFileSync(path, 'utf8')
    // Files end with a line end, and people copy the scheme along.
    const token = content.trim().replace(/^Bearer +/i, '')
    if (token !== '') return token
    faults.push('the token is empty')
  } catch (error) {
    // What the system says of a file holds the name too.
    faults.push(
      path !== undefined && looksLikeToken.test(path)
        ? 'the token: cannot be read from a file of such a name; a token itself is given without "@"'
        : fault('the token', written, `cannot be read: ${reasonOf(error)}`),
    )
  }
  return undefined
}

/** Anywhere, since the scheme may stand before it. */
const looksLikeToken = /ey[\w-]+\.[\w-]+\./

/** What says whose request it is, by the very code that serve writes it with. */
async function upstreamOf(identity: Identity, settings: ServeSettings): Promise<Upstream> {
  const { credentialMode } = settings
  const authorize = createPolicy({
    mode: modeOf(credentialMode),
    clientImpersonation: 'strip',
    ownExtra: createOwnExtra(settings.extra),
  })
  const token = new Secret('<the token>', 'token')
  const known: Authenticated = { context: request, identity, token, expiresAt: Infinity }
  const { grant } = await authorize(known)
  const own = { authorization: new Secret('<the credential of the gateway>', 'credential') }
  const credential = grant.credential.whose === 'gateway' ? own : undefined
  const list = assertGranted(upstreamHeaders(request, grant, credential), grant, credential)
  const headers = list.flatMap((name, at): ReadonlyArray<readonly [string, string]> => {
    const value = list[at + 1] ?? ''
    return at % 2 === 0 && /^(?:authorization$|impersonate-)/i.test(name)
      ? [[name, Buffer.from(value, 'latin1').toString('utf8')]]
      : []
  })
  return { credential: says(credentialMode), headers }
}

function says(mode: ServeSettings['credentialMode']): string {
  if (mode.kind === 'gateway') return "the gateway's own credential"
  return mode.impersonation === 'auto'
    ? "the caller's token; no Impersonate-* where the API server takes the caller for this very user"
    : "the caller's token"
}

/** With `auto` it would be the API server's to say; what is told is what goes along where it says nothing. */
const modeOf = (mode: ServeSettings['credentialMode']): CredentialMode =>
  mode.kind === 'gateway'
    ? mode
    : { kind: 'caller', impersonation: mode.impersonation === 'never' ? 'never' : 'always' }

/** A request of which nothing is known but who makes it. */
const request: RequestContext = {
  id: '00000000-0000-4000-8000-000000000000',
  receivedAt: 0,
  head: { protocol: 'HTTP/1.1', method: 'GET', target: '/api', headers: [], hasBody: false },
  info: requestInfo('GET', '/api'),
  peer: { address: "<the client's address>", encrypted: true },
  signal: new AbortController().signal,
}
