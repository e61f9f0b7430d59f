import { resourceTypes } from './resources.js'

const document = '/openapi/v3/api/v1'

/**
 * The answer to `/openapi/v3…`, as little as kubectl needs: that a create, an update and a patch take
 * `fieldValidation`, so that it leaves validation to the server. `undefined` for any other path.
 */
export function openapi(path: string): object | undefined {
  if (path === '/openapi/v3') {
    return { paths: { 'api/v1': { serverRelativeURL: `${document}?hash=1` } } }
  }
  if (path !== document) return undefined
  return {
    openapi: '3.0.0',
    info: { title: 'In-memory stand-in for the Kubernetes API', version: 'v1.35.0' },
    paths: Object.fromEntries(resourceTypes.map(type => [pathOf(type), operations(type.kind)])),
    components: { schemas: {} },
  }
}

function pathOf(type: { readonly namespaced: boolean; readonly resource: string }): string {
  const scope = type.namespaced ? '/namespaces/{namespace}' : ''
  return `/api/v1${scope}/${type.resource}/{name}`
}

function operations(kind: string): object {
  const operation = (action: string): object => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: '', version: 'v1', kind },
    parameters: [
      { name: 'fieldValidation', in: 'query', schema: { type: 'string', uniqueItems: true } },
    ],
    responses: { '200': { description: 'OK' } },
  })
  return { put: operation('put'), patch: operation('patch') }
}
