import type { Identity } from '../identity.js'
import { Refusal } from '../refusal.js'
import type { AccessQuestion, AccessReview } from './access-review.js'
import { originalUser } from './asked.js'
import { groupsAt, serviceAccountOf } from './implied-groups.js'

export interface ActingAsOptions {
  /** Questions of one request that may be under way at a time. @default 8 */
  readonly mostAtATime?: number
  /** How long all of them together may take. @default 5_000 ms */
  readonly timeoutMs?: number
}

/**
 * Decides whether `who` may act as `asked`, as the API server does for somebody who comes with a credential of
 * his own: every name that is asked for is a question of its own, and each must be allowed. Only to become
 * less, oneself with some of one's own groups, needs no right. After the first no nothing more is asked.
 *
 * Resolves with the identity to impersonate: the one that was asked for, and in its extra the one who asked.
 * @throws Refusal `impersonation_denied`; `access_review_unavailable` when it could not be found out
 */
export async function actingAs(
  who: Identity,
  asked: Identity,
  review: AccessReview,
  options: ActingAsOptions = {},
): Promise<Identity> {
  if (!isLess(asked, who)) await mustAllowAll(questionsFor(who, asked), review, options)
  return Object.freeze({
    ...asked,
    extra: Object.freeze({ ...asked.extra, ...original(who) }),
  })
}

async function mustAllowAll(
  questions: readonly AccessQuestion[],
  review: AccessReview,
  { mostAtATime = 8, timeoutMs = 5_000 }: ActingAsOptions,
): Promise<void> {
  let next = 0
  let denied: AccessQuestion | undefined
  let failed: { readonly cause: unknown } | undefined
  const askOneByOne = async (): Promise<void> => {
    while (!denied && !failed && next < questions.length) {
      const question = questions[next]!
      next += 1
      try {
        if (!(await review(question))) denied ??= question
      } catch (error) {
        failed ??= { cause: error }
      }
    }
  }
  const timer = failAfter(timeoutMs)
  try {
    await Promise.race([Promise.all(Array.from({ length: mostAtATime }, askOneByOne)), timer.fired])
  } catch (error) {
    failed ??= { cause: error }
  } finally {
    timer.clear()
  }
  // Of a no and of what could not be found out, the no is known.
  if (denied) {
    const { resource } = denied.resourceAttributes
    throw new Refusal('impersonation_denied', `may not impersonate these ${resource}`)
  }
  if (failed) throw new Refusal('access_review_unavailable', undefined, failed)
}

function failAfter(ms: number): { readonly fired: Promise<never>; clear(): void } {
  let timer: NodeJS.Timeout | undefined
  const fired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the questions took too long together')), ms)
  })
  return { fired, clear: () => clearTimeout(timer) }
}

/** Who is behind it, for the API server's audit log. */
const original = ({ username, groups, uid }: Identity): Identity['extra'] => ({
  [originalUser.name]: Object.freeze([username]),
  ...(groups.length > 0 && { [originalUser.groups]: groups }),
  ...(uid !== undefined && { [originalUser.uid]: Object.freeze([uid]) }),
})

/** Whether somebody asks for himself with nothing that he has not got. */
function isLess(asked: Identity, who: Identity): boolean {
  const own = new Set(groupsAt(who))
  return (
    asked.username === who.username &&
    (asked.uid === undefined || asked.uid === who.uid) &&
    groupsAt(asked).every(group => own.has(group)) &&
    Object.entries(asked.extra).every(([key, values]) => {
      const has = Object.hasOwn(who.extra, key) ? (who.extra[key] ?? []) : []
      return values.every(value => has.includes(value))
    })
  )
}

function questionsFor(who: Identity, asked: Identity): readonly AccessQuestion[] {
  const requester = {
    user: who.username,
    groups: groupsAt(who),
    ...(who.uid !== undefined && { uid: who.uid }),
    ...(Object.keys(who.extra).length > 0 && { extra: who.extra }),
  }
  const about = (
    attributes: Pick<
      AccessQuestion['resourceAttributes'],
      'group' | 'resource' | 'name' | 'namespace' | 'subresource'
    >,
  ): AccessQuestion => ({
    ...requester,
    resourceAttributes: { verb: 'impersonate', version: 'v1', ...attributes },
  })
  const core = ''
  const authentication = 'authentication.k8s.io'
  const account = serviceAccountOf(asked.username)
  return [
    account
      ? about({ group: core, resource: 'serviceaccounts', ...account })
      : about({ group: core, resource: 'users', name: asked.username }),
    ...(asked.uid === undefined
      ? []
      : [about({ group: authentication, resource: 'uids', name: asked.uid })]),
    ...asked.groups.map(name => about({ group: core, resource: 'groups', name })),
    ...Object.entries(asked.extra).flatMap(([subresource, values]) =>
      values.map(name =>
        about({ group: authentication, resource: 'userextras', subresource, name }),
      ),
    ),
  ]
}
