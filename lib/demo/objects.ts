/** A JSON object of unknown shape. */
export type Json = Readonly<Record<string, unknown>>

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** An object as it is stored: whatever its kind says, and metadata that the API filled in. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of fields; `undefined` where the path leaves the object. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value
  for (const field of path) {
    if (!isJson(here) || !Object.hasOwn(here, field)) return undefined
    here = here[field]
  }
  return here
}

/** The text at a path of fields; empty where there is none. */
export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : ''
}

/** The list at a path of fields; empty where there is none. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}
