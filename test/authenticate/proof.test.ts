import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { rulesOfFlags } from '../../lib/authenticate/flag-configuration.js'
import { createIssuer, type Issuer } from '../../lib/authenticate/issuer.js'
import type { Keys, Proof } from '../../lib/authenticate/keys.js'
import { parseToken } from '../../lib/authenticate/token.js'
import type { Judgement } from '../../lib/authenticate/verdicts.js'
import { Refusal } from '../../lib/refusal.js'
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

t.test('a key withdrawn while a claim was fetched proves nothing any more', async t => {
  const token = parseToken(signed(key, pointing))
  const gone = new Refusal('token_key')
  const unknown = new Refusal('issuer_unavailable')
  /** What the keys say of the token once the claim is there; of what was fetched they say yes. */
  const judged = async (then: () => Proof | Refusal): Promise<unknown> => {
    const before = { live: true }
    let asked = 0
    const issuer = issuerWith(
      async ({ compact }) => {
        if (compact !== token.compact) return { live: true }
        asked += 1
        return asked === 1 ? before : then()
      },
      async () => {
        before.live = false
        return signed(key, claims({ groups: ['a'] }))
      },
    )
    try {
      const { verdict, proof } = await issuer.judge(token, 'digest', signal)
      return [verdict.outcome === 'authenticated' || verdict.refusal, proof?.live]
    } catch (error) {
      return error
    }
  }
  t.strictSame(await judged(() => gone), [gone, undefined])
  t.strictSame(await judged(() => ({ live: true })), [true, true], 'another key may do')
  t.equal(
    await judged(() => {
      throw unknown
    }),
    unknown,
  )
})
