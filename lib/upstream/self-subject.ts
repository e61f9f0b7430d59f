import type { Dispatcher } from 'undici'
import type { Secret } from '../secret.js'

interface Where {
  readonly basePath: string
  dispatcher(use: 'request'): Dispatcher
}

const maxAnswerBytes = 1024 * 1024

/**
 * Asks the API server whom it takes a token for: SelfSubjectReview, `authentication.k8s.io/v1`
 * (KEP-3325, since Kubernetes 1.28). Rejects when it does not say.
 */
export async function selfSubject(
  cluster: Where,
  token: Secret,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly groups: readonly string[] }> {
  const { statusCode, body } = await cluster.dispatcher('request').request({
    path: `${cluster.basePath}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
    method: 'POST',
    headers: {
      authorization: `Bearer ${token.reveal()}`,
      'content-type': 'application/json',
      accept: 'application/json',
    },
    body: '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
    signal,
  })
  let text = ''
  body.setEncoding('utf8')
  for await (const part of body) {
    text += part
    if (text.length > maxAnswerBytes) throw new Error('the answer is too large')
  }
  if (statusCode !== 201 && statusCode !== 200) throw new Error(`status ${statusCode}`)
  return read(JSON.parse(text))
}

function read(review: unknown): { username: string; groups: readonly string[] } {
  const user = field(field(review, 'status'), 'userInfo')
  const username = field(user, 'username')
  const groups = field(user, 'groups') ?? []
  if (typeof username !== 'string' || username === '' || !isStrings(groups)) {
    throw new Error('the answer names no user')
  }
  return { username, groups }
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(each => typeof each === 'string')
