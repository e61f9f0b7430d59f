import t from 'tap'
import { introduction, type Introduced } from '../../lib/demo/introduction.js'

const standIn: Introduced = {
  gateway: 'https://127.0.0.1:8443',
  issuer: 'https://127.0.0.1:4001',
  admin: 'http://127.0.0.1:4002',
  cluster: { kind: 'stand-in', url: 'https://127.0.0.1:4003' },
  kubeconfigFile: '/tmp/demo/kubeconfig',
  kubectl: { path: '/usr/bin/kubectl', onPath: true },
  serveFlags: ['--secure-port=8443', "--kubeconfig=/a folder/it's"],
  temporaryFolder: '/tmp/demo',
}

t.test('it says plainly that the API is a stand-in, and how the gateway was started', async t => {
  const text = introduction(standIn)
  t.match(text, 'https://127.0.0.1:4003      an in-memory stand-in: not a cluster')
  t.match(text, '  export KUBECONFIG=/tmp/demo/kubeconfig\n')
  t.match(
    text,
    "impersonation-gateway serve \\\n    --secure-port=8443 \\\n    '--kubeconfig=/a folder/it'\\''s'",
  )
  t.match(text, 'Ctrl-C ends everything and removes /tmp/demo.')
  t.notMatch(text, 'was taken')
  t.notMatch(text, 'real cluster')
})

t.test('it says what differs here: the port, the kubectl, the cluster', async t => {
  const { temporaryFolder: _, ...kept } = standIn
  const text = introduction({
    ...kept,
    takenPort: 8443,
    kubectl: { path: '/cache/kubectl', onPath: false },
    cluster: { kind: 'real', kubeconfig: '/home/me/config', context: 'prod' },
  })
  t.match(text, '(port 8443 was taken)')
  t.match(text, '  alias kubectl=/cache/kubectl ')
  t.match(text, 'by context prod of /home/me/config')
  t.match(text, 'This is a real cluster. Requests reach it with the credential of /home/me/config,')
  t.match(text, 'Ctrl-C ends everything.')
  t.notMatch(text, 'stand-in')
  t.match(
    introduction({ ...standIn, kubectl: { missing: 'kubectl is not there' } }),
    '  kubectl is not there\n',
  )
})
