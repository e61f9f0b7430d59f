import type { Identity } from '../identity.js'
import type { ExplainedStep, Explanation } from './explain.js'

/** What would go to the API server because of an identity. */
export interface Upstream {
  /** Whose credential it would be. */
  readonly credential: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

/**
 * An explanation for a reader.
 * @param now milliseconds since the epoch
 */
export function explainedAsText(
  explanation: Explanation,
  upstream: Upstream | undefined,
  now: number,
): string {
  const { verdict, refusal, issuer, header, steps, identity, hints } = explanation
  const no = refusal && `: ${refusal.code} (${refusal.status} ${refusal.reason})`
  const { alg = 'none', kid = 'none', typ = 'none' } = header ?? {}
  const whose = verdict === 'refused' ? 'Identity, if it were accepted' : 'Identity'
  const sections: ReadonlyArray<readonly string[]> = [
    [`${answers[verdict]}${no ?? ''}`],
    [
      ...(header === undefined ? [] : [`header  alg ${alg}, kid ${kid}, typ ${typ}`]),
      ...(issuer === undefined ? [] : [`rules   of ${issuer}`]),
    ],
    ['Rules, in the order in which they are applied', ...steps.map(step => stepLine(step, now))],
    identity === undefined ? [] : [whose, ...identityLines(identity)],
    upstream === undefined
      ? []
      : [
          `To the API server, with ${upstream.credential}`,
          ...upstream.headers.map(([name, value]) => `  ${name}: ${value}`),
        ],
    hints.length === 0 ? [] : ['Hints', ...hints.map(hint => `  ${hint}`)],
  ]
  const text = sections
    .filter(section => section.length > 0)
    .map(section => section.map(readable).join('\n'))
  return `${text.join('\n\n')}\n`
}

/** A stranger may have written what stands in a line: nothing of it moves a cursor or begins another line. */
const readable = (line: string): string =>
  line.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, escaped)

const escaped = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** The same for a program. The shape is part of the interface: members are added, never changed. */
export function explainedAsJson(explanation: Explanation, upstream: Upstream | undefined): string {
  const { refusal, steps, ...rest } = explanation
  const no = refusal && {
    code: refusal.code,
    status: refusal.status,
    reason: refusal.reason,
    message: refusal.toStatus().message,
    detail: refusal.message,
  }
  const told = {
    ...rest,
    ...(no && { refusal: no }),
    steps: steps.map(({ refusal: it, ...step }) => ({ ...step, ...(it && { code: it.code }) })),
    ...(upstream && { upstream }),
  }
  return `${JSON.stringify(told, undefined, 2).replace(terminal, escaped)}\n`
}

/** JSON may have these as they are; a terminal would take them for orders. */
const terminal = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

const answers: Readonly<Record<Explanation['verdict'], string>> = {
  accepted: 'accepted',
  refused: 'refused',
  unproven: 'accepted, if the signature is right: the issuer was not asked',
  unknown: 'not known: the issuer could not be asked',
}

function stepLine(step: ExplainedStep, now: number): string {
  const { rule, claim, expression, value, verdict, why, found } = step
  const source = expression ?? (claim === undefined || claim === rule ? '' : `claim ${claim}`)
  // The identity is told below.
  const gave = value === undefined || rule === 'identity' ? '' : ` = ${shown(rule, value, now)}`
  const said = found === undefined ? '' : `; it is ${shown(rule, found, now)}`
  const because = why === undefined ? '' : `: ${why}${said}`
  return `  ${verdict.padEnd(8)}${rule}${source === '' ? '' : `  (${source})`}${gave}${because}`
}

/** Times also in words, relative to now. */
function shown(rule: string, value: unknown, now: number): string {
  const text = JSON.stringify(value) ?? ''
  if (!/^(?:exp|nbf|iat)$/.test(rule) || typeof value !== 'number') return bounded(text)
  const seconds = Math.round(value - now / 1000)
  const far = `${duration(Math.abs(seconds))} ${seconds < 0 ? 'ago' : 'ahead'}`
  return `${text} (${new Date(value * 1000).toISOString()}, ${far})`
}

const duration = (seconds: number): string =>
  seconds < 120
    ? `${seconds} s`
    : seconds < 7_200
      ? `${Math.round(seconds / 60)} min`
      : `${Math.round(seconds / 3_600)} h`

const bounded = (text: string): string => (text.length > 2_000 ? `${text.slice(0, 2_000)}…` : text)

const identityLines = ({ username, uid, groups, extra }: Identity): string[] => [
  `  user    ${JSON.stringify(username)}`,
  ...(uid === undefined ? [] : [`  uid     ${JSON.stringify(uid)}`]),
  `  groups  ${groups.length === 0 ? 'none' : groups.map(group => JSON.stringify(group)).join(', ')}`,
  ...Object.entries(extra).map(
    ([key, values]) => `  extra   ${JSON.stringify(key)} = ${JSON.stringify(values)}`,
  ),
]
