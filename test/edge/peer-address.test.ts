import t from 'tap'
import { createPeerAddress } from '../../lib/edge/peer-address.js'
import type { HeaderList } from '../../lib/exchange.js'

const forwarded = (...values: readonly string[]): HeaderList =>
  values.map(value => ['X-Forwarded-For', value])

t.test('without trusted proxies the peer is the peer, whatever it says', async t => {
  const address = createPeerAddress([])
  t.equal(address('192.0.2.1', forwarded('10.0.0.1')), '192.0.2.1')
  t.equal(address('::ffff:192.0.2.1', []), '192.0.2.1')
  t.equal(address('fe80::1%eth0', []), 'fe80::1')
  t.equal(address(undefined, forwarded('10.0.0.1')), 'unknown')
})

t.test('a trusted proxy is believed as far as trust goes, from the right', async t => {
  const address = createPeerAddress(['10.0.0.0/8', '2001:db8::/32', '192.0.2.7/32'])
  const cases: ReadonlyArray<readonly [string, HeaderList, string]> = [
    ['203.0.113.5', forwarded('198.51.100.1'), '203.0.113.5'],
    ['10.1.2.3', [], '10.1.2.3'],
    ['10.1.2.3', forwarded('198.51.100.1'), '198.51.100.1'],
    ['::ffff:10.1.2.3', forwarded('198.51.100.1'), '198.51.100.1'],
    ['2001:db8::1', forwarded('198.51.100.1'), '198.51.100.1'],
    ['192.0.2.8', forwarded('198.51.100.1'), '192.0.2.8'],
    // What stands left of the nearest stranger is the stranger's claim.
    ['10.1.2.3', forwarded('1.1.1.1, 198.51.100.1'), '198.51.100.1'],
    ['10.1.2.3', forwarded('1.1.1.1, 198.51.100.1,10.9.9.9 , 2001:db8::2'), '198.51.100.1'],
    ['10.1.2.3', forwarded('1.1.1.1', '198.51.100.1', '10.9.9.9'), '198.51.100.1'],
    ['10.1.2.3', forwarded('10.0.0.9, 10.0.0.8'), '10.0.0.9'],
    // Nothing is believed beyond what cannot be read.
    ['10.1.2.3', forwarded('198.51.100.1, garbage'), '10.1.2.3'],
    ['10.1.2.3', forwarded('198.51.100.1, , 10.0.0.9'), '10.0.0.9'],
    ['10.1.2.3', forwarded(''), '10.1.2.3'],
    ['10.1.2.3', forwarded('198.51.100.999'), '10.1.2.3'],
    // Spellings of one address.
    ['10.1.2.3', forwarded('198.51.100.1:4711'), '198.51.100.1'],
    ['10.1.2.3', forwarded('[2001:DB9::1]:4711'), '2001:DB9::1'],
    ['10.1.2.3', forwarded('2001:db9::1'), '2001:db9::1'],
    ['10.1.2.3', forwarded('198.51.100.1, ::ffff:10.0.0.9'), '198.51.100.1'],
    ['10.1.2.3', [['x-forwarded-FOR', '198.51.100.1']], '198.51.100.1'],
    ['10.1.2.3', [['X_Forwarded_For', '198.51.100.1']], '10.1.2.3'],
    ['10.1.2.3', [['Forwarded', 'for=198.51.100.1']], '10.1.2.3'],
  ]
  for (const [remote, headers, expected] of cases) {
    t.equal(address(remote, headers), expected, `${remote} says ${JSON.stringify(headers)}`)
  }
})
