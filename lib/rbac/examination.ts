import { allowances } from './allowed.js'
import { neededRights, type Right, type RightsConfiguration, type RightsMode } from './needed.js'
import { accessSpec, administrator, probes } from './probes.js'
import { allows, beyond, inWords, type Allowance, type Rule } from './rule.js'

/** What is known of the rights of the gateway's own credential. */
export interface Findings {
  /**
   * `excess`: proven to have more than is needed, whatever else is missing or unknown; `unknown`: not all could be
   * found out; `missing`: lacks something; `least`: has what is needed, and no more that could be found.
   */
  readonly verdict: 'least' | 'missing' | 'excess' | 'unknown'
  /** What it may do beyond what is needed, in words. */
  readonly excess: readonly string[]
  /** The rules that it lacks, in words. */
  readonly missing: readonly string[]
  /** Why something could not be found out. */
  readonly unknown?: string
  /** The API server says that its list of rules is not complete: what is missing cannot be told then. */
  readonly incomplete: boolean
}

export interface ExaminationOptions {
  /**
   * Creates a review with the credential in question, and gives its `status`. Rejects when there is no such
   * answer.
   */
  readonly ask: (
    kind: 'SelfSubjectAccessReview' | 'SelfSubjectRulesReview',
    spec: object,
    signal: AbortSignal,
  ) => Promise<unknown>
  readonly configuration: RightsConfiguration
  /** Rules are listed for a namespace; those of roles in others are not seen. */
  readonly namespaces: readonly string[]
}

/**
 * Finds out what the gateway's credential may do, and measures it by what the configuration needs. Asks for the
 * whole first: from an API server that answers no such question nothing more is asked. Never rejects.
 */
export async function examine(
  { ask, configuration, namespaces }: ExaminationOptions,
  signal: AbortSignal,
): Promise<Findings> {
  const failures: string[] = []
  const orNothing = async <T>(question: Promise<T>): Promise<T | undefined> => {
    try {
      return await question
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }
  const rulesIn = async (namespace: string): Promise<Listed | undefined> => {
    const status = await orNothing(
      ask('SelfSubjectRulesReview', { namespace }, signal).then(readRules),
    )
    return status && { namespace, ...status }
  }
  const may = (probe: Rule): Promise<boolean | undefined> =>
    orNothing(ask('SelfSubjectAccessReview', accessSpec(probe), signal).then(readAllowed))

  const held = allowances(configuration)
  const [home = 'default', ...others] = namespaces
  const [listedAtHome, everything] = await Promise.all([rulesIn(home), may(administrator)])
  if (everything === true) {
    return found({ excess: [inWords(administrator)], missing: [], failures: [], incomplete: false })
  }
  if (listedAtHome === undefined && everything === undefined) {
    return found({ excess: [], missing: [], failures, incomplete: true })
  }
  const elsewhere = await inTurn(others, rulesIn)
  const listed = [listedAtHome, ...elsewhere].filter(one => one !== undefined)
  const unneeded = probes.filter(probe => beyond(probe, held).length > 0)
  const answers = await inTurn(unneeded, may)
  const rules = excessRules(listed, held)
  const asked = unneeded.filter((probe, at) => answers[at] === true && !isAmong(rules, probe))
  const incomplete = listed.length < namespaces.length || listed.some(one => one.incomplete)
  return found({
    excess: [
      ...rules.map(inPlace),
      ...asked.map(({ advice, ...rule }) =>
        advice === undefined ? inWords(rule) : `${inWords(rule)} (${advice})`,
      ),
    ],
    missing: incomplete || !listedAtHome ? [] : missingFrom(listedAtHome.rules, configuration),
    failures,
    incomplete,
  })
}

function found({
  excess,
  missing,
  failures,
  incomplete,
}: Pick<Findings, 'excess' | 'missing' | 'incomplete'> & {
  readonly failures: readonly string[]
}): Findings {
  const [unknown] = failures
  const verdict =
    excess.length > 0
      ? 'excess'
      : unknown !== undefined
        ? 'unknown'
        : missing.length > 0
          ? 'missing'
          : 'least'
  return { verdict, excess, missing, ...(unknown !== undefined && { unknown }), incomplete }
}

/** A few at a time: a credential is examined beside everything else that goes on at a start. */
async function inTurn<T, R>(
  all: readonly T[],
  each: (one: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  const rest = [...all.entries()]
  const work = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [at, one] = next
      results[at] = await each(one)
    }
  }
  await Promise.all([work(), work(), work(), work()])
  return results
}

interface Listed {
  readonly namespace: string
  readonly rules: readonly Rule[]
  readonly incomplete: boolean
}

/** @throws when it is no status of a SelfSubjectRulesReview */
function readRules(status: unknown): { rules: readonly Rule[]; incomplete: boolean } {
  const resources = member(status, 'resourceRules')
  const paths = member(status, 'nonResourceRules')
  const incomplete = member(status, 'incomplete')
  if (!Array.isArray(resources) || typeof incomplete !== 'boolean') {
    throw new Error('the answer lists no rules')
  }
  return {
    rules: [...resources, ...(Array.isArray(paths) ? paths : [])].map(readRule),
    incomplete,
  }
}

function readRule(rule: unknown): Rule {
  const list = (name: string): readonly string[] | undefined => {
    const value = member(rule, name) ?? undefined
    if (value === undefined) return undefined
    if (Array.isArray(value) && value.every(one => typeof one === 'string')) return value
    throw new Error('the answer lists what is no rule')
  }
  const [apiGroups, resources, resourceNames, nonResourceURLs] = [
    list('apiGroups'),
    list('resources'),
    list('resourceNames'),
    list('nonResourceURLs'),
  ]
  return {
    verbs: list('verbs') ?? [],
    ...(apiGroups && { apiGroups }),
    ...(resources && { resources }),
    ...(resourceNames && { resourceNames }),
    ...(nonResourceURLs && { nonResourceURLs }),
  }
}

/** @throws when it is no status of a SelfSubjectAccessReview */
function readAllowed(status: unknown): boolean {
  const allowed = member(status, 'allowed')
  if (typeof allowed !== 'boolean') throw new Error('the answer allows and denies nothing')
  return allowed
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

interface Excess extends Rule {
  /** The only ones in which it was listed; absent where it was in all. */
  readonly namespaces?: readonly string[]
}

/** What is listed and not in order, each once. */
function excessRules(listed: readonly Listed[], held: readonly Allowance[]): readonly Excess[] {
  const where = new Map<string, { rule: Rule; namespaces: string[] }>()
  for (const { namespace, rules } of listed) {
    const here = new Map(
      rules.flatMap(rule => beyond(rule, held)).map(rule => [inWords(rule), rule]),
    )
    for (const [words, rule] of here) {
      const known = where.get(words)
      if (known) known.namespaces.push(namespace)
      else where.set(words, { rule, namespaces: [namespace] })
    }
  }
  return [...where.values()].map(({ rule, namespaces }) =>
    namespaces.length === listed.length ? rule : { ...rule, namespaces },
  )
}

const inPlace = ({ namespaces, ...rule }: Excess): string =>
  namespaces === undefined
    ? inWords(rule)
    : `${inWords(rule)}, in the namespace ${namespaces.join(', ')}`

function isAmong(rules: readonly Excess[], probe: Rule): boolean {
  const everywhere = rules.filter(rule => rule.namespaces === undefined)
  const [verb = ''] = probe.verbs
  const [group = ''] = probe.apiGroups ?? []
  const [resource = ''] = probe.resources ?? []
  return allows(everywhere, verb, group, resource, probe.resourceNames?.[0] ?? '')
}

/** The rules that are lacking for whichever kind of impersonation the credential comes nearer to. */
function missingFrom(
  rules: readonly Rule[],
  configuration: RightsConfiguration,
): readonly string[] {
  const lacking = (mode: RightsMode): readonly Right[] =>
    neededRights(configuration, mode).filter(right => !holds(rules, right))
  const [legacy, constrained] = [lacking('legacy'), lacking('constrained')]
  const isConstrained = rules.some(({ verbs }) => verbs.includes('impersonate:user-info'))
  return (isConstrained ? constrained : legacy).map(inWords)
}

/**
 * Whether a needed right is there, at least for some names: which ones exist is not ours to know. Of the verbs
 * that may be used as somebody else one is enough, since leaving some out is a choice.
 */
function holds(rules: readonly Rule[], right: Right): boolean {
  // Roles of a namespace are listed there alone.
  if (right.namespace !== undefined) return true
  const has = (list: readonly string[] | undefined, value: string): boolean =>
    list !== undefined && (list.includes('*') || list.includes(value))
  const some = right.verbs.some(verb => verb.startsWith('impersonate-on:'))
  const isHeld = (verb: string): boolean =>
    right.nonResourceURLs
      ? rules.some(rule => rule.nonResourceURLs && has(rule.verbs, verb))
      : (right.resources ?? []).every(resource =>
          rules.some(
            rule =>
              has(rule.verbs, verb) &&
              (some || has(rule.apiGroups, right.apiGroups?.[0] ?? '')) &&
              (some ? rule.resources !== undefined : has(rule.resources, resource)) &&
              namesSuffice(rule, right),
          ),
        )
  return some ? right.verbs.some(isHeld) : right.verbs.every(isHeld)
}

const namesSuffice = (rule: Rule, { resourceNames: needed }: Right): boolean => {
  const { resourceNames: held = [] } = rule
  return needed === undefined || held.length === 0 || needed.some(name => held.includes(name))
}
