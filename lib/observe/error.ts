import { bounded } from './bounded.js'

export interface DescribedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: DescribedError
}

/** An error as plain data, with its causes; nothing but name, message, code and where asked the stack. */
export function describeError(
  error: unknown,
  options: { readonly stack: boolean },
  depth = 4,
): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: bounded(said(error), 1024) }
  const { cause, stack } = error
  return {
    type: error.name,
    message: bounded(error.message, 1024),
    ...('code' in error && typeof error.code === 'string' && { code: error.code }),
    ...(options.stack && stack !== undefined && { stack: bounded(stack, 8192) }),
    ...(cause !== undefined && depth > 1 && { cause: describeError(cause, options, depth - 1) }),
  }
}

/** An object that was thrown without being an error may hold anything: its kind must do. */
function said(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : Object.prototype.toString.call(thrown)
}
