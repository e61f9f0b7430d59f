import { ApiError } from './api-error.js'
import { member, type Authenticate, type Caller } from './callers.js'
import { at, isJson, listAt, textAt, type Json } from './objects.js'
import { allows, rulesFor, type Attributes, type Rule } from './rbac.js'

export interface ReviewOptions {
  readonly caller: Caller
  readonly rules: readonly Rule[]
  readonly authenticate: Authenticate
  readonly namespace: string
}

type Review = (
  request: Json,
  options: ReviewOptions,
) => { kind: string; group: string; status: object }

const authentication = 'authentication.k8s.io'
const authorization = 'authorization.k8s.io'

/** The questions that the API answers about callers: each by the name of its resource. */
const reviews: Readonly<Record<string, Review>> = {
  [`${authentication}/selfsubjectreviews`]: (_request, { caller }) => ({
    kind: 'SelfSubjectReview',
    group: authentication,
    status: { userInfo: userInfo(caller) },
  }),
  [`${authentication}/tokenreviews`]: (request, { authenticate }) => {
    const known = authenticate(textAt(request, 'spec', 'token'))
    return {
      kind: 'TokenReview',
      group: authentication,
      status: known
        ? { authenticated: true, user: userInfo(member({ ...known, extra: {} })) }
        : { user: {}, error: 'invalid bearer token' },
    }
  },
  [`${authorization}/selfsubjectaccessreviews`]: (request, { caller, rules }) => ({
    kind: 'SelfSubjectAccessReview',
    group: authorization,
    status: decision(rules, caller, request),
  }),
  [`${authorization}/subjectaccessreviews`]: (request, { rules }) => ({
    kind: 'SubjectAccessReview',
    group: authorization,
    status: decision(rules, subject(request), request),
  }),
  [`${authorization}/localsubjectaccessreviews`]: (request, { rules, namespace }) => {
    if (textAt(request, 'spec', 'resourceAttributes', 'namespace') !== namespace) {
      throw ApiError.badRequest(
        'spec.resourceAttributes.namespace must be the namespace of the review',
      )
    }
    return {
      kind: 'LocalSubjectAccessReview',
      group: authorization,
      status: decision(rules, subject(request), request),
    }
  },
  [`${authorization}/selfsubjectrulesreviews`]: (request, { caller, rules }) => ({
    kind: 'SelfSubjectRulesReview',
    group: authorization,
    status: rulesStatus(rulesFor(rules, caller, textAt(request, 'spec', 'namespace'))),
  }),
}

/** Whether there is such a review. */
export function isReview(group: string, resource: string): boolean {
  return Object.hasOwn(reviews, `${group}/${resource}`)
}

/** The review, answered: the request again, with `status`. */
export function answerReview(
  group: string,
  resource: string,
  request: unknown,
  options: ReviewOptions,
): Json {
  const review = reviews[`${group}/${resource}`]
  if (review === undefined) throw ApiError.noSuchPath()
  if (!isJson(request)) throw ApiError.badRequest('the body of the request is not an object')
  const { kind, status } = review(request, options)
  if (request['kind'] !== undefined && request['kind'] !== kind) {
    throw ApiError.badRequest(`the object provided is not a ${kind}`)
  }
  return {
    kind,
    apiVersion: `${group}/v1`,
    metadata: { creationTimestamp: null },
    ...(isJson(request['spec']) && { spec: request['spec'] }),
    status,
  }
}

function userInfo(caller: Caller): object {
  return {
    username: caller.username,
    ...(caller.uid !== undefined && { uid: caller.uid }),
    groups: caller.groups,
    ...(Object.keys(caller.extra).length > 0 && { extra: caller.extra }),
  }
}

function decision(rules: readonly Rule[], caller: Caller, request: Json): object {
  const allowed = allows(rules, caller, attributes(request))
  return { allowed, ...(allowed && { reason: 'allowed by a rule of the stand-in' }) }
}

function attributes(request: Json): Attributes {
  const resource = at(request, 'spec', 'resourceAttributes')
  if (isJson(resource)) {
    return {
      verb: textAt(resource, 'verb'),
      group: textAt(resource, 'group'),
      resource: textAt(resource, 'resource'),
      subresource: textAt(resource, 'subresource'),
      namespace: textAt(resource, 'namespace'),
      name: textAt(resource, 'name'),
    }
  }
  const path = at(request, 'spec', 'nonResourceAttributes')
  if (isJson(path)) return { verb: textAt(path, 'verb'), path: textAt(path, 'path') }
  const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified'
  throw ApiError.invalid('SubjectAccessReview', '', `spec.resourceAttributes: ${why}`)
}

/** The groups count as they are given: nobody is put into `system:authenticated` here. */
function subject(request: Json): Caller {
  const username = textAt(request, 'spec', 'user')
  const groups = listAt(request, 'spec', 'groups').filter(group => typeof group === 'string')
  if (username === '' && groups.length === 0) {
    const why = 'at least one of user or group must be specified'
    throw ApiError.invalid('SubjectAccessReview', '', `spec.user: ${why}`)
  }
  return { username, groups, extra: {} }
}

function rulesStatus(rules: readonly Rule[]): object {
  return {
    resourceRules: rules
      .filter(rule => rule.resources)
      .map(rule => ({
        verbs: rule.verbs,
        apiGroups: rule.apiGroups ?? [''],
        resources: rule.resources,
        ...(rule.resourceNames && { resourceNames: rule.resourceNames }),
      })),
    nonResourceRules: rules
      .filter(rule => rule.paths)
      .map(rule => ({ verbs: rule.verbs, nonResourceURLs: rule.paths })),
    incomplete: false,
  }
}
