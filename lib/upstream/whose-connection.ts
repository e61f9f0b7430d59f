import type { Grant } from '../grant.js'
import type { Whose } from './cluster.js'

/** Our certificate is on the connections of our own grants alone: whoever comes with none must not have it. */
export const whoseConnection = ({ credential }: Grant): Whose =>
  credential.whose === 'gateway' ? 'gateway' : 'caller'
