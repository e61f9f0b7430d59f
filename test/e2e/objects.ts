import type { ApiClient } from './api-client.js'

/** Makes so many of them, named `<name>-<number>`, each with the label `of=<name>`. */
export function create(
  client: ApiClient,
  path: string,
  name: string,
  count: number,
): Promise<void> {
  return inParallel(count, at =>
    client.must('POST', path, {
      body: { metadata: { name: `${name}-${at}`, labels: { of: name } }, data: { at: `${at}` } },
    }),
  )
}

/** Runs this for each number from 0 on, some at a time. */
export async function inParallel(
  count: number,
  run: (at: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) await run(at)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}
