import { EndOfBytes, type ByteReader, type Closed } from './byte-reader.js'
import { HeaderDecoder, encodeHeaders } from './hpack.js'
import type { HeaderLines } from './http1.js'
import { connectRaw, type Target } from './raw-client.js'

/** Frame types of RFC 9113 6. */
export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flags = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export interface H2Response {
  /** 0 when there was no head. */
  readonly status: number
  /** Pseudo-headers left out. */
  readonly headers: HeaderLines
  readonly body: Buffer
  readonly trailers: HeaderLines
  /** The stream's end was said: by END_STREAM, not by a reset, a GOAWAY or the connection's end. */
  readonly complete: boolean
  /** The error code of the server's RST_STREAM. */
  readonly rstCode?: number
  /** The error code of a GOAWAY, where one came before the stream was over. */
  readonly goaway?: number
  /** How the connection ended, where it did before the stream. */
  readonly closed: Closed
}

/** A HTTP/2 connection on which nothing is checked before it is sent. */
export interface H2Frames {
  readonly frames: readonly Frame[]
  /** One frame with its right length. */
  send(frame: Partial<Omit<Frame, 'payload'>> & { readonly payload?: Uint8Array }): Promise<void>
  /** Bytes as they are. */
  raw(bytes: Uint8Array): Promise<void>
  /** HEADERS, END_HEADERS set; END_STREAM unless `open`. Fields are sent as they are. */
  headers(
    stream: number,
    fields: HeaderLines,
    options?: {
      readonly open?: boolean
      /** Cuts the block into HEADERS and CONTINUATIONs of so many bytes. */
      readonly pieces?: number
      /** Leaves END_HEADERS out. */
      readonly unended?: boolean
    },
  ): Promise<void>
  data(
    stream: number,
    body: string | Uint8Array,
    options?: { readonly open?: boolean },
  ): Promise<void>
  rst(stream: number, code?: number): Promise<void>
  windowUpdate(stream: number, by: number): Promise<void>
  ping(): Promise<void>
  /** The first frame that fits, come or coming; undefined when the connection ends without one. */
  next(fits: (frame: Frame) => boolean): Promise<Frame | undefined>
  /** Waits until this stream, or the connection, is over. Ask once a stream, in any order. */
  response(stream: number): Promise<H2Response>
  readonly gone: Promise<'fin' | 'rst'>
  destroy(): void
}

export interface H2FramesOptions extends Target {
  /** SETTINGS of ours, as [identifier, value]. */
  readonly settings?: ReadonlyArray<readonly [id: number, value: number]>
  /** Opens flow control wide, for every stream and the connection. @default true */
  readonly wide?: boolean
  /** Sends the preface and SETTINGS. @default true */
  readonly preface?: boolean
}

/** The fields that every request needs, as browsers and kubectl send them. */
export const requestFields = (
  method: string,
  path: string,
  authority: string,
  headers: HeaderLines = [],
): HeaderLines => [
  [':method', method],
  [':scheme', 'https'],
  [':authority', authority],
  [':path', path],
  ...headers,
]

/** Opens a connection over TLS with ALPN `h2`, or in plain TCP with prior knowledge. */
export async function connectH2Frames(options: H2FramesOptions): Promise<H2Frames> {
  const { wide = true, preface = true, settings = [] } = options
  const connection = await connectRaw({ alpn: 'h2', ...options })
  const frames: Frame[] = []
  const blocks = new Map<Frame, HeaderLines>()
  const decoder = new HeaderDecoder()
  const waiting = new Set<() => void>()
  let over = false
  const raw = (bytes: Uint8Array): Promise<void> => connection.write(bytes)
  const send: H2Frames['send'] = frame => raw(written(frame))
  if (preface) {
    const ours = wide ? [[4, 2 ** 31 - 1] as const, ...settings] : settings
    await raw(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))
    await send({ type: frameTypes.settings, payload: Buffer.concat(ours.map(setting)) })
    if (wide) await send({ type: frameTypes.windowUpdate, payload: word(2 ** 31 - 1 - 65_535) })
  }
  const wakeAll = (): void => {
    for (const wake of waiting) wake()
    waiting.clear()
  }
  void readFrames(connection.reader, frame => {
    frames.push(frame.type === frameTypes.headers ? withBlock(frame, blocks, decoder) : frame)
    if (frame.type === frameTypes.settings && (frame.flags & flags.ack) === 0) {
      void send({ type: frameTypes.settings, flags: flags.ack })
    }
    if (frame.type === frameTypes.ping && (frame.flags & flags.ack) === 0) {
      void send({ type: frameTypes.ping, flags: flags.ack, payload: frame.payload })
    }
    wakeAll()
  }).finally(() => {
    over = true
    wakeAll()
  })
  const next: H2Frames['next'] = async fits => {
    for (;;) {
      const found = frames.find(fits)
      if (found ?? over) return found
      await new Promise<void>(resolve => waiting.add(resolve))
    }
  }
  return {
    frames,
    raw,
    send,
    headers: async (stream, fields, { open = false, pieces, unended = false } = {}) => {
      const block = encodeHeaders(fields)
      const size = pieces ?? Math.max(1, Math.min(block.length, 16_384))
      const count = Math.max(1, Math.ceil(block.length / size))
      // In one write: nothing of ours, such as an acknowledgement, may come between these frames.
      const whole = Array.from({ length: count }, (_, n) => {
        const last = n === count - 1 && !unended ? flags.endHeaders : 0
        return written({
          type: n === 0 ? frameTypes.headers : frameTypes.continuation,
          flags: last | (n === 0 && !open ? flags.endStream : 0),
          stream,
          payload: block.subarray(n * size, (n + 1) * size),
        })
      })
      await raw(Buffer.concat(whole))
    },
    data: (stream, body, { open = false } = {}) =>
      send({
        type: frameTypes.data,
        flags: open ? 0 : flags.endStream,
        stream,
        payload: Buffer.from(body as string),
      }),
    rst: (stream, code = 8) => send({ type: frameTypes.rstStream, stream, payload: word(code) }),
    windowUpdate: (stream, by) =>
      send({ type: frameTypes.windowUpdate, stream, payload: word(by) }),
    ping: () => send({ type: frameTypes.ping, payload: Buffer.alloc(8) }),
    next,
    response: async stream => {
      await next(
        frame =>
          (frame.stream === stream && (frame.type === frameTypes.rstStream || endsStream(frame))) ||
          isRefusal(frame, stream),
      )
      return summed(frames, blocks, stream, connection.closed)
    },
    gone: connection.gone,
    destroy: () => connection.destroy(),
  }
}

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const setting = ([id, value]: readonly [number, number]): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16BE(id)
  bytes.writeUInt32BE(value, 2)
  return bytes
}

function written(frame: Parameters<H2Frames['send']>[0]): Buffer {
  const { type = 0, flags: set = 0, stream = 0, payload = Buffer.alloc(0) } = frame
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = set
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

async function readFrames(reader: ByteReader, heard: (frame: Frame) => void): Promise<void> {
  try {
    for (;;) {
      const head = await reader.exactly(9)
      const payload = await reader.exactly(head.readUIntBE(0, 3))
      const stream = head.readUInt32BE(5) & 0x7fff_ffff
      heard({ type: head[3] ?? 0, flags: head[4] ?? 0, stream, payload })
    }
  } catch (error) {
    if (!(error instanceof EndOfBytes)) throw error
  }
}

/** Servers here send a header block in one frame; one that goes on in CONTINUATION is not understood. */
function withBlock(frame: Frame, blocks: Map<Frame, HeaderLines>, decoder: HeaderDecoder): Frame {
  const padding = frame.flags & flags.padded ? (frame.payload[0] ?? 0) : 0
  const start = (frame.flags & flags.padded ? 1 : 0) + (frame.flags & flags.priority ? 5 : 0)
  blocks.set(frame, decoder.decode(frame.payload.subarray(start, frame.payload.length - padding)))
  return frame
}

const endsStream = (frame: Frame): boolean =>
  (frame.type === frameTypes.headers || frame.type === frameTypes.data) &&
  (frame.flags & flags.endStream) !== 0

/** A GOAWAY that is an error, or says that this stream was never looked at. */
const isRefusal = (frame: Frame, stream: number): boolean =>
  frame.type === frameTypes.goaway &&
  (frame.payload.readUInt32BE(4) !== 0 || frame.payload.readUInt32BE(0) < stream)

function summed(
  frames: readonly Frame[],
  blocks: ReadonlyMap<Frame, HeaderLines>,
  stream: number,
  closed: Closed,
): H2Response {
  const own = frames.filter(frame => frame.stream === stream)
  const heads = own.flatMap(frame => [blocks.get(frame) ?? []]).filter(block => block.length > 0)
  const statusOf = (block: HeaderLines): number =>
    Number(block.find(([name]) => name === ':status')?.[1] ?? 0)
  const finals = heads.filter(block => statusOf(block) === 0 || statusOf(block) >= 200)
  const [head = [], trailers = []] = finals
  const reset = own.find(({ type }) => type === frameTypes.rstStream)
  const goaway = frames.find(frame => isRefusal(frame, stream))
  return {
    status: statusOf(head),
    headers: head.filter(([name]) => !name.startsWith(':')),
    body: Buffer.concat(
      own.filter(({ type }) => type === frameTypes.data).map(({ payload }) => payload),
    ),
    trailers,
    complete: own.some(endsStream),
    ...(reset && { rstCode: reset.payload.readUInt32BE(0) }),
    ...(goaway && { goaway: goaway.payload.readUInt32BE(4) }),
    closed,
  }
}
