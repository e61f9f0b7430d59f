import { ApiError } from './api-error.js'
import type { KubernetesObject } from './objects.js'
import type { ResourceType } from './resources.js'

export const tableType = 'application/json;as=Table;v=v1;g=meta.k8s.io'

/**
 * What a client would like to read: the first of its `Accept` that the stand-in can write.
 * @throws 406 when it can write none of it
 */
export function representation(accept: string | undefined): 'json' | 'table' {
  if (accept === undefined || accept.trim() === '') return 'json'
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    if (type !== 'application/json' && type !== 'application/*' && type !== '*/*') continue
    const as = parameters.find(parameter => parameter.startsWith('as='))
    if (as === undefined) return 'json'
    if (as === 'as=table' && parameters.includes('v=v1')) return 'table'
  }
  throw ApiError.notAcceptable()
}

/** The objects as rows (`meta.k8s.io/v1 Table`), which is what `kubectl get` prints. */
export function tableOf(
  type: ResourceType,
  objects: readonly KubernetesObject[],
  options: {
    readonly now: number
    readonly resourceVersion?: string
    /** `includeObject` of the query. @default 'Metadata' */
    readonly include?: string | null
    /** A watch describes its columns once. @default true */
    readonly columns?: boolean
  },
): object {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {
      ...(options.resourceVersion !== undefined && { resourceVersion: options.resourceVersion }),
    },
    columnDefinitions:
      options.columns === false
        ? []
        : type.columns.map(column => ({
            name: column.name,
            type: column.type,
            format: column.name === 'Name' ? 'name' : '',
            description: column.description,
            priority: column.wide === true ? 1 : 0,
          })),
    rows: objects.map(object => ({
      cells: type.columns.map(column => column.cell(object, options.now)),
      ...(options.include !== 'None' && {
        object: options.include === 'Object' ? object : metadataOf(object),
      }),
    })),
  }
}

function metadataOf(object: KubernetesObject): object {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata,
  }
}
