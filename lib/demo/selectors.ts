import { ApiError } from './api-error.js'
import { at, type KubernetesObject } from './objects.js'

export type Selects = (object: KubernetesObject) => boolean

/**
 * What `labelSelector` and `fieldSelector` of a query select, together.
 * @throws 400 for a selector that cannot be read
 */
export function selector(query: URLSearchParams): Selects {
  const terms = [
    ...split(query.get('labelSelector') ?? '').map(labelTerm),
    ...split(query.get('fieldSelector') ?? '').map(fieldTerm),
  ]
  return object => terms.every(term => term(object))
}

function labelTerm(term: string): Selects {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term)
  if (set) {
    const [, key = '', operator, list = ''] = set
    const wanted = list.split(',').map(value => value.trim())
    return object => {
      const value = object.metadata.labels?.[key]
      return (value !== undefined && wanted.includes(value)) === (operator === 'in')
    }
  }
  const { key, negated, value } = comparison(term)
  if (value !== undefined) {
    return object => (object.metadata.labels?.[key] === value) !== negated
  }
  return object => (object.metadata.labels?.[key] !== undefined) !== negated
}

function fieldTerm(term: string): Selects {
  const { key, negated, value } = comparison(term)
  if (value === undefined)
    throw ApiError.badRequest(`invalid field selector ${JSON.stringify(term)}`)
  const path = key.split('.')
  return object => {
    const found = at(object, ...path)
    return ((typeof found === 'string' ? found : '') === value) !== negated
  }
}

interface Comparison {
  readonly key: string
  readonly negated: boolean
  /** Absent where only the presence of the key is asked for. */
  readonly value?: string
}

function comparison(term: string): Comparison {
  const compared = /^([^=!\s]+)\s*(==?|!=)\s*(\S*)$/.exec(term)
  if (compared) {
    const [, key = '', operator, value = ''] = compared
    return { key, negated: operator === '!=', value }
  }
  const present = /^(!?)\s*([^=!\s]+)$/.exec(term)
  if (!present) throw ApiError.badRequest(`unable to parse requirement: ${JSON.stringify(term)}`)
  return { key: present[2] ?? '', negated: present[1] === '!' }
}

/** At the commas that stand outside of parentheses. */
function split(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map(term => term.trim())
    .filter(term => term !== '')
}
