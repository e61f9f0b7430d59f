import t from 'tap'
import { requestInfo, type RequestInfo } from '../lib/request-info.js'

const logs = stream('get', 'pods', 'log')

/** `k8s.io/apiserver/pkg/endpoints/request` reads them so. */
const cases: ReadonlyArray<readonly [method: string, target: string, RequestInfo]> = [
  ['GET', '/api/v1/pods', { verb: 'list', resource: 'pods' }],
  ['HEAD', '/api/v1/pods', { verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/namespaces/a/pods', { verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/namespaces/a/pods/b', { verb: 'get', resource: 'pods' }],
  ['GET', '/api/v1//namespaces//a/pods/b', { verb: 'get', resource: 'pods' }],
  ['POST', '/api/v1/namespaces/a/pods', { verb: 'create', resource: 'pods' }],
  ['PUT', '/api/v1/namespaces/a/pods/b', { verb: 'update', resource: 'pods' }],
  ['PATCH', '/api/v1/namespaces/a/pods/b', { verb: 'patch', resource: 'pods' }],
  ['DELETE', '/api/v1/namespaces/a/pods/b', { verb: 'delete', resource: 'pods' }],
  ['DELETE', '/api/v1/namespaces/a/pods', { verb: 'deletecollection', resource: 'pods' }],
  ['PURGE', '/api/v1/namespaces/a/pods', { verb: 'other', resource: 'pods' }],
  ['GET', '/apis/apps/v1/namespaces/a/deployments/b/scale', sub('get', 'deployments', 'scale')],
  ['GET', '/apis/apps/v1/deployments', { verb: 'list', resource: 'deployments' }],
  // A namespace is a resource too.
  ['GET', '/api/v1/namespaces', { verb: 'list', resource: 'namespaces' }],
  ['GET', '/api/v1/namespaces/a', { verb: 'get', resource: 'namespaces' }],
  ['PUT', '/api/v1/namespaces/a/status', sub('update', 'namespaces', 'status')],
  ['PUT', '/api/v1/namespaces/a/finalize', sub('update', 'namespaces', 'finalize')],
  // Watches.
  ['GET', '/api/v1/pods?watch=true', watch('pods')],
  ['GET', '/api/v1/pods?watch=1', watch('pods')],
  ['GET', '/api/v1/pods?watch', watch('pods')],
  ['GET', '/api/v1/pods?watch=', watch('pods')],
  ['GET', '/api/v1/pods?a=b&watch=True&c=d', watch('pods')],
  ['GET', '/api/v1/pods?w%61tch=true', watch('pods')],
  ['GET', '/api/v1/pods?watch=false', { verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=False', { verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=0', { verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=0&watch=1', { verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?labelSelector=watch%3Dtrue', { verb: 'list', resource: 'pods' }],
  ['POST', '/api/v1/pods?watch=true', { verb: 'create', resource: 'pods' }],
  ['GET', '/api/v1/watch/pods', watch('pods')],
  ['GET', '/api/v1/watch/namespaces/a/pods/b', watch('pods')],
  ['GET', '/apis/apps/v1/watch/deployments', watch('deployments')],
  // Other streams.
  ['GET', '/api/v1/namespaces/a/pods/b/log', stream('get', 'pods', 'log')],
  ['GET', '/api/v1/namespaces/a/pods/b/log?follow=false', stream('get', 'pods', 'log')],
  ['GET', '/api/v1/namespaces/a/pods/b/log?follow=true', { ...logs, follows: true }],
  ['GET', '/api/v1/namespaces/a/pods/b/log?a=b&f%6fllow', { ...logs, follows: true }],
  ['GET', '/api/v1/namespaces/a/pods/b/exec?follow=true', stream('get', 'pods', 'exec')],
  ['POST', '/api/v1/namespaces/a/pods/b/exec?command=ls', stream('create', 'pods', 'exec')],
  ['GET', '/api/v1/namespaces/a/pods/b/exec', stream('get', 'pods', 'exec')],
  ['POST', '/api/v1/namespaces/a/pods/b/attach', stream('create', 'pods', 'attach')],
  ['POST', '/api/v1/namespaces/a/pods/b/portforward', stream('create', 'pods', 'portforward')],
  ['GET', '/api/v1/namespaces/a/services/b:80/proxy/x/y', stream('get', 'services', 'proxy')],
  ['GET', '/api/v1/namespaces/a/pods/b/%6cog', stream('get', 'pods', 'log')],
  ['GET', '/api/v1/nodes/n/proxy', stream('get', 'nodes', 'proxy')],
  ['GET', '/api/v1/proxy/nodes/n', { verb: 'proxy', resource: 'nodes', longRunning: 'proxy' }],
  ['GET', '/api/v1/namespaces/a/pods/log', { verb: 'get', resource: 'pods' }],
  // No resource.
  ['GET', '/', { verb: 'get' }],
  ['GET', '/healthz', { verb: 'get' }],
  ['GET', '/debug/pprof/profile?seconds=90', { verb: 'get', longRunning: 'pprof' }],
  ['GET', '/debug/pprof', { verb: 'get' }],
  ['GET', '/x/debug/pprof/profile', { verb: 'get' }],
  ['GET', '/api', { verb: 'get' }],
  ['GET', '/api/v1', { verb: 'get' }],
  ['GET', '/apis/apps/v1', { verb: 'get' }],
  ['POST', '/version?watch=true', { verb: 'post' }],
  ['BREW', '/pot', { verb: 'other' }],
  // Broken escapes are taken as they stand.
  ['GET', '/api/v1/%zz', { verb: 'list', resource: '%zz' }],
]

function sub(verb: string, resource: string, subresource: string): RequestInfo {
  return { verb, resource, subresource }
}
function watch(resource: string): RequestInfo {
  return { verb: 'watch', resource, longRunning: 'watch' }
}
function stream(
  verb: string,
  resource: string,
  subresource: 'log' | 'exec' | 'attach' | 'portforward' | 'proxy',
): RequestInfo {
  return { verb, resource, subresource, longRunning: subresource }
}

t.test('method and target are read as the API server reads them', async t => {
  for (const [method, target, expected] of cases) {
    t.strictSame(requestInfo(method, target), expected, `${method} ${target}`)
  }
})
