import { resourceTypes, storedVerbs } from './resources.js'

interface Served {
  readonly resource: string
  readonly singular: string
  readonly kind: string
  readonly namespaced: boolean
  readonly verbs: readonly string[]
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  readonly subresources?: readonly { readonly name: string; readonly kind: string }[]
}

interface Group {
  readonly group: string
  readonly resources: readonly Served[]
}

const review = (resource: string, kind: string, namespaced = false): Served => ({
  resource,
  singular: kind.toLowerCase(),
  kind,
  namespaced,
  verbs: ['create'],
})

const core: Group = {
  group: '',
  resources: resourceTypes.map(type => ({
    ...type,
    verbs: storedVerbs,
    ...(type.resource === 'pods' && { subresources: [{ name: 'log', kind: 'Pod' }] }),
  })),
}

const others: readonly Group[] = [
  {
    group: 'authentication.k8s.io',
    resources: [
      review('selfsubjectreviews', 'SelfSubjectReview'),
      review('tokenreviews', 'TokenReview'),
    ],
  },
  {
    group: 'authorization.k8s.io',
    resources: [
      review('localsubjectaccessreviews', 'LocalSubjectAccessReview', true),
      review('selfsubjectaccessreviews', 'SelfSubjectAccessReview'),
      review('selfsubjectrulesreviews', 'SelfSubjectRulesReview'),
      review('subjectaccessreviews', 'SubjectAccessReview'),
    ],
  },
]

const aggregatedType = /application\/json\s*;[^,]*as=APIGroupDiscoveryList/i
const aggregatedVersion = /v=(v2(?:beta1)?)(?:[;,]|$)/i

export interface Described {
  readonly type: string
  readonly body: object
}

/** The answer to a discovery path; `undefined` for any other path. */
export function discovery(path: string, accept: string | undefined): Described | undefined {
  const version = aggregatedType.test(accept ?? '')
    ? aggregatedVersion.exec(accept ?? '')?.[1]
    : undefined
  switch (path.replace(/\/$/, '')) {
    case '/api':
      if (version !== undefined) return aggregated([core], version)
      return plain({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] })
    case '/apis':
      if (version !== undefined) return aggregated(others, version)
      return plain({ kind: 'APIGroupList', apiVersion: 'v1', groups: others.map(apiGroup) })
    case '/api/v1':
      return plain(resourceList(core, 'v1'))
    case '/version':
      return plain(serverVersion)
    default:
      for (const group of others) {
        if (path === `/apis/${group.group}`) {
          return plain({ kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) })
        }
        if (path === `/apis/${group.group}/v1`)
          return plain(resourceList(group, `${group.group}/v1`))
      }
      return undefined
  }
}

/** Says what it is in the one field that people read. */
const serverVersion = {
  major: '1',
  minor: '35',
  gitVersion: 'v1.35.0+in-memory-stand-in',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'none/none',
}

function plain(body: object): Described {
  return { type: 'application/json', body }
}

function aggregated(groups: readonly Group[], version: string): Described {
  return {
    type: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    body: {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: groups.map(({ group, resources }) => ({
        metadata: { name: group, creationTimestamp: null },
        versions: [
          {
            version: 'v1',
            freshness: 'Current',
            resources: resources.map(served => ({
              resource: served.resource,
              responseKind: { group, version: 'v1', kind: served.kind },
              scope: served.namespaced ? 'Namespaced' : 'Cluster',
              singularResource: served.singular,
              verbs: served.verbs,
              shortNames: served.shortNames ?? [],
              categories: served.categories ?? [],
              subresources: (served.subresources ?? []).map(sub => ({
                subresource: sub.name,
                responseKind: { group, version: 'v1', kind: sub.kind },
                verbs: ['get'],
              })),
            })),
          },
        ],
      })),
    },
  }
}

function apiGroup({ group }: Group): object {
  const version = { groupVersion: `${group}/v1`, version: 'v1' }
  return { name: group, versions: [version], preferredVersion: version }
}

function resourceList({ resources }: Group, groupVersion: string): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: resources.flatMap(served => [
      {
        name: served.resource,
        singularName: served.singular,
        namespaced: served.namespaced,
        kind: served.kind,
        verbs: served.verbs,
        ...(served.shortNames && { shortNames: served.shortNames }),
        ...(served.categories && { categories: served.categories }),
      },
      ...(served.subresources ?? []).map(sub => ({
        name: `${served.resource}/${sub.name}`,
        singularName: '',
        namespaced: served.namespaced,
        kind: sub.kind,
        verbs: ['get'],
      })),
    ]),
  }
}
