import type { Responder } from './api-server.js'

/** A rule of RBAC, as reviews list it. */
export interface HeldRule {
  readonly verbs: readonly string[]
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
}

/** What an API server knows of the rights of whoever asks for his own. */
export interface HeldRights {
  readonly rules: readonly HeldRule[]
  /** @default false */
  readonly incomplete?: boolean
}

/** That of a gateway which may do nothing that these reviews tell of. */
export const unknownRights: HeldRights = { rules: [], incomplete: true }

/** Answers SelfSubjectAccessReview and SelfSubjectRulesReview as RBAC would. */
export function reviewedRights({ rules, incomplete = false }: HeldRights): Responder {
  return (request, answer) => {
    const review = JSON.parse(String(request.body)) as {
      readonly kind: string
      readonly spec: { readonly resourceAttributes?: Partial<Record<string, string>> }
    }
    const {
      verb = '',
      group = '',
      resource = '',
      subresource,
      name = '',
    } = review.spec.resourceAttributes ?? {}
    const kind = subresource === undefined ? resource : `${resource}/${subresource}`
    const holds = (list: readonly string[] | undefined, value: string): boolean =>
      list !== undefined && (list.includes('*') || list.includes(value))
    const status =
      review.kind === 'SelfSubjectRulesReview'
        ? {
            resourceRules: rules.filter(rule => rule.resources),
            nonResourceRules: rules.filter(rule => rule.nonResourceURLs),
            incomplete,
          }
        : {
            allowed: rules.some(
              rule =>
                holds(rule.verbs, verb) &&
                holds(rule.apiGroups, group) &&
                holds(rule.resources, kind) &&
                (rule.resourceNames === undefined || rule.resourceNames.includes(name)),
            ),
          }
    return answer.reply(201, {}, { apiVersion: 'authorization.k8s.io/v1', ...review, status })
  }
}

/** Whether a request is the gateway's own question about its rights: of nobody's, it says not for whom it is. */
export const isAboutRights = (
  method: string,
  target: string,
  values: (name: string) => readonly string[],
): boolean =>
  method === 'POST' &&
  /^\/apis\/authorization\.k8s\.io\/v1\/selfsubject(access|rules)reviews$/.test(target) &&
  values('x-forwarded-for').length === 0
