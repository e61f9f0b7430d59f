import { X509Certificate, createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer, connect } from 'node:tls'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createAuthority } from './certificates.js'

t.test('a leaf names what it was asked to name and is signed by its authority alone', async t => {
  const authority = createAuthority('one')
  const { cert, key } = await authority.issue()
  const leaf = new X509Certificate(cert)
  const root = new X509Certificate(authority.ca)
  t.equal(leaf.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1')
  t.ok(leaf.verify(root.publicKey) && leaf.checkIssued(root) && root.ca)
  t.ok(leaf.checkPrivateKey(createPrivateKey(key)))
  t.notOk(leaf.verify(new X509Certificate(createAuthority('two').ca).publicKey))
})

t.test('a client certificate carries user and groups, and an end that was asked for', async t => {
  const notAfter = new Date('2051-02-03T04:05:06Z')
  const { cert } = await createAuthority().issue({
    client: { commonName: 'alice', organizations: ['dev', 'ops'] },
    notAfter,
  })
  const leaf = new X509Certificate(cert)
  t.equal(leaf.subject, 'O=dev\nO=ops\nCN=alice')
  t.equal(new Date(leaf.validTo).getTime(), notAfter.getTime())
})

t.test(
  'a TLS handshake succeeds for a client that trusts the authority, and for no other',
  async t => {
    const authority = createAuthority()
    const server = createServer(await authority.issue(), socket => socket.end('hello'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const trusting = connect({ port, host: '127.0.0.1', ca: authority.ca })
    t.equal(String((await once(trusting, 'data'))[0]), 'hello')
    trusting.destroy()
    const wary = connect({ port, host: '127.0.0.1', ca: createAuthority().ca })
    await t.rejects(once(wary, 'secureConnect'))
  },
)
