import { format, inspect } from 'node:util'
import t from 'tap'
import { Secret } from '../lib/secret.js'

const secret = new Secret('s3cr3t-value', 'bearer token')

t.test('a secret can be used', async t => {
  t.equal(secret.reveal(), 's3cr3t-value')
  t.equal(secret.asBearer(), 'Bearer s3cr3t-value')
})

t.test('however a secret is printed, only its label is seen', async t => {
  const error = Object.assign(new Error('failed'), { secret })
  const printed = {
    text: secret.toString(),
    concatenated: ['', secret].join(''),
    joined: ['a', secret].join(),
    json: JSON.stringify({ secret, nested: [secret] }),
    inspected: inspect({ secret }, { depth: 9, showHidden: true }),
    formatted: format('%s %o %O %j', secret, secret, secret, secret),
    error: inspect(error, { depth: 9, showHidden: true }),
    keys: JSON.stringify(Object.entries(secret)),
    spread: JSON.stringify(Object.assign({}, secret)),
    cloned: inspect(structuredClone(Object.assign({}, secret))),
  }
  for (const [way, text] of Object.entries(printed)) t.notMatch(text, 's3cr3t', way)
  t.equal(printed.text, '[bearer token]')
  t.equal(printed.json, '{"secret":"[bearer token]","nested":["[bearer token]"]}')
  t.equal(printed.inspected, '{ secret: [bearer token] }')
})
