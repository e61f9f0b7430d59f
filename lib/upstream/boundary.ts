import type { RequestInfo } from '../request-info.js'

/** Where a stream may end without its end being taken for something said: between two lines, events, frames. */
export interface Boundary {
  /** Whether everything so far ends at one. */
  readonly here: boolean
  /** Takes note of what goes by. */
  pass(chunk: Uint8Array): void
  /**
   * How many bytes of the chunk belong to what is under way; the rest is not taken note of. Without a number
   * its end is still to come, and the chunk has gone by.
   */
  finish(chunk: Uint8Array): number | undefined
}

/**
 * The boundaries of an answer that goes on until somebody ends it: lines of a log that is followed, events of a
 * watch or of `text/event-stream`. Of everything else there is none: what has an end of its own would
 * look whole without it.
 * @param contentType as the API server says it; `undefined` for none
 */
export function boundaryOf(
  { longRunning, follows }: RequestInfo,
  contentType = '',
): Boundary | undefined {
  const [type = '', ...parameters] = contentType
    .toLowerCase()
    .split(';')
    .map(part => part.trim())
  if (type === 'text/event-stream') return lines()
  if (longRunning === 'log') return follows === true ? lines() : undefined
  if (longRunning !== 'watch') return undefined
  if (type === 'application/json' || type === '') return lines()
  return type === protobuf && parameters.includes('stream=watch') ? lengthDelimited() : undefined
}

const protobuf = 'application/vnd.kubernetes.protobuf'

/** JSON has no newline inside of a value that is written on one line. */
export function lines(): Boundary {
  const newline = 0x0a
  let here = true
  const pass = (chunk: Uint8Array): void => {
    if (chunk.length > 0) here = chunk.at(-1) === newline
  }
  return {
    get here() {
      return here
    },
    pass,
    finish(chunk) {
      const at = chunk.indexOf(newline)
      pass(at < 0 ? chunk : chunk.subarray(0, at + 1))
      return at < 0 ? undefined : at + 1
    },
  }
}

/** Messages behind their length in four bytes (`framer.NewLengthDelimitedFrameWriter`). */
export const lengthDelimited = (): Boundary =>
  framed(head => ({ bytes: 4, content: head.length < 4 ? 0 : head.readUInt32BE() }))

/** Frames of a WebSocket (RFC 6455, 5.2); between two a control frame may always stand, also inside of a message. */
export const webSocketFrames = (): Boundary =>
  framed(head => {
    const [, second = 0] = head
    const [length, mask] = [second & 0x7f, second & 0x80]
    const extended = length === 126 ? 2 : length === 127 ? 8 : 0
    const bytes = 2 + extended + (mask === 0 ? 0 : 4)
    if (head.length < bytes || extended === 0) return { bytes, content: length }
    const content = extended === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2))
    return { bytes, content }
  })

interface Head {
  /** How long the head is, as far as what there is of it tells. */
  readonly bytes: number
  /** How many bytes follow it; counts once the head is whole. */
  readonly content: number
}

function framed(read: (head: Buffer) => Head): Boundary {
  const least = read(Buffer.alloc(0)).bytes
  let head = Buffer.alloc(0)
  let wanted = least
  let content = 0

  const here = (): boolean => head.length === 0 && content === 0
  /** Takes in what belongs to one frame, from an offset on; the offset behind it. */
  const take = (chunk: Uint8Array, from: number): number => {
    let at = from
    while (content === 0 && at < chunk.length) {
      const part = chunk.subarray(at, at + wanted - head.length)
      head = Buffer.concat([head, part])
      at += part.length
      if (head.length < wanted) return at
      const known = read(head)
      wanted = known.bytes
      if (head.length < wanted) continue
      ;({ content } = known)
      head = Buffer.alloc(0)
      wanted = least
      if (content === 0) return at
    }
    const part = Math.min(content, chunk.length - at)
    content -= part
    return at + part
  }
  return {
    get here() {
      return here()
    },
    pass(chunk) {
      for (let at = 0; at < chunk.length;) at = take(chunk, at)
    },
    finish(chunk) {
      const at = take(chunk, 0)
      return here() ? at : undefined
    },
  }
}
