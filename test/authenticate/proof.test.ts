import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { rulesOfFlags } from '../../lib/authenticate/flag-configuration.js'
import { createIssuer, type Issuer } from '../../lib/authenticate/issuer.js'
import type { Keys } from '../../lib/authenticate/keys.js'
import { parseToken } from '../../lib/authenticate/token.js'
import type { Judgement } from '../../lib/authenticate/verdicts.js'
import { turns } from './fake-clock.js'
import { claims, flags, issuerUrl, limits, nowSeconds } from './fake-issuer.js'
import { createSigner, signed } from './tokens.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const key = createSigner('ES256', 'key')
const { signal } = new AbortController()

/** Claims of which the groups are to be had elsewhere. */
const pointing = claims({
  _claim_names: { groups: 'src' },
  _claim_sources: { src: { endpoint: `${issuerUrl}/groups` } },
})

/** One issuer whose keys say what they are told to. */
function issuerWith(
  verify: Keys['verify'],
  getText = async (): Promise<string> => signed(key, claims({ groups: ['a'] })),
): Issuer {
  const keys: Keys = {
    verify,
    ready: true,
    answered: true,
    state: () => 'ready',
    refresh: () => {},
    close: async () => {},
  }
  return createIssuer({
    rules: rulesOfFlags(flags),
    limits,
    claimsOptions: {
      issuerUrl,
      audiences: ['gateway'],
      signingAlgs: ['ES256'],
      clockSkewSeconds: 30,
    },
    keys,
    getText,
    now: () => nowSeconds * 1000,
  })
}

t.test('what is remembered of a token does not keep its claims', async t => {
  const issuer = issuerWith(async () => ({ live: true }))
  const judged = async (said: object): Promise<[Judgement, WeakRef<object>]> => {
    const token = parseToken(signed(key, said))
    return [await issuer.judge(token, 'digest', signal), new WeakRef(token.claims)]
  }
  for (const said of [claims({ groups: ['a'] }), pointing]) {
    const [{ verdict, proof }, kept] = await judged(said)
    await turns()
    gc()
    t.equal(kept.deref(), undefined)
    t.match(verdict, { outcome: 'authenticated', identity: { groups: ['a'] } })
    t.equal(proof?.live, true)
  }
})
