import type { HeaderLines } from './http1.js'

/**
 * Encodes a header block without compressing it: every field is a literal that is not indexed (RFC 7541
 * 6.2.2), so that any name and any value can be sent, be they allowed or not.
 */
export function encodeHeaders(fields: HeaderLines): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  )
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(bytes.length, 7), bytes])
}

/** RFC 7541 5.1, with nothing in the bits before the prefix. */
function integer(value: number, prefixBits: number): Buffer {
  const limit = 2 ** prefixBits - 1
  if (value < limit) return Buffer.from([value])
  const bytes = [limit]
  let left = value - limit
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return Buffer.from([...bytes, left])
}

/** The header blocks of one direction of one connection, decoded in their order (RFC 7541). */
export class HeaderDecoder {
  #dynamic: ReadonlyArray<readonly [string, string]> = []
  #limit = 4096

  /** @throws RangeError when the block is cut or names what is in no table */
  decode(block: Uint8Array): HeaderLines {
    const fields: Array<readonly [string, string]> = []
    const input = { bytes: block, at: 0 }
    while (input.at < block.length) {
      const first = peek(input)
      if (first >= 0x80) {
        fields.push(this.#entry(readInteger(input, 7)))
      } else if (first >= 0x40) {
        const field = this.#literal(input, 6)
        this.#add(field)
        fields.push(field)
      } else if (first >= 0x20) {
        this.#limit = readInteger(input, 5)
        this.#trim()
      } else {
        fields.push(this.#literal(input, 4))
      }
    }
    return fields
  }

  #literal(input: Input, prefixBits: number): readonly [string, string] {
    const index = readInteger(input, prefixBits)
    const name = index === 0 ? readText(input) : this.#entry(index)[0]
    return [name, readText(input)]
  }

  #entry(index: number): readonly [string, string] {
    const entry = index > fixed.length ? this.#dynamic[index - fixed.length - 1] : fixed[index - 1]
    if (!entry) throw new RangeError(`no entry ${String(index)}`)
    return entry
  }

  #add(field: readonly [string, string]): void {
    this.#dynamic = [field, ...this.#dynamic]
    this.#trim()
  }

  #trim(): void {
    let size = 0
    this.#dynamic = this.#dynamic.filter(([name, value]) => {
      size += name.length + value.length + 32
      return size <= this.#limit
    })
  }
}

interface Input {
  readonly bytes: Uint8Array
  at: number
}

function peek({ bytes, at }: Input): number {
  const byte = bytes[at]
  if (byte === undefined) throw new RangeError('the block is cut')
  return byte
}

function next(input: Input): number {
  const byte = peek(input)
  input.at += 1
  return byte
}

function readInteger(input: Input, prefixBits: number): number {
  const limit = 2 ** prefixBits - 1
  let value = next(input) & limit
  if (value < limit) return value
  for (let shift = 1; ; shift *= 128) {
    const byte = next(input)
    value += (byte & 127) * shift
    if (byte < 128) return value
  }
}

function readText(input: Input): string {
  const packed = peek(input) >= 0x80
  const length = readInteger(input, 7)
  const bytes = input.bytes.subarray(input.at, input.at + length)
  if (bytes.length < length) throw new RangeError('the block is cut')
  input.at += length
  return packed ? unpack(bytes) : Buffer.from(bytes).toString('latin1')
}

/**
 * How many bits each byte's code has (RFC 7541 appendix B), as runs of `count×bits`. The code is
 * canonical: codes of one length are consecutive numbers in the order of their bytes, so lengths are all
 * that there is to know.
 */
const codeLengths = `
  1×13 1×23 7×28 1×24 1×30 2×28 1×30 8×28 1×30 9×28
  1×6 2×10 1×12 1×13 1×6 1×8 1×11 2×10 1×8 1×11 1×8 3×6 3×5 7×6 1×7 1×8 1×15 1×6 1×12 1×10
  1×13 1×6 22×7 1×8 1×7 1×8 1×13 1×19 1×13 1×14 1×6
  1×15 1×5 1×6 1×5 1×6 1×5 3×6 1×5 2×7 3×6 1×5 1×6 1×7 1×6 2×5 1×6 5×7 1×15 1×11 1×14 1×13 1×28
  1×20 1×22 2×20 3×22 1×23 1×22 5×23 1×24 1×23 2×24 1×22 1×23 1×24 4×23 1×21 1×22 1×23 1×22 2×23 1×24
  1×22 1×21 1×20 2×22 2×23 1×21 1×23 2×22 1×24 1×21 1×22 2×23 2×21 1×22 1×21 1×23 1×22 2×23 1×20 3×22
  1×23 2×22 1×23 2×26 1×20 1×19 1×22 1×23 1×22 1×25 3×26 2×27 1×26 1×24 1×25 1×19 1×21 1×26 2×27 1×26
  1×27 1×24 2×21 2×26 1×28 3×27 1×20 1×24 1×20 1×21 1×22 2×21 1×23 2×22 2×25 2×24 1×26 1×23 1×26 1×27
  2×26 5×27 1×28 5×27 1×26 1×30`
  .trim()
  .split(/\s+/)
  .flatMap(run => {
    const [count = 0, bits = 0] = run.split('×').map(Number)
    return Array.from({ length: count }, () => bits)
  })

/** From the bits of a code, written as text, to its byte; 256 is the end of the text. */
const codes: ReadonlyMap<string, number> = canonical(codeLengths)

function canonical(lengths: readonly number[]): ReadonlyMap<string, number> {
  const order = lengths
    .map((bits, byte) => ({ bits, byte }))
    .toSorted((a, b) => a.bits - b.bits || a.byte - b.byte)
  const found = new Map<string, number>()
  let code = 0
  let length = 0
  for (const { bits, byte } of order) {
    code *= 2 ** (bits - length)
    length = bits
    found.set(code.toString(2).padStart(bits, '0'), byte)
    code += 1
  }
  return found
}

function unpack(bytes: Uint8Array): string {
  const out: number[] = []
  let code = ''
  for (const byte of bytes) {
    for (const bit of byte.toString(2).padStart(8, '0')) {
      code += bit
      const found = codes.get(code)
      if (found === undefined) continue
      out.push(found)
      code = ''
    }
  }
  if (code.length > 7 || code.includes('0')) throw new RangeError('not a Huffman code')
  return Buffer.from(out).toString('latin1')
}

/** RFC 7541 appendix A. */
const fixed: ReadonlyArray<readonly [string, string]> = `
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .trim()
  .split('\n')
  .map(line => {
    const blank = line.indexOf(' ')
    return blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)]
  })
