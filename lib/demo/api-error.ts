/** A no of the stand-in, in the sentences of kube-apiserver (`k8s.io/apimachinery/pkg/api/errors`). */
export class ApiError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: Details | undefined

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.reason = reason
    this.details = details
  }

  static badRequest(message: string): ApiError {
    return new ApiError(400, 'BadRequest', message)
  }

  static unauthorized(): ApiError {
    return new ApiError(401, 'Unauthorized', 'Unauthorized')
  }

  static forbidden(resource: string, name: string, why: string, group = ''): ApiError {
    const what = resource === '' ? 'forbidden' : `${named(resource, name, group)} is forbidden`
    return new ApiError(403, 'Forbidden', `${what}: ${why}`, details(resource, name, group))
  }

  static noSuchPath(): ApiError {
    return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})
  }

  static notFound(resource: string, name: string): ApiError {
    const message = `${named(resource, name)} not found`
    return new ApiError(404, 'NotFound', message, details(resource, name))
  }

  static methodNotAllowed(): ApiError {
    const message = 'the server does not allow this method on the requested resource'
    return new ApiError(405, 'MethodNotAllowed', message, {})
  }

  static notAcceptable(): ApiError {
    const message =
      'only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io'
    return new ApiError(406, 'NotAcceptable', message)
  }

  static alreadyExists(resource: string, name: string): ApiError {
    const message = `${named(resource, name)} already exists`
    return new ApiError(409, 'AlreadyExists', message, details(resource, name))
  }

  static conflict(resource: string, name: string, why: string): ApiError {
    const message = `Operation cannot be fulfilled on ${named(resource, name)}: ${why}`
    return new ApiError(409, 'Conflict', message, details(resource, name))
  }

  static expired(message: string): ApiError {
    return new ApiError(410, 'Expired', message)
  }

  static tooLarge(): ApiError {
    return new ApiError(413, 'RequestEntityTooLarge', 'the request is too large')
  }

  static unsupportedMediaType(accepted: readonly string[]): ApiError {
    const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
    return new ApiError(415, 'UnsupportedMediaType', message)
  }

  static invalid(kind: string, name: string, why: string): ApiError {
    const message = `${kind} ${JSON.stringify(name)} is invalid: ${why}`
    return new ApiError(422, 'Invalid', message, details(kind, name))
  }

  static notImplemented(message: string): ApiError {
    return new ApiError(501, 'NotImplemented', message)
  }

  /** `metav1.Status`. */
  toStatus(): object {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    }
  }
}

interface Details {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
}

function details(kind: string, name: string, group = ''): Details {
  return { ...(name && { name }), ...(group && { group }), ...(kind && { kind }) }
}

function named(resource: string, name: string, group = ''): string {
  const qualified = group === '' ? resource : `${resource}.${group}`
  return name === '' ? qualified : `${qualified} ${JSON.stringify(name)}`
}
