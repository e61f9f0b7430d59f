import type { RightsVerdict } from '../channels.js'
import { allowances } from './allowed.js'
import { readAllowed, readRules } from './answers.js'
import { missingFrom } from './missing.js'
import { leavesGroupsOpen, type RightsConfiguration } from './needed.js'
import { accessSpec, administrator, anyGroup, masters, probes } from './probes.js'
import { allows, beyond, inWords, isAmong, type Allowance, type Rule } from './rule.js'

/** What is known of the rights of the gateway's own credential. */
export interface Findings {
  /**
   * `excess`: proven to have more than is needed, whatever else is missing or unknown; `unknown`: not all could be
   * found out; `open`: can say system:masters, by the one rule that the configuration cannot do without; `missing`:
   * lacks something; `least`: has what is needed, and no more that could be found.
   */
  readonly verdict: RightsVerdict
  /** What it may do beyond what is needed, in words. */
  readonly excess: readonly string[]
  /** By which needed rule it can say system:masters, in words. RBAC has no smaller one for groups of any name. */
  readonly open?: string
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
  const incomplete = listed.length < namespaces.length || listed.some(one => one.incomplete)
  const open = leavesGroupsOpen(configuration) ? openRule(listed, incomplete) : undefined
  const proven = unneeded.filter(
    (probe, at) => answers[at] === true && !isAmongExcess(rules, probe),
  )
  const asked = proven.filter(probe => probe !== masters || open === undefined)
  return found({
    excess: [
      ...rules.map(inPlace),
      ...asked.map(({ advice, ...rule }) =>
        advice === undefined ? inWords(rule) : `${inWords(rule)} (${advice})`,
      ),
    ],
    ...(open !== undefined && proven.includes(masters) && { open }),
    missing: incomplete || !listedAtHome ? [] : missingFrom(listedAtHome.rules, configuration),
    failures,
    incomplete,
  })
}

function found({
  excess,
  open,
  missing,
  failures,
  incomplete,
}: Pick<Findings, 'excess' | 'open' | 'missing' | 'incomplete'> & {
  readonly failures: readonly string[]
}): Findings {
  const [unknown] = failures
  const verdict =
    excess.length > 0
      ? 'excess'
      : unknown !== undefined
        ? 'unknown'
        : open !== undefined
          ? 'open'
          : missing.length > 0
            ? 'missing'
            : 'least'
  return {
    verdict,
    excess,
    ...(open !== undefined && { open }),
    missing,
    ...(unknown !== undefined && { unknown }),
    incomplete,
  }
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

/**
 * Where the right to say any group comes from: the rule that `rbac` prints for open groups, with no word in it that
 * stands for more. Undefined when a complete list shows no such rule: then something else gives it.
 */
function openRule(listed: readonly Listed[], incomplete: boolean): string | undefined {
  if (listed.length > 0 && listed.every(({ rules }) => isAmong(rules, anyGroup))) {
    return inWords(anyGroup)
  }
  return incomplete
    ? 'by a rule that the API server does not list, since its list is not complete'
    : undefined
}

interface Listed {
  readonly namespace: string
  readonly rules: readonly Rule[]
  readonly incomplete: boolean
}

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

function isAmongExcess(rules: readonly Excess[], probe: Rule): boolean {
  const everywhere = rules.filter(rule => rule.namespaces === undefined)
  const [verb = ''] = probe.verbs
  const [group = ''] = probe.apiGroups ?? []
  const [resource = ''] = probe.resources ?? []
  return allows(everywhere, verb, group, resource, probe.resourceNames?.[0] ?? '')
}
