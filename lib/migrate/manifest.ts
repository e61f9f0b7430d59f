import { isMapping, type Mapping, type ReadInput } from './input.js'
import { peerOfImage } from './chart-values.js'

/** Whether this is a Kubernetes object that has a container of kube-oidc-proxy. */
export const isManifest = (root: Mapping): boolean => containerOf(root) !== undefined

/** The command line of the first container of kube-oidc-proxy, with `$(NAME)` filled in where `env` says it. */
export function argsOfManifest(root: Mapping): ReadInput {
  const container = containerOf(root) ?? {}
  const written = [...strings(container['command']).slice(1), ...strings(container['args'])]
  const env = new Map(
    list(container['env']).flatMap(each =>
      isMapping(each) && typeof each['name'] === 'string' && typeof each['value'] === 'string'
        ? [[each['name'], each['value']] as const]
        : [],
    ),
  )
  const args = written.map(arg =>
    arg.replace(/\$\(([A-Za-z_][\w.-]*)\)/g, (whole, name: string) => env.get(name) ?? whole),
  )
  const peer = peerOfImage(container['image'])
  return {
    source: 'manifest',
    args,
    ...(peer !== undefined && { peer }),
    beside: [],
    files: new Map(),
    faults: [],
  }
}

/** Of a Pod, or of anything that has a pod template; the command or the image gives it away. */
function containerOf(root: Mapping): Mapping | undefined {
  if (typeof root['kind'] !== 'string' || !isMapping(root['spec'])) return undefined
  const template = root['spec']['template']
  const pod = isMapping(template) ? template['spec'] : root['spec']
  return list(isMapping(pod) ? pod['containers'] : undefined)
    .filter(isMapping)
    .find(({ command, args, image }) =>
      [...strings(command), ...strings(args), ...strings([image])].some(text =>
        /(?:^|[/:])kube-oidc-proxy(?:[:@]|$)/.test(text),
      ),
    )
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const strings = (value: unknown): readonly string[] =>
  list(value).filter(each => typeof each === 'string')
