import { noOverload } from './fault.js'
import { define, type Definition } from './function.js'
import { spend, textCost, type Frame } from './frame.js'
import { quotedVisibly } from './quoted.js'
import { parseTimestamp } from './times.js'
import { faultOfUrl } from './urls.js'
import { none, Opaque, Optional, type Value } from './values.js'

/** Says what is wrong with a text, in Kubernetes' words; nothing when nothing is. */
type Validate = (text: string) => readonly string[]

/** A rule for texts that Kubernetes has a name for. */
class NamedFormat extends Opaque {
  readonly typeName = 'kubernetes.NamedFormat'
  readonly name: string
  readonly validate: Validate

  constructor(name: string, validate: Validate) {
    super()
    this.name = name
    this.validate = validate
  }

  toString(): string {
    return this.name
  }

  equals(other: Value): boolean {
    if (!(other instanceof NamedFormat)) throw noOverload('_==_')
    return this.name === other.name
  }
}

const byteLength = (text: string): number => Buffer.byteLength(text, 'utf8')

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const subdomain = `${label}(\\.${label})*`
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const labelKey = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'

const explain = (rule: string, pattern: string, ...examples: readonly string[]): string =>
  `${rule} (e.g. ${examples.map(example => `'${example}', `).join(' or ')}` +
  `regex used for validation is '${pattern}')`

/** None of them goes back over a text more than once. */
const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`)
const isLabel = whole(label)
const isSubdomain = whole(subdomain)
const isLabel1035 = whole(label1035)
const isLabelKey = whole(labelKey)
const isLabelValue = whole(`(${labelKey})?`)

const dns1123Label: Validate = text => [
  ...(byteLength(text) > 63 ? ['must be no more than 63 characters'] : []),
  ...whatIsNotALabel(text),
]

function whatIsNotALabel(text: string): readonly string[] {
  if (isLabel.test(text)) return []
  if (isSubdomain.test(text)) return ['must not contain dots']
  return [
    explain(
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
      label,
      'my-name',
      '123-abc',
    ),
  ]
}

const dns1123Subdomain: Validate = text => [
  ...(byteLength(text) > 253 ? ['must be no more than 253 characters'] : []),
  ...(isSubdomain.test(text)
    ? []
    : [
        explain(
          "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
          subdomain,
          'example.com',
        ),
      ]),
]

const dns1035Label: Validate = text => [
  ...(byteLength(text) > 63 ? ['must be no more than 63 characters'] : []),
  ...(isLabel1035.test(text)
    ? []
    : [
        explain(
          "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
          label1035,
          'my-name',
          'abc-123',
        ),
      ]),
]

const keyRule = explain(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  labelKey,
  'MyName',
  'my.name',
  '123-abc',
)

const qualifiedName: Validate = text => {
  const parts = text.split('/')
  if (parts.length > 2) {
    return [
      `a valid label key ${keyRule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ]
  }
  const [prefix, name = ''] = parts.length === 2 ? parts : [undefined, text]
  const says: string[] = []
  if (prefix === '') says.push('prefix part must be non-empty')
  else if (prefix !== undefined) {
    says.push(
      ...dns1123Subdomain(prefix).map(
        fault => `prefix part ${fault.replace(/ characters$/, ' bytes')}`,
      ),
    )
  }
  if (name === '') says.push('name part must be non-empty')
  else if (byteLength(name) > 63) says.push('name part must be no more than 63 bytes')
  if (!isLabelKey.test(name)) says.push(`name part ${keyRule}`)
  return says
}

const labelValue: Validate = text => [
  ...(byteLength(text) > 63 ? ['must be no more than 63 bytes'] : []),
  ...(isLabelValue.test(text)
    ? []
    : [
        explain(
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
          `(${labelKey})?`,
          'MyValue',
          'my_value',
          '12345',
        ),
      ]),
]

/** A dash at the end may be followed by something, and so may what stands before it. */
const asPrefix =
  (validate: Validate): Validate =>
  text =>
    validate(text.length > 1 && text.endsWith('-') ? `${text.slice(0, -2)}a` : text)

const uri: Validate = text => {
  const fault = faultOfUrl(text)
  return fault === undefined ? [] : [`parse ${quotedVisibly(text)}: ${fault.says}`]
}

const orSay =
  (holds: (text: string) => boolean, says: string): Validate =>
  text =>
    holds(text) ? [] : [says]

const isDate = (text: string): boolean => parseTimestamp(`${text}T00:00:00Z`) !== undefined

function isDateTime(text: string): boolean {
  const [date = '', time = ''] = text.toLowerCase().split('t')
  const clock = /^(\d\d):(\d\d):(\d\d)(?:.\d+)?(?:z|[+-]\d\d:\d\d)$/.exec(time)
  const [, hours = '99', minutes = '99', seconds = '99'] = clock ?? []
  return isDate(date) && hours <= '23' && minutes <= '59' && seconds <= '59'
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

const formats: ReadonlyMap<string, NamedFormat> = new Map(
  Object.entries<Validate>({
    dns1123Label,
    dns1123Subdomain,
    dns1035Label,
    qualifiedName,
    dns1123LabelPrefix: asPrefix(dns1123Label),
    dns1123SubdomainPrefix: asPrefix(dns1123Subdomain),
    dns1035LabelPrefix: asPrefix(dns1035Label),
    labelValue,
    uri,
    uuid: orSay(text => uuid.test(text), 'does not match the UUID format'),
    byte: orSay(text => base64.test(text), 'invalid base64'),
    date: orSay(isDate, 'invalid date'),
    datetime: orSay(isDateTime, 'invalid datetime'),
  }).map(([name, validate]) => [name, new NamedFormat(name, validate)]),
)

const type = 'kubernetes.NamedFormat'

/** Kubernetes' library for named formats: `format.dns1123Label().validate(…)`. */
export const namedFormatFunctions: readonly Definition[] = [
  ...[...formats].map(([name, format]) => define(`format.${name}`, [], type, () => format)),
  define('format.named', ['string'], { optional: type }, (name: string) => {
    const format = formats.get(name)
    return format === undefined ? none : new Optional(format)
  }),
  define(
    '.validate',
    [type, 'string'],
    { optional: { list: 'string' } },
    (format: NamedFormat, text: string, frame: Frame) => {
      spend(frame, textCost(text) * 4)
      const says = format.validate(text)
      return says.length === 0 ? none : new Optional(says)
    },
  ),
]
