import type { Dispatcher } from 'undici'
import type { Secret } from '../secret.js'
import type { Whose } from './cluster.js'
import type { GatewayCredential } from './headers.js'

/** The questions that the gateway itself asks of the API server: these, and no other request is its own. */
const reviews = {
  SelfSubjectReview: 'authentication.k8s.io/v1/selfsubjectreviews',
  TokenReview: 'authentication.k8s.io/v1/tokenreviews',
  SubjectAccessReview: 'authorization.k8s.io/v1/subjectaccessreviews',
  SelfSubjectAccessReview: 'authorization.k8s.io/v1/selfsubjectaccessreviews',
  SelfSubjectRulesReview: 'authorization.k8s.io/v1/selfsubjectrulesreviews',
} as const

export type ReviewKind = keyof typeof reviews
type ReviewPath = `${string}/apis/${(typeof reviews)[ReviewKind]}`

/** Connections to the API server that take nothing but reviews, and the question for its version. */
export interface ReviewDispatcher {
  request(options: ReviewRequest | VersionRequest): Promise<Dispatcher.ResponseData>
}

interface ReviewRequest {
  readonly path: ReviewPath
  readonly method: 'POST'
  readonly headers: {
    readonly 'content-type': 'application/json'
    readonly accept: 'application/json'
    readonly authorization?: string
  }
  readonly body: string
  readonly signal: AbortSignal
}

interface VersionRequest {
  readonly path: `${string}/version`
  readonly method: 'GET'
  readonly headers: { readonly accept: 'application/json' }
  readonly signal: AbortSignal
}

/** What asking needs to know of the cluster; `cluster.ts` has it. */
export interface Reviewer {
  readonly basePath: string
  readonly credential: GatewayCredential | undefined
  reviewer(whose: Whose): ReviewDispatcher
  renew(refused: GatewayCredential | undefined): Promise<boolean>
}

export interface Question {
  readonly kind: ReviewKind
  readonly spec?: object
  /** Who asks: the gateway with its own credential, or the owner of a token. */
  readonly as: 'gateway' | Secret
  /** Whether the answer must say that it is of this kind. @default false */
  readonly inKind?: boolean
}

/**
 * Creates a review and gives its `status`, in which nothing was looked at yet. A credential of ours that is
 * refused is read anew once. Rejects when the API server does not answer.
 */
export async function askReview(
  cluster: Reviewer,
  question: Question,
  signal: AbortSignal,
): Promise<unknown> {
  const { credential } = cluster
  const first = await post(cluster, question, credential, signal)
  const refused = first.statusCode === 401 && question.as === 'gateway'
  const answer =
    refused && (await cluster.renew(credential))
      ? await post(cluster, question, cluster.credential, signal)
      : first
  if (answer.statusCode !== 201 && answer.statusCode !== 200) {
    throw new Error(`status ${answer.statusCode}`)
  }
  const review: unknown = JSON.parse(answer.text)
  if (question.inKind && member(review, 'kind') !== question.kind) {
    throw new Error(`the answer is no ${question.kind}`)
  }
  return member(review, 'status')
}

/**
 * Whether the API server takes a credential of the gateway for somebody (SelfSubjectReview, which needs no right beyond
 * that). Rejects when it does not say; a server that does not know the question does not.
 */
export async function askWhetherTaken(
  cluster: Reviewer,
  credential: GatewayCredential | undefined,
  signal: AbortSignal,
): Promise<{ readonly taken: boolean }> {
  const question = { kind: 'SelfSubjectReview', as: 'gateway' } as const
  const { statusCode, text } = await post(cluster, question, credential, signal)
  if (statusCode === 401) return { taken: false }
  if (statusCode !== 201) throw new Error(`status ${statusCode}`)
  const review: unknown = JSON.parse(text)
  const username = member(member(member(review, 'status'), 'userInfo'), 'username')
  if (member(review, 'kind') !== question.kind || typeof username !== 'string') {
    throw new Error('the answer names no user')
  }
  return { taken: username !== '' && username !== 'system:anonymous' }
}

/**
 * Asks for the version as a stranger would, which any API server answers somehow: its status, and the
 * version where it is told. Rejects when there is no way to it.
 */
export async function askVersion(
  cluster: Reviewer,
  signal: AbortSignal,
): Promise<{ readonly statusCode: number; readonly version: string | undefined }> {
  const { statusCode, body } = await cluster.reviewer('caller').request({
    path: `${cluster.basePath}/version`,
    method: 'GET',
    headers: { accept: 'application/json' },
    signal,
  })
  const text = await textOf(body)
  let version: unknown
  try {
    version = statusCode === 200 ? member(JSON.parse(text), 'gitVersion') : undefined
  } catch {
    version = undefined
  }
  return { statusCode, version: typeof version === 'string' ? version : undefined }
}

const maxAnswerBytes = 1024 * 1024

async function post(
  cluster: Reviewer,
  { kind, spec, as }: Question,
  credential: GatewayCredential | undefined,
  signal: AbortSignal,
): Promise<{ readonly statusCode: number; readonly text: string }> {
  if (as === 'gateway' && credential === undefined) throw new Error('no credential to ask with')
  const authorization = as === 'gateway' ? credential?.authorization?.reveal() : as.asBearer()
  const path = reviews[kind]
  const { statusCode, body } = await cluster
    .reviewer(as === 'gateway' ? 'gateway' : 'caller')
    .request({
      path: `${cluster.basePath}/apis/${path}`,
      method: 'POST',
      headers: {
        ...(authorization !== undefined && { authorization }),
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify({
        apiVersion: path.slice(0, path.lastIndexOf('/')),
        kind,
        ...(spec && { spec }),
      }),
      signal,
    })
  return { statusCode, text: await textOf(body) }
}

async function textOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  let text = ''
  body.setEncoding('utf8')
  for await (const part of body) {
    text += part
    if (text.length > maxAnswerBytes) throw new Error('the answer is too large')
  }
  return text
}

/** An own member of an object, or `undefined`. */
export const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

export const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(each => typeof each === 'string')
