import t from 'tap'
import { decodeProtobuf } from '../../lib/demo/protobuf.js'

/** A field of text or of a message, as protobuf writes it. */
function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}

function sent(kind: string, ...fields: readonly Buffer[]): Buffer {
  const type = Buffer.concat([field(1, 'v1'), field(2, kind)])
  return Buffer.concat([Buffer.from('k8s\0'), field(1, type), field(2, Buffer.concat(fields))])
}

t.test('what kubectl makes by itself is read as JSON would be', async t => {
  const entry = Buffer.concat([field(1, 'key'), field(2, 'välue')])
  t.same(
    decodeProtobuf(
      sent('ConfigMap', field(1, field(1, 'hello')), field(2, entry), field(3, entry)),
    ),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'hello' },
      data: { key: 'välue' },
      binaryData: { key: Buffer.from('välue').toString('base64') },
    },
  )
  const port = Buffer.concat([field(1, 'http'), Buffer.from([3 << 3, 0x90, 0x3f])])
  t.same(decodeProtobuf(sent('Service', field(1, field(1, 'web')), field(2, field(1, port)))), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { ports: [{ name: 'http', port: 8080 }] },
  })
})

t.test('what is no such message is refused', async t => {
  t.throws(() => decodeProtobuf(Buffer.from('{}')), { code: 400 })
  t.throws(() => decodeProtobuf(Buffer.from('k8s\0\x0a\x7f')), { code: 400 }, 'cut short')
  t.throws(() => decodeProtobuf(Buffer.from('k8s\0\x0a')), { code: 400 }, 'cut shorter')
  t.throws(() => decodeProtobuf(sent('Deployment')), { code: 415 })
})
