import t from 'tap'
import {
  boundaryOf,
  lengthDelimited,
  lines,
  webSocketFrames,
  type Boundary,
} from '../../lib/upstream/boundary.js'
import { requestInfo } from '../../lib/request-info.js'

/** A frame of a server, or of a client when it is masked. */
function frame(size: number, { fin = true, masked = false } = {}): Buffer {
  const extended = size < 126 ? 0 : size < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extended)
  head[0] = (fin ? 0x80 : 0) | 2
  head[1] = (masked ? 0x80 : 0) | (extended === 0 ? size : extended === 2 ? 126 : 127)
  if (extended === 2) head.writeUInt16BE(size, 2)
  if (extended === 8) head.writeBigUInt64BE(BigInt(size), 2)
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 0xff), Buffer.alloc(size, 0x81)])
}

function message(size: number): Buffer {
  const content = Buffer.alloc(4 + size, 0x0a)
  content.writeUInt32BE(size)
  return content
}

const kinds: ReadonlyArray<readonly [string, () => Boundary, readonly Buffer[]]> = [
  ['lines', lines, ['one\n', '\n', 'two\n'].map(line => Buffer.from(line))],
  ['messages behind their length', lengthDelimited, [message(3), message(0), message(70_000)]],
  [
    'frames of a WebSocket',
    webSocketFrames,
    [
      frame(5),
      frame(0),
      frame(125, { fin: false }),
      frame(126),
      frame(65_535),
      frame(65_536),
      frame(7, { masked: true }),
      frame(300, { masked: true }),
    ],
  ],
]

for (const [title, make, parts] of kinds) {
  const whole = Buffer.concat(parts)
  const ends = parts.map((_, nth) => Buffer.concat(parts.slice(0, nth + 1)).length)

  t.test(`the boundaries of ${title} are found, however they arrive`, async t => {
    for (const size of [1, 2, 3, 5, 64, 16_384, whole.length]) {
      const boundary = make()
      t.equal(boundary.here, true, 'before anything was said')
      const found: number[] = []
      for (let at = 0; at < whole.length; at += size) {
        boundary.pass(whole.subarray(at, at + size))
        if (boundary.here) found.push(Math.min(at + size, whole.length))
      }
      const expected = ends.filter(end => end % size === 0 || end === whole.length)
      t.strictSame(found, expected, `in pieces of ${size}`)
    }
  })

  t.test(`… and what is under way of ${title} is told from what comes behind`, async t => {
    for (const cut of [1, 2, 3, ...ends.map(end => end - 1)]) {
      if (ends.includes(cut)) continue
      const end = ends.find(one => one > cut) ?? 0
      const boundary = make()
      boundary.pass(whole.subarray(0, cut))
      t.equal(boundary.here, false)
      t.equal(boundary.finish(whole.subarray(cut)), end - cut, `from ${cut}`)
      t.equal(boundary.here, true)
      const slow = make()
      slow.pass(whole.subarray(0, cut))
      for (let at = cut; at < end - 1; at += 1) {
        if (slow.finish(whole.subarray(at, at + 1)) !== undefined) t.fail(`at ${at}`)
      }
      t.equal(slow.finish(whole.subarray(end - 1)), 1, `from ${cut}, byte by byte`)
    }
  })
}

t.test('only what goes on until somebody ends it may be ended', async t => {
  const follow = '/api/v1/namespaces/a/pods/b/log?follow=true'
  const watch = '/api/v1/pods?watch=true'
  const proxy = '/api/v1/namespaces/a/services/b/proxy/x'
  const ends = (target: string, type?: string): boolean =>
    boundaryOf(requestInfo('GET', target), type) !== undefined
  t.strictSame(
    [
      ends(follow),
      ends(follow, 'text/plain'),
      ends(watch),
      ends(watch, 'application/json'),
      ends(watch, 'Application/JSON; charset=utf-8'),
      ends(watch, 'application/vnd.kubernetes.protobuf; stream=watch'),
      ends(proxy, 'text/event-stream; charset=utf-8'),
    ],
    Array(7).fill(true),
  )
  t.strictSame(
    [
      ends(follow.replace('true', 'false'), 'text/plain'),
      ends(watch, 'application/vnd.kubernetes.protobuf'),
      ends(watch, 'application/cbor-seq'),
      ends(proxy, 'text/plain'),
      ends(proxy, 'application/json'),
      ends('/debug/pprof/trace', 'application/octet-stream'),
      ends('/api/v1/pods', 'application/json'),
    ],
    Array(7).fill(false),
  )
})
