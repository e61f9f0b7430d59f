import { loadConfiguration } from '../../lib/authenticate/load-configuration.js'
import {
  claims,
  createFakeIssuer,
  issuerUrl,
  nowSeconds,
  startSubject,
} from '../authenticate/fake-issuer.js'
import { createSigner, signed } from '../authenticate/tokens.js'

const rounds = 7
const tokensARound = 300

const configuration = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: "${issuerUrl}", audiences: [gateway] }
    claimValidationRules:
      - { expression: 'claims.hd == "example.com"', message: 'another domain' }
      - { expression: 'claims.exp - claims.nbf <= 86400', message: 'too long a life' }
    claimMappings:
      username: { expression: 'claims.email_verified ? "oidc:" + claims.email : ""' }
      groups: { expression: 'dyn(claims.roles).filter(r, r.startsWith("k8s-")).map(r, "oidc:" + r)' }
    userValidationRules:
      - { expression: '!user.username.startsWith("system:")', message: 'reserved' }
`

/**
 * What a token costs that was never seen before, under a configuration of five expressions: CPU of parsing,
 * claims, RS256 signature, expressions and names, in this process alone. Says so in a line.
 */
export async function newToken(): Promise<string> {
  const result = loadConfiguration(configuration)
  if ('faults' in result) throw new Error(result.faults.map(({ says }) => says).join('\n'))
  const signer = createSigner('RS256')
  const subject = await startSubject(createFakeIssuer(signer), { rules: result.loaded.rules })
  const tokensOf = (round: number): readonly string[] =>
    Array.from({ length: tokensARound }, (_token, at) =>
      signed(
        signer,
        claims({
          sub: `${round}-${at}`,
          nbf: nowSeconds - 60,
          hd: 'example.com',
          email: 'alice@example.com',
          email_verified: true,
          roles: Array.from({ length: 20 }, (_role, n) => `k8s-team-${n}`),
        }),
      ),
    )
  const samples: number[] = []
  for (let round = 0; round < rounds; round++) {
    const tokens = tokensOf(round)
    const before = process.cpuUsage()
    for (const token of tokens) {
      const verdict = await subject.ask(token)
      if (verdict.outcome !== 'authenticated') throw new Error(`a token was ${verdict.outcome}`)
    }
    const { user, system } = process.cpuUsage(before)
    samples.push((user + system) / tokensARound)
  }
  await subject.authenticator.close()
  const sorted = samples.toSorted((one, other) => one - other)
  const [least, median, most] = [0, rounds >> 1, rounds - 1].map(at => sorted[at]!.toFixed(0))
  return `new token, five expressions, 20 groups (${rounds} rounds of ${tokensARound}, in process)
  CPU µs/token   ${median}   (${least} … ${most})\n`
}
