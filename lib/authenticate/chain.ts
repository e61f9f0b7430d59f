import type { Authenticator, Credential, AnyVerdict, Waiting } from './authenticator.js'

/**
 * Asks one after the other until one knows the credential. Only who abstains hands it on: what is rejected, or
 * could not be found out, is nobody else's to accept. Where all abstain, the first one's reason stands.
 */
export function createChain(
  first: Authenticator<AnyVerdict>,
  ...others: readonly Authenticator<AnyVerdict>[]
): Authenticator<AnyVerdict> {
  const [second, ...rest] = others
  if (second === undefined) return first
  const next = createChain(second, ...rest)

  const handOn = (
    credential: Credential,
    waiting: Waiting,
    verdict: AnyVerdict,
  ): Promise<AnyVerdict> | AnyVerdict => {
    if (verdict.outcome !== 'abstained') return verdict
    const handed = next.authenticate(credential, waiting)
    return handed instanceof Promise
      ? handed.then(settled => reasoned(settled, verdict))
      : reasoned(handed, verdict)
  }
  return {
    name: `${first.name}, ${next.name}`,
    authenticate: (credential, waiting) => {
      const verdict = first.authenticate(credential, waiting)
      return verdict instanceof Promise
        ? verdict.then(settled => handOn(credential, waiting, settled))
        : handOn(credential, waiting, verdict)
    },
  }
}

const reasoned = (verdict: AnyVerdict, before: AnyVerdict): AnyVerdict =>
  verdict.outcome === 'abstained' ? before : verdict
