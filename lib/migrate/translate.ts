import { quoted, readPeerCommandLine, type PeerCommandLine } from './command-line.js'
import { differencesFrom } from './differences.js'
import { userPrefixHere, userPrefixThere, type NamesOf, type UserNaming } from './identities.js'
import { issuerFile, type IssuerFile } from './issuer-file.js'
import type { ReadInput } from './input.js'
import { argsOf, type OurFlag } from './our-flag.js'
import { peerFlag, type Peer } from './peer-flags.js'
import type { Difference, Translated } from './translation.js'

/** What `serve` of this version takes. */
export interface Here {
  has(flag: string): boolean
  /** Whether `flag` may have this value, where it is one of a few. */
  takes(flag: string, choice: string): boolean
  /** What `serve` has against these flags, apart from the files that they name. */
  faultsOf(args: readonly string[]): readonly string[]
}

export interface TranslateOptions {
  readonly here: Here
  /** Where the input does not tell. */
  readonly peer?: Peer | undefined
  /** Which user names are meant where the same flag makes others here. */
  readonly usernames?: 'keep' | 'new' | undefined
  readonly sampleUser?: string | undefined
  readonly sampleGroup?: string | undefined
  /** Reads a file of the command line, for what has to stand in another one here. */
  readonly readFile: (path: string) => string
}

/**
 * Translates the command line of a kube-oidc-proxy into one of `serve`, or says why that cannot be done
 * without asking: above all where the same flags would give people other names.
 */
export function translate(input: ReadInput, options: TranslateOptions): Translated {
  const line = readPeerCommandLine(input.args)
  const named = options.peer ?? input.peer ?? peerOfFlags(line.given)
  const peer = named ?? 'tremolosecurity'
  const first: First = name => line.given.get(name)?.[0] ?? ''
  const impersonates = first('disable-impersonation') !== 'true'
  const clients = clientImpersonation(peer, impersonates, options.here)

  const carried = carry(line, options.here)
  const readFile = (path: string): string => input.files.get(path) ?? options.readFile(path)
  const users = nameUsers(first, carried.flags, { ...options, readFile })
  const flags: OurFlag[] = [
    ...carried.flags.filter(([name]) => users.file?.replaces.includes(name) !== true),
    ...users.flags,
    ...runningFlags(first, peer),
    impersonates ? ['unsafe-use-service-account-token', ['true']] : ['impersonation', ['never']],
    ['client-impersonation', [clients]],
  ]
  const faults = [...input.faults, ...line.faults, ...faultsOf(input, line, first), ...users.faults]
  if (faults.length === 0) faults.push(...options.here.faultsOf(flags.flatMap(argsOf)))
  if (faults.length > 0) return { faults }

  const differences = differencesFrom({
    peer,
    given: line.given,
    impersonates,
    clientImpersonation: clients,
    fromFile: users.file !== undefined,
  })
  return {
    peer,
    peerKnown: named !== undefined,
    source: input.source,
    flags: inOrder(flags),
    ...(users.file !== undefined && { issuerFile: users.file }),
    names: first('authentication-config') === '' ? samples(first, users.prefix, options) : [],
    differences: [...carried.missing, ...differences],
    ended: carried.ended,
    beside: input.beside,
  }
}

/** What a flag ends up with, a list's first; the empty text where it is not given. */
type First = (name: string) => string

function faultsOf(input: ReadInput, { unknown }: PeerCommandLine, first: First): string[] {
  if (input.args.length === 0) return input.faults.length > 0 ? [] : ['the command line is empty']
  const faults = unknown
    .filter(isOidc)
    .map(name => `--${name}: is no flag of kube-oidc-proxy; take it out, or write what was meant`)
  const file = first('authentication-config')
  if (file !== '' && first('oidc-issuer-url') !== '') {
    const says = `stands beside --oidc-issuer-url, which is one or the other here: write that issuer into ${quoted(file)} as well`
    faults.push(`--authentication-config: ${says}`)
  }
  const required = file === '' ? ['oidc-issuer-url', 'oidc-client-id'] : []
  const missing = required.filter(name => first(name) === '').map(name => `--${name}: is missing`)
  return [...faults, ...missing]
}

/** A flag about the issuer that nobody knows could be about names. */
const isOidc = (name: string): boolean => name.startsWith('oidc-')

interface Carried {
  readonly flags: readonly OurFlag[]
  /** Flags that a later version has. */
  readonly missing: readonly Difference[]
  readonly ended: readonly Difference[]
}

/** The flags that go on under their own name, and those that do not. */
function carry({ given, unknown }: PeerCommandLine, here: Here): Carried {
  const flags: OurFlag[] = []
  const missing: Difference[] = []
  const ended: Difference[] = []
  for (const [name, values] of given) {
    const flag = peerFlag(name)
    const unset = values.every(value => value === '')
    if (flag === undefined || flag.here === 'judged' || unset) continue
    if (flag.here !== 'same') {
      ended.push([`--${name}`, flag.here.ends])
    } else if (flag.kind !== 'switch' || values[0] === 'true') {
      if (here.has(name)) flags.push([name, values])
      else missing.push([`--${name}`, `this version has no such flag: ${without(name)}`])
    }
  }
  for (const pair of given.get('oidc-required-claims') ?? []) {
    flags.push(['oidc-required-claim', [pair]])
  }
  for (const name of unknown) {
    if (isOidc(name)) continue
    ended.push([`--${name}`, 'is not known to this command; what it did is not carried over'])
  }
  return { flags, missing, ended }
}

interface NamedUsers {
  /** What is put before user names here. */
  readonly prefix: string
  readonly flags: readonly OurFlag[]
  readonly file?: IssuerFile
  readonly faults: readonly string[]
}

/** Sees to it that user names stay what they were, or become others because somebody said so. */
function nameUsers(
  first: First,
  carried: readonly OurFlag[],
  { usernames, here, readFile }: TranslateOptions,
): NamedUsers {
  const naming = userNaming(first)
  const [there, prefix] = [userPrefixThere(naming), userPrefixHere(naming)]
  const asWritten: NamedUsers = {
    prefix,
    flags: naming.written === '' ? [] : [['oidc-username-prefix', [naming.written]]],
    faults: [],
  }
  // Without an issuer, or with one too many, there is a fault already, and nobody to name.
  const unknown = naming.issuerUrl === '' || first('authentication-config') !== ''
  if (there === prefix || usernames === 'new' || unknown) return asWritten
  if (usernames === undefined) return { ...asWritten, faults: [question(naming)] }
  if (there === '') return { prefix: there, flags: [['oidc-username-prefix', ['-']]], faults: [] }
  if (!here.has('authentication-config')) {
    const says = 'this version cannot put it before names; only --username-prefix=new is possible'
    return { ...asWritten, faults: [`--oidc-username-prefix ${quoted(there)}: ${says}`] }
  }
  const file = issuerFile(carried, { claim: naming.claim, prefix: there }, readFile)
  if ('fault' in file) return { ...asWritten, faults: [file.fault] }
  return { prefix: there, flags: [['authentication-config', [file.path]]], file, faults: [] }
}

function userNaming(first: First): UserNaming {
  const claim = first('oidc-username-claim')
  return {
    issuerUrl: first('oidc-issuer-url'),
    claim: claim === '' ? 'sub' : claim,
    written: first('oidc-username-prefix'),
  }
}

function question(naming: UserNaming): string {
  const what =
    naming.written === ''
      ? `--oidc-username-prefix: none is given, and the claim is ${quoted(naming.claim)}`
      : `--oidc-username-prefix ${quoted(naming.written)}`
  const was = quoted(`${userPrefixThere(naming)}alice`)
  const wouldBe = quoted(`${userPrefixHere(naming)}alice`)
  return `${what}: a user "alice" was ${was} and would be ${wouldBe}; say --username-prefix=keep for the old name, --username-prefix=new for the new one`
}

/** The names that a sample of each claim had and has. Groups are prefixed alike. */
function samples(
  first: First,
  prefix: string,
  { sampleUser, sampleGroup = 'developers' }: TranslateOptions,
): readonly NamesOf[] {
  const naming = userNaming(first)
  const user = sampleUser ?? (naming.claim === 'email' ? 'alice@example.com' : 'alice')
  const groups = first('oidc-groups-claim')
  const group = first('oidc-groups-prefix') + sampleGroup
  const names: NamesOf[] = [
    {
      kind: 'user',
      claim: naming.claim,
      sample: user,
      there: userPrefixThere(naming) + user,
      here: prefix + user,
    },
  ]
  if (groups !== '') {
    names.push({ kind: 'group', claim: groups, sample: sampleGroup, there: group, here: group })
  }
  return names
}

/** Where it listens, and how loud it is: defaults differ, so they are said. */
function runningFlags(first: First, peer: Peer): readonly OurFlag[] {
  const or = (name: string, byDefault: string): readonly string[] => [
    first(name) === '' ? byDefault : first(name),
  ]
  const minVersion = first('tls-min-version')
  const loud = peer === 'rafpe' ? 1 : 4
  return [
    ['secure-port', or('secure-port', '6443')],
    ...(/^VersionTLS1[23]$/.test(minVersion) ? [['tls-min-version', [minVersion]] as const] : []),
    ['admin-bind-address', ['0.0.0.0']],
    ['admin-port', or('readiness-probe-port', '8080')],
    ...(Number(first('v')) >= loud ? [['log-level', ['debug']] as const] : []),
  ]
}

/** What happened to the client's own `Impersonate-*` there; at worst they are left out. */
function clientImpersonation(peer: Peer, impersonates: boolean, here: Here): string {
  // v0.3.0 of jetstack answers them with 403, unless it impersonates nobody itself.
  if (peer === 'jetstack' && impersonates) return 'reject'
  return here.takes('client-impersonation', 'authorize') ? 'authorize' : 'strip'
}

const peerOfFlags = (given: ReadonlyMap<string, unknown>): Peer | undefined =>
  ['trusted-proxies', 'allow-reserved-groups', 'logging-format', 'metrics-bind-address'].some(
    name => given.has(name),
  )
    ? 'rafpe'
    : undefined

const consequences: Readonly<Record<string, string>> = {
  'token-passthrough': 'a token of another issuer is refused with 401',
  'token-passthrough-audiences': 'it goes with --token-passthrough',
  'extra-user-headers': 'these extras are not sent',
  'extra-user-header-client-ip': 'the extra remote-client-ip is not sent',
  'audit-log-path': 'the access line in the log is the only record',
  'authentication-config': 'issuers are configured by --oidc-issuer-url alone',
}
const without = (name: string): string => consequences[name] ?? 'what it did is not carried over'

const order = ['oidc-', 'authentication-', 'kubeconfig', 'context', 'unsafe-', 'impersonation']
const rank = (name: string): number => {
  const found = order.findIndex(prefix => name.startsWith(prefix))
  return found < 0 ? order.length : found
}
const inOrder = (flags: readonly OurFlag[]): readonly OurFlag[] =>
  merged(flags).toSorted(([one], [other]) => rank(one) - rank(other))

/** Each flag once, with all of its values. */
function merged(flags: readonly OurFlag[]): readonly OurFlag[] {
  const all = new Map<string, readonly string[]>()
  for (const [name, values] of flags) all.set(name, [...(all.get(name) ?? []), ...values])
  return [...all]
}
