import t from 'tap'
import { rulesOfFlags } from '../../lib/authenticate/flag-configuration.js'
import { loadConfiguration } from '../../lib/authenticate/load-configuration.js'
import { rulesFindings } from '../../lib/authenticate/rules-told.js'

t.test('rules are told in words, and what of them may surprise by path', async t => {
  const result = loadConfiguration(`
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: { url: https://i.example, audiences: [a, b], audienceMatchPolicy: MatchAny }
    claimValidationRules:
      - { claim: hd, requiredValue: example.com }
    claimMappings:
      username: { claim: sub, prefix: "" }
      groups: { claim: groups, prefix: "" }
      uid: { claim: oid }
      extra:
        - { key: example.com/team, valueExpression: claims.team }
  - issuer: { url: https://j.example, audiences: [a] }
    claimMappings:
      username: { expression: claims.sub }
`)
  if ('faults' in result) throw new Error(JSON.stringify(result.faults))
  const [first, second] = result.loaded.rules
  t.same(first && rulesFindings(first, 'jwt[0]').map(({ about, says }) => `${about}: ${says}`), [
    'issuer https://i.example: audiences "a", "b"; user name by claim "sub"; groups by claim "groups"; uid by claim "oid"; extra "example.com/team" by claims.team; a validation rule',
    'jwt[0].claimMappings.username.prefix: user names have no prefix: whoever the issuer lets have "sub" "admin" is the user "admin" of the cluster',
    'jwt[0].claimMappings.groups.prefix: groups have no prefix: a group of the issuer may have the name of one of the cluster',
    'jwt[0].claimMappings.extra: each key needs a right of its own wherever Impersonate-* is sent',
  ])
  t.same(second && rulesFindings(second, 'jwt[1]').map(({ about, says }) => `${about}: ${says}`), [
    'issuer https://j.example: audiences "a"; user name by claims.sub; no groups',
    'jwt[1].claimMappings.groups: not given: nobody has groups',
  ])
  const rules = rulesOfFlags({
    url: 'https://i.example',
    audience: 'k',
    usernameClaim: 'sub',
    usernamePrefix: 'oidc:',
    groupsPrefix: '',
    requiredClaims: new Map(),
  })
  t.same(rulesFindings(rules, undefined), [
    {
      outcome: 'ok',
      about: 'issuer https://i.example',
      says: 'audiences "k"; user name by claim "sub" behind "oidc:"; no groups',
    },
  ])
})
