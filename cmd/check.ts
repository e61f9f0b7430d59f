import { readFileSync } from 'node:fs'
import type { TokenRules } from '../lib/authenticate/configuration.js'
import { checkIssuer } from '../lib/authenticate/issuer-check.js'
import { createIssuerClient } from '../lib/authenticate/issuer-client.js'
import { rulesFindings } from '../lib/authenticate/rules-told.js'
import { supportedAlgs } from '../lib/authenticate/signing-key.js'
import type { Finding } from '../lib/finding.js'
import { rightsFindings } from '../lib/rbac/told.js'
import { effectiveValues, effectiveYaml } from '../lib/settings/effective.js'
import { givenFlags, loadServe } from '../lib/settings/load.js'
import { takeFlags } from '../lib/settings/own-flags.js'
import type { ServeSettings } from '../lib/settings/resolve.js'
import { surprises } from '../lib/settings/surprises.js'
import { checkCluster } from '../lib/upstream/cluster-check.js'
import { openCluster, type Cluster } from '../lib/upstream/cluster.js'
import { readAuthentication, type Authentication } from './authentication.js'
import { examineOwn } from './own-rights.js'
import { rightsOf } from './rbac.js'

const help = `Usage: impersonation-gateway check [--connect] [-o <format>] <flags of serve>

Loads the configuration as serve does (serve --help lists the flags), and tells every fault, the effective
settings, and what of them may surprise. What is printed is a file for --config; findings are comments in
it. No secret is in it: flags name secrets by their files.

  --connect          also asks the issuer (discovery, keys) and the API server (version, and whom it takes
                     the gateway's own credential for and what that may do, where it is in use)
  -o, --output=<format>
                     text (default), or json
  --help             says this

Exit status: 0 done; 2 the configuration is wrong, one line a fault on standard error; 1 the issuer or the
API server cannot be used as configured, or anything else. That includes a credential with a right too much,
with which serve would end with 2 (a warning with --allow-overprivileged-credential), or with one too few.
`

/** `check`: tells what a configuration comes down to. Resolves with the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const { connect, output, rest, faults } = read(args)
  const loaded = loadServe(rest)
  if ('help' in loaded) {
    process.stdout.write(help)
    return 0
  }
  const wrong = [...faults, ...('faults' in loaded ? loaded.faults : [])]
  if ('faults' in loaded || wrong.length > 0) {
    for (const line of wrong) process.stderr.write(`${line}\n`)
    return 2
  }
  const { settings } = loaded
  const values = effectiveValues(givenFlags(rest), settings)
  // What is wrong with a file that these name is thrown, as a list of faults.
  const authentication = readAuthentication(settings)
  const { rules } = authentication
  const findings = [
    ...surprises(settings),
    ...rules.flatMap((one, at) =>
      rulesFindings(one, settings.issuer === undefined ? `jwt[${at}]` : undefined),
    ),
    ...(await lookAround(settings, authentication, connect)),
  ]
  if (output === 'json') {
    const failed = findings.some(({ outcome }) => outcome === 'failed')
    process.stdout.write(
      `${JSON.stringify({ ok: !failed, settings: values, findings }, undefined, 2)}\n`,
    )
  } else {
    process.stdout.write(effectiveYaml(values))
    if (findings.length > 0) process.stdout.write('\n')
    for (const finding of findings) process.stdout.write(`# ${told(finding)}\n`)
  }
  return findings.some(({ outcome }) => outcome === 'failed') ? 1 : 0
}

const told = ({ outcome, about, says, change }: Finding): string =>
  `${outcome.padEnd(7)} ${about}: ${says}${change === undefined ? '' : `; ${change}`}`

/**
 * The kubeconfig and the credential in it are read in any case; that they cannot be used is a fault. Others are
 * asked when told to, an exec plugin too.
 */
async function lookAround(
  settings: ServeSettings,
  authentication: Authentication,
  connect: boolean,
): Promise<readonly Finding[]> {
  const ownCredential = settings.credentialMode.kind === 'gateway'
  const cluster = await openCluster({
    ...settings.cluster,
    useOwnCredential: ownCredential,
    withoutPlugin: !connect,
  })
  try {
    return connect ? await ask(settings, authentication, cluster) : []
  } finally {
    await cluster.close()
  }
}

const timeoutMs = 15_000

async function ask(
  settings: ServeSettings,
  authentication: Authentication,
  cluster: Cluster,
): Promise<readonly Finding[]> {
  const signal = AbortSignal.timeout(timeoutMs)
  const found = await Promise.all([
    ...authentication.rules.map(one => askIssuer(one, settings, signal)),
    askCluster(settings, authentication, cluster, signal),
  ])
  return found.flat()
}

/** Who is not known has no rights to examine. */
async function askCluster(
  settings: ServeSettings,
  authentication: Authentication,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const ownCredential = settings.credentialMode.kind === 'gateway'
  const found = await checkCluster({ cluster, ownCredential }, signal)
  if (!ownCredential || found.some(({ outcome }) => outcome === 'failed')) return found
  const rights = await examineOwn(cluster, rightsOf(settings, authentication), signal)
  return [...found, ...rightsFindings(rights, settings.allowOverprivilegedCredential)]
}

async function askIssuer(
  { issuer, username, groups }: TokenRules,
  settings: ServeSettings,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const flags = settings.issuer
  const ca = flags?.caFile === undefined ? issuer.certificateAuthority : readFileSync(flags.caFile)
  const client = createIssuerClient({ ca })
  const claims: Array<readonly [claim: string, where: string]> = []
  for (const [rule, flag, member] of [
    [username, '--oidc-username-claim', 'claimMappings.username'],
    [groups, '--oidc-groups-claim', 'claimMappings.groups'],
  ] as const) {
    if (rule !== undefined && 'claim' in rule) claims.push([rule.claim, flags ? flag : member])
  }
  try {
    return await checkIssuer(
      {
        issuerUrl: issuer.url,
        discoveryUrl: issuer.discoveryURL,
        signingAlgs: flags?.signingAlgs ?? [...supportedAlgs],
        claims,
        getJson: client.getJson,
      },
      signal,
    )
  } finally {
    await client.close()
  }
}

interface Asked {
  readonly connect: boolean
  readonly output: string
  /** The flags of serve. */
  readonly rest: readonly string[]
  readonly faults: readonly string[]
}

function read(args: readonly string[]): Asked {
  const { values, rest, faults } = takeFlags(
    args.filter(arg => arg !== '--connect'),
    { output: { choices: ['text', 'json'], short: '-o' } },
  )
  return { connect: args.includes('--connect'), output: values.output[0] ?? 'text', rest, faults }
}
