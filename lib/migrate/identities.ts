/** How a name is made of a claim: the prefix that is put before it. */
export interface Naming {
  readonly claim: string
  readonly prefix: string
}

/** The names that one and the same claim gave there and gives here. */
export interface NamesOf {
  readonly kind: 'user' | 'group'
  readonly claim: string
  readonly sample: string
  readonly there: string
  readonly here: string
}

export interface UserNaming {
  readonly issuerUrl: string
  readonly claim: string
  /** `--oidc-username-prefix` as it was given there; empty for none. */
  readonly written: string
}

/**
 * The prefix that kube-oidc-proxy puts before user names: what was given, as it stands. Its help tells of
 * the issuer's URL by default and of `-` for none, as at kube-apiserver; the program hands the text on
 * to the token authenticator, which takes it literally (all three repositories).
 */
export const userPrefixThere = ({ written }: UserNaming): string => written

/** The prefix that the gateway puts before user names for the same flag: kube-apiserver's rule. */
export function userPrefixHere({ issuerUrl, claim, written }: UserNaming): string {
  if (written === '-') return ''
  if (written !== '') return written
  return claim === 'email' ? '' : `${issuerUrl}#`
}
