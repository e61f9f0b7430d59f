import { examine, type Findings } from '../lib/rbac/examination.js'
import type { RightsConfiguration } from '../lib/rbac/needed.js'
import type { Cluster } from '../lib/upstream/cluster.js'
import { askOwnRights } from '../lib/upstream/own-rights.js'

/** Examines the credential that the cluster was opened with, as `serve` and `check` do. Never rejects. */
export const examineOwn = (
  cluster: Cluster,
  configuration: RightsConfiguration,
  signal: AbortSignal,
): Promise<Findings> =>
  examine(
    {
      ask: (kind, spec, until) => askOwnRights(cluster, kind, spec, until),
      configuration,
      namespaces: [...new Set([cluster.namespace, 'kube-system'])],
    },
    signal,
  )
