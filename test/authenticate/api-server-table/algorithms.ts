import { claims, one, type Row } from './row.js'

/**
 * How a token may be signed. With a file kube-apiserver accepts all nine; that its flag accepts RS256
 * alone unless told otherwise is in test/settings.
 */
export const algorithmRows: readonly Row[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'].map(
    (alg): Row => ({
      says: `${alg} is accepted`,
      configuration: one(),
      token: { claims: claims(), alg },
      apiServer: { user: 'jane' },
    }),
  ),
  {
    says: 'EdDSA is not accepted',
    configuration: one(),
    token: { claims: claims(), alg: 'EdDSA' },
    apiServer: 'rejected',
    ours: { outcome: { user: 'jane' }, because: 'EdDSA is accepted, too' },
  },
  {
    says: 'a key that the issuer does not publish proves nothing',
    configuration: one(),
    token: { claims: claims(), published: false },
    apiServer: 'rejected',
  },
]
