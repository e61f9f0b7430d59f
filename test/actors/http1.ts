import type { ByteReader } from './byte-reader.js'

/** Header fields in the order they came, names in the case they came, values as Latin-1. */
export type HeaderLines = ReadonlyArray<readonly [name: string, value: string]>

/** The bytes are not HTTP/1 as RFC 9112 writes it: no repair is tried. */
export class NotHttp extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'NotHttp'
  }
}

/** Every value of a field, in order. */
export function valuesOf(headers: HeaderLines, name: string): string[] {
  const wanted = name.toLowerCase()
  return headers.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value)
}

/** Splits a head, its closing blank line included, into the first line and the fields. @throws NotHttp */
export function parseHead(head: Buffer): { readonly first: string; readonly headers: HeaderLines } {
  const lines = head.toString('latin1').split('\r\n').slice(0, -2)
  const first = lines[0] ?? ''
  if (lines.some(line => /[\r\n\0]/.test(line))) throw new NotHttp('a bare CR, LF or NUL')
  return { first, headers: lines.slice(1).map(parseLine) }
}

function parseLine(line: string): readonly [string, string] {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line)
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new NotHttp(`not a header line: ${JSON.stringify(line)}`)
  }
  return [match[1], match[2]]
}

export type Framing =
  { readonly by: 'length'; readonly length: number } | { readonly by: 'chunks' | 'close' | 'none' }

/** How the body after these fields is framed; `none` where nothing says so. @throws NotHttp when they conflict */
export function framing(headers: HeaderLines): Framing {
  const codings = valuesOf(headers, 'transfer-encoding')
  const lengths = valuesOf(headers, 'content-length')
  if (codings.length > 0) {
    if (lengths.length > 0) throw new NotHttp('Content-Length beside Transfer-Encoding')
    if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') {
      throw new NotHttp(`Transfer-Encoding ${JSON.stringify(codings)}`)
    }
    return { by: 'chunks' }
  }
  if (lengths.length === 0) return { by: 'none' }
  const length = lengths[0] ?? ''
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length)) {
    throw new NotHttp(`Content-Length ${JSON.stringify(lengths)}`)
  }
  return { by: 'length', length: Number(length) }
}

/**
 * Reads a body, handing its parts to `part` as they come; resolves with the trailers.
 * @throws NotHttp, EndOfBytes when it was cut
 */
export async function readBody(
  reader: ByteReader,
  how: Framing,
  part: (bytes: Buffer) => void,
): Promise<HeaderLines> {
  if (how.by === 'chunks') return readChunks(reader, part)
  if (how.by === 'length') await pass(reader, how.length, part)
  if (how.by === 'close') {
    for (let bytes = await reader.some(); bytes.length > 0; bytes = await reader.some()) part(bytes)
  }
  return []
}

async function readChunks(reader: ByteReader, part: (bytes: Buffer) => void): Promise<HeaderLines> {
  for (;;) {
    const line = (await reader.upTo('\r\n')).toString('latin1').slice(0, -2)
    if (!/^[0-9a-fA-F]{1,12}$/.test(line)) throw new NotHttp(`chunk size ${JSON.stringify(line)}`)
    const size = Number.parseInt(line, 16)
    if (size === 0) break
    await pass(reader, size, part)
    if ((await reader.exactly(2)).toString('latin1') !== '\r\n') {
      throw new NotHttp('a chunk longer than its size')
    }
  }
  const trailers: Array<readonly [string, string]> = []
  for (;;) {
    const line = (await reader.upTo('\r\n')).toString('latin1').slice(0, -2)
    if (line === '') return trailers
    trailers.push(parseLine(line))
  }
}

async function pass(
  reader: ByteReader,
  length: number,
  part: (bytes: Buffer) => void,
): Promise<void> {
  for (let left = length; left > 0;) {
    const bytes = await reader.take(unread =>
      unread.length === 0 ? -1 : Math.min(left, unread.length),
    )
    part(bytes)
    left -= bytes.length
  }
}
