import t from 'tap'
import { readInput } from '../../lib/migrate/document.js'

const serving = [
  '--secure-port=8443',
  '--tls-cert-file=/etc/oidc/tls/crt.pem',
  '--tls-private-key-file=/etc/oidc/tls/key.pem',
]
const ownCertificate = [
  'tls',
  'the charts make a Secret of type kubernetes.io/tls: mount its tls.crt and tls.key as /etc/oidc/tls/crt.pem and key.pem, or give your own',
]

t.test('values of a chart become the command line that the chart makes of them', async t => {
  t.same(
    readInput(`
replicaCount: 2
image: { repository: docker.io/tremolosecurity/kube-oidc-proxy, tag: latest }
imagePullSecrets: []
tls: { secretName: proxy-tls, certManager: false }
service: { type: LoadBalancer }
oidc:
  clientId: kubernetes
  issuerUrl: https://i.example
  usernameClaim: email
  caPEM: |
    a certificate
  usernamePrefix: "oidc:"
  groupsClaim: groups
  groupsPrefix:
  signingAlgs: [RS256, ES256]
  requiredClaims: { hd: example.com, level: 2 }
tokenPassthrough: { enabled: true, audiences: [a, b] }
extraImpersonationHeaders: { clientIP: true, headers: "key1=foo,key2=bar" }
extraArgs: { audit-log-path: /audit-log, v: 4 }
`),
    {
      source: 'chart values',
      args: [
        ...serving,
        '--oidc-client-id=kubernetes',
        '--oidc-issuer-url=https://i.example',
        '--oidc-username-claim=email',
        '--oidc-username-prefix=oidc:',
        '--oidc-groups-claim=groups',
        '--oidc-signing-algs=RS256,ES256',
        '--oidc-required-claim=hd=example.com',
        '--oidc-required-claim=level=2',
        '--oidc-ca-file=/etc/oidc/oidc-ca.pem',
        '--token-passthrough',
        '--token-passthrough-audiences=a,b',
        '--extra-user-header-client-ip',
        '--extra-user-headers=key1=foo,key2=bar',
        '--audit-log-path=/audit-log',
        '--v=4',
      ],
      peer: 'tremolosecurity',
      beside: [
        ['oidc.caPEM', 'mount it as the file /etc/oidc/oidc-ca.pem'],
        [
          'tls',
          'mount tls.crt and tls.key of the Secret "proxy-tls" as /etc/oidc/tls/crt.pem and key.pem',
        ],
        [
          'replicaCount, imagePullSecrets, service',
          'about Deployment, Service and what is around them: keep it in your own manifests',
        ],
      ],
      files: new Map([['/etc/oidc/oidc-ca.pem', 'a certificate\n']]),
      faults: [],
    },
  )
})

t.test('values that only one of the charts has are read too', async t => {
  t.same(
    readInput(`
oidc:
  issuerUrl: ""
  signingAlgs: [RS256]
  tlsClient: { existingSecret: client, certKey: tls.crt, keyKey: tls.key }
authenticationConfig:
  content: |
    kind: AuthenticationConfiguration
readinessRequireAllIssuers: true
tokenPassthrough: { enabled: false, cacheSuccessTTL: 10s }
subjectAccessReview: { cacheAllowTTL: "0" }
maxImpersonationHeaderValues: 32
logging: { format: text, verbosity: 1 }
metrics: { enabled: true }
podSecurityContext: {}
`),
    {
      source: 'chart values',
      args: [
        ...serving,
        '--authentication-config=/etc/oidc/authentication-config.yaml',
        '--oidc-tls-client-cert-file=/etc/oidc/client-tls/tls.crt',
        '--oidc-tls-client-key-file=/etc/oidc/client-tls/tls.key',
        '--readiness-require-all-issuers',
        '--subject-access-review-cache-allow-ttl=0',
        '--max-impersonation-header-values=32',
        '--logging-format=text',
        '--v=1',
        '--metrics-bind-address=0.0.0.0:9090',
      ],
      peer: 'rafpe',
      beside: [
        [
          'authenticationConfig.content',
          'mount it as the file /etc/oidc/authentication-config.yaml',
        ],
        ownCertificate,
        [
          'podSecurityContext',
          'about Deployment, Service and what is around them: keep it in your own manifests',
        ],
      ],
      files: new Map(),
      faults: [],
    },
  )
})

t.test('a value that no chart has, of another type, or in a Secret, is a fault', async t => {
  t.same(
    readInput(`
oidc: { clientID: a, issuerUrl: [b], existingSecret: s, requiredClaims: { a: [] }, groupsClaim: ~ }
tokenPassthrough: { enabled: maybe }
extraImpersonationHeaders: ~
nonsense: { deep: 1 }
`).faults,
    [
      'oidc.existingSecret: the values are in a Secret: write them in its place',
      'oidc.issuerUrl: must be a string',
      'oidc.requiredClaims: must be a mapping from names to strings',
      'tokenPassthrough.enabled: must be true or false',
      'oidc.clientID: is no value of the charts that this command knows; take it out',
      'nonsense.deep: is no value of the charts that this command knows; take it out',
    ],
  )
})

t.test('a manifest gives the arguments of its container, filled in from env', async t => {
  t.same(
    readInput(`
apiVersion: v1
kind: Namespace
metadata: { name: proxy }
---
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
        - { name: other, image: nginx, args: [--nothing] }
        - name: proxy
          image: ghcr.io/rafpe/kube-oidc-proxy:1.5.0
          command: [kube-oidc-proxy, --secure-port=443]
          args: ["--oidc-issuer-url=$(URL)", "--oidc-client-id=$(ID)"]
          env:
            - { name: URL, value: https://i.example }
            - { name: ID, valueFrom: { secretKeyRef: { name: a, key: b } } }
`),
    {
      source: 'manifest',
      args: ['--secure-port=443', '--oidc-issuer-url=https://i.example', '--oidc-client-id=$(ID)'],
      peer: 'rafpe',
      beside: [],
      files: new Map(),
      faults: [],
    },
  )
})

t.test('anything else is a command line, or nothing that can be translated', async t => {
  t.same(readInput('kube-oidc-proxy \\\n  --oidc-client-id=a\n').args, [
    'kube-oidc-proxy',
    '--oidc-client-id=a',
  ])
  t.same(readInput('a: {}\n---\nb: {}\n').faults, [
    'the input holds no chart values, no container of kube-oidc-proxy and no command line',
  ])
})
