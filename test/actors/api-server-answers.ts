import { setTimeout as pause } from 'node:timers/promises'
import type { Answer, Responder } from './api-server.js'
import { statusBody } from './api-server.js'
import { deferred } from './deferred.js'

/** Takes the request and never says a word. */
export const silence: Responder = async request => {
  await request.gone
}

/** A head that promises `length` bytes, `sent` of them, then nothing more: the end is `how`. */
export const cutBody = (
  how: 'fin' | 'rst',
  { length = 1000, sent = 500, chunked = false } = {},
): Responder => {
  const head = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${String(length)}`
  const body = chunked ? `${sent.toString(16)}\r\n${'x'.repeat(sent)}\r\n` : 'x'.repeat(sent)
  return async (_, answer) => {
    await answer.raw(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${head}\r\n\r\n${body}`)
    await part(answer, how)
  }
}

/** A reset that arrives in one breath with data is reported by libuv as an orderly end: so it waits a little. */
async function part(answer: Answer, how: 'fin' | 'rst'): Promise<void> {
  if (how === 'fin') return answer.end()
  await pause(20)
  answer.reset()
}

/** These bytes, and then the end of the connection: for answers that no HTTP library would send. */
export const bytes =
  (raw: string | Uint8Array, { thenEnd = true } = {}): Responder =>
  async (_, answer) => {
    await answer.raw(raw)
    if (thenEnd) answer.end()
  }

/** Interim answers first, each with its own fields, then an ordinary one. */
export const interim =
  (...lines: readonly string[]): Responder =>
  async (_, answer) => {
    for (const line of lines) await answer.raw(`HTTP/1.1 ${line}\r\n\r\n`)
    await answer.reply(200, {}, { ok: true })
  }

/** Switches protocols although nobody asked for it, and sends bytes of another protocol. */
export const unasked101: Responder = async (_, answer) => {
  await answer.raw(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\nevil',
  )
}

export const redirect =
  (location: string, status = 302): Responder =>
  (_, answer) =>
    answer.reply(status, { Location: location })

export const unauthorized: Responder = (_, answer) =>
  answer.reply(401, {}, statusBody(401, 'Unauthorized'))

/** A chunked answer that the test feeds: `send` a piece, `finish` it well, or `cut` it. */
export interface Stream {
  readonly respond: Responder
  send(piece: string | Uint8Array): Promise<void>
  finish(): Promise<void>
  cut(how: 'fin' | 'rst'): Promise<void>
}

/** Answers one request with a stream under the test's control, such as a watch. */
export function stream(contentType = 'application/json'): Stream {
  const begun = deferred<Answer>()
  const over = deferred()
  const close = async (last: (answer: Answer) => unknown): Promise<void> => {
    await last(await begun.promise)
    over.resolve()
  }
  return {
    respond: async (request, answer) => {
      await answer.raw(
        `HTTP/1.1 200 OK\r\nContent-Type: ${contentType}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      begun.resolve(answer)
      await Promise.race([over.promise, request.gone])
    },
    send: async piece => {
      const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece
      const answer = await begun.promise
      await answer.raw(
        Buffer.concat([
          Buffer.from(`${chunk.length.toString(16)}\r\n`),
          chunk,
          Buffer.from('\r\n'),
        ]),
      )
    },
    finish: () => close(answer => answer.raw('0\r\n\r\n')),
    cut: how => close(answer => part(answer, how)),
  }
}
