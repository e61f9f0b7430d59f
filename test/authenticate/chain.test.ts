import t from 'tap'
import type { Authenticator, AnyVerdict } from '../../lib/authenticate/authenticator.js'
import { createChain } from '../../lib/authenticate/chain.js'
import { Refusal } from '../../lib/refusal.js'
import { Secret } from '../../lib/secret.js'

const credential = { kind: 'bearer', token: new Secret('x', 'token') } as const
const waiting = { signal: new AbortController().signal }
const abstains = (code: 'token_issuer' | 'token_malformed'): AnyVerdict => ({
  outcome: 'abstained',
  refusal: new Refusal(code),
})
const foreign: AnyVerdict = { outcome: 'foreign', expiresAt: Infinity }

/** Whose verdict it was, and who was asked. */
async function asked(
  ...verdicts: ReadonlyArray<AnyVerdict | Promise<AnyVerdict> | Error>
): Promise<readonly [AnyVerdict | string, string]> {
  const heard: number[] = []
  const [first, ...others] = verdicts.map((verdict, at): Authenticator<AnyVerdict> => ({
    name: String(at),
    authenticate: () => {
      heard.push(at)
      if (verdict instanceof Error) throw verdict
      return verdict
    },
  }))
  const chain = createChain(first!, ...others)
  try {
    return [await chain.authenticate(credential, waiting), heard.join()]
  } catch (error) {
    return [String(error), heard.join()]
  }
}

t.test('only an abstention is handed on', async t => {
  const rejected: AnyVerdict = { outcome: 'rejected', refusal: new Refusal('token_expired') }
  const known: AnyVerdict = {
    outcome: 'authenticated',
    identity: { username: 'alice', groups: [], extra: {} },
    expiresAt: 1,
  }
  for (const settled of [rejected, known, foreign]) {
    t.strictSame(await asked(settled, foreign), [settled, '0'])
    t.strictSame(await asked(Promise.resolve(settled), foreign), [settled, '0'])
    t.strictSame(await asked(abstains('token_issuer'), settled), [settled, '0,1'])
    const later = Promise.resolve(abstains('token_issuer'))
    t.strictSame(await asked(later, Promise.resolve(settled)), [settled, '0,1'])
  }
  t.strictSame(await asked(new Error('down'), foreign), ['Error: down', '0'], 'nor is not knowing')
  t.strictSame(await asked(abstains('token_issuer'), new Error('down')), ['Error: down', '0,1'])
})

t.test('where all abstain, the first one says why', async t => {
  const first = abstains('token_issuer')
  t.strictSame(await asked(first, abstains('token_malformed')), [first, '0,1'])
  t.strictSame(await asked(first), [first, '0'])
})
