import type { ServerResponse } from 'node:http'
import { textAt, listAt, type KubernetesObject } from './objects.js'
import { truthy } from './target.js'

/**
 * Answers with the log of a pod: a few lines of text and, with `follow`, one more each interval, until the
 * client goes or the returned function ends the answer well.
 * @param intervalMs @default 1_000
 */
export function log(
  response: ServerResponse,
  pod: KubernetesObject,
  query: URLSearchParams,
  options: { readonly now: () => number; readonly intervalMs?: number },
): () => void {
  const asked = query.get('container') ?? ''
  const container = asked === '' ? textAt(listAt(pod, 'spec', 'containers')[0], 'name') : asked
  let count = 0
  const line = (): string => {
    count += 1
    const time = new Date(options.now()).toISOString()
    const stamp = truthy(query.get('timestamps')) ? `${time} ` : ''
    return `${stamp}${pod.metadata.name}/${container}: line ${count} of the stand-in's log, ${time}\n`
  }

  const tail = Number(query.get('tailLines') ?? '3')
  const first = Array.from({ length: Math.min(3, Math.max(0, tail)) }, line).join('')
  response.writeHead(200, { 'content-type': 'text/plain' })
  if (!truthy(query.get('follow'))) {
    response.end(first)
    return () => undefined
  }
  response.flushHeaders()
  response.write(first)
  const timer = setInterval(() => response.write(line()), options.intervalMs ?? 1_000)
  response.once('close', () => clearInterval(timer))
  return () => {
    clearInterval(timer)
    response.end()
  }
}
