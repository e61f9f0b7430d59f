import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'

/*
 * The API server of the bench, in a process of its own: answers every request with the same 2 KiB of JSON. It
 * reads just enough HTTP/1.1 to know where a request without a body ends, so that little of the
 * machine goes into what is not measured.
 */

const [, , certFile = '', keyFile = ''] = process.argv

const item = '{"metadata":{"name":"pod","namespace":"default"},"status":{"phase":"Running"}}'
const body =
  `{"kind":"PodList","apiVersion":"v1","items":[${`${item},`.repeat(24)}${item}]}`.padEnd(2048)
const answer = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Audit-Id: 5f2c1c9e-5d0c-4f7e-8b57-3f2a0c7d9e10',
    'Cache-Control: no-cache, private',
    'Content-Type: application/json',
    'X-Kubernetes-Pf-Flowschema-Uid: 2f1c0b52-6d25-4c5c-8a3a-6a0e6b5f0d11',
    'X-Kubernetes-Pf-Prioritylevel-Uid: 8a8ad2e6-8b44-4f0a-b0a5-0d5a2c0b6f12',
    'Date: Thu, 01 Jan 2026 00:00:00 GMT',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n'),
  'latin1',
)
const end = '\r\n\r\n'

const server = createServer(
  {
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ALPNProtocols: ['http/1.1'],
    // The same for everybody who connects: ciphers differ in what they cost.
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_256_GCM_SHA384',
  },
  socket => {
    let rest = ''
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      rest += chunk.toString('latin1')
      for (let at = rest.indexOf(end); at >= 0; at = rest.indexOf(end)) {
        rest = rest.slice(at + end.length)
        socket.write(answer)
      }
    })
  },
)
server.listen(0, '127.0.0.1', () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
)
process.on('disconnect', () => process.exit())
