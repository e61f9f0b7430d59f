import { readFileSync } from 'node:fs'
import type { ApiServer } from './cluster.js'
import { until } from './until.js'

/** What the API server wrote into its audit log of the request with this id, when it was done. */
export async function auditEvent({ auditLog }: ApiServer, id: string): Promise<object> {
  let found: object | undefined
  await until(`${id} is in ${auditLog}`, () => {
    const lines = readFileSync(auditLog, 'utf8').split('\n')
    const line = lines.find(one => one.includes(id) && one.includes('"stage":"ResponseComplete"'))
    if (line !== undefined) found = JSON.parse(line) as object
    return found !== undefined
  })
  return found ?? {}
}
