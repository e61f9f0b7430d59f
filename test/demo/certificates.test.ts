import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { createAuthority } from '../../lib/demo/certificates.js'

t.test('a leaf is good for its names, and vouched for by its authority alone', async t => {
  const [authority, other] = await Promise.all([createAuthority(), createAuthority()])
  const { cert } = await authority.issue(['127.0.0.1', '::1', 'localhost'], {
    commonName: 'somebody',
    organizations: ['one', 'two'],
    notAfter: new Date('2040-01-01T00:00:00Z'),
  })
  const leaf = new X509Certificate(cert)
  const ca = new X509Certificate(authority.ca)
  t.ok(ca.ca)
  t.ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
  t.notOk(leaf.checkIssued(new X509Certificate(other.ca)), 'authorities have names of their own')
  t.equal(leaf.checkHost('localhost'), 'localhost')
  t.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1')
  t.equal(leaf.checkHost('elsewhere'), undefined)
  t.equal(leaf.subject, 'O=one\nO=two\nCN=somebody')
  t.equal(leaf.validTo, 'Jan  1 00:00:00 2040 GMT')
})
